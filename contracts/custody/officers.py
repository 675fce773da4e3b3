# SPDX-License-Identifier: Apache-2.0
"""The people of a handover: their roles and the keys they are enrolled with.

Owns the roles and a row of the officer table. Checks no signature (`mandate` does).
"""

from __future__ import annotations

from collections.abc import Mapping
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


class OfficerRole(StrEnum):
    """What a person is at their party; the side of a deal makes a `Role` of it."""

    OWNER = "owner"
    COMPLIANCE = "compliance"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    MONITOR = "monitor"


_SELLER: Final[Mapping[OfficerRole, Role]] = {
    OfficerRole.OWNER: Role.SELLER_OWNER,
    OfficerRole.COMPLIANCE: Role.SELLER_COMPLIANCE,
    OfficerRole.OPERATOR: Role.SELLER_OPERATOR,
}
_BUYER: Final[Mapping[OfficerRole, Role]] = {
    OfficerRole.OWNER: Role.BUYER_OWNER,
    OfficerRole.COMPLIANCE: Role.BUYER_COMPLIANCE,
}
_EITHER: Final[Mapping[OfficerRole, Role]] = {
    OfficerRole.REVIEWER: Role.REVIEWER,
    OfficerRole.MONITOR: Role.MONITOR,
}


def role_in_handover(
    role: OfficerRole, party: str, *, seller: str, buyer: str
) -> Role | None:
    """Return what an officer of a party is in one handover, or None for nothing.

    A reviewer is one whoever employs them; that a reviewer of either side may not
    approve is for `mandate` to say.
    """
    sides = {seller: _SELLER, buyer: _BUYER}
    return _EITHER.get(role) or sides.get(party, {}).get(role)


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
