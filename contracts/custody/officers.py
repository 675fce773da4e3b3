# SPDX-License-Identifier: Apache-2.0
"""The people of a handover: their roles and the keys they are enrolled with.

Owns the roles and a row of the officer table. Checks no signature (`mandate` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from contracts.custody.document import PartyId


class Role(StrEnum):
    """What a person is in a handover."""

    SELLER_OWNER = "SO"
    SELLER_COMPLIANCE = "SC"
    SELLER_OPERATOR = "SR"
    BUYER_OWNER = "BO"
    BUYER_COMPLIANCE = "BC"
    REVIEWER = "PR"
    MONITOR = "MO"


SELLER_ROLES: Final = frozenset(
    {Role.SELLER_OWNER, Role.SELLER_COMPLIANCE, Role.SELLER_OPERATOR}
)
BUYER_ROLES: Final = frozenset({Role.BUYER_OWNER, Role.BUYER_COMPLIANCE})


@dataclass(frozen=True, slots=True)
class OfficerKey:
    """A row of the officer table: one key of one person.

    Attributes:
        key_id: Hex SHA-256 of the raw public key.
        use: `sign` or `login`; a login key seals nothing.
        public_key: Ed25519, 32 bytes.
        revoked_at: Set as soon as the key was revoked, whatever the time says.
        expires_at: From then on the key signs nothing; None for no end.
    """

    key_id: str
    party: PartyId
    role: Role
    person: str
    use: Literal["sign", "login"]
    public_key: bytes
    revoked_at: datetime | None = None
    expires_at: datetime | None = None
