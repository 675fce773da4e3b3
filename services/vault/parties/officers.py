# SPDX-License-Identifier: Apache-2.0
"""The officers of one handover: whose signatures count in it, and as whose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, literal
from sqlalchemy.engine import Connection

from contracts.custody.officers import OfficerKey, Role
from contracts.officers import OfficerRole
from services.chassis.prepared import Prepared
from services.vault.parties.members import EnrolledKey
from services.vault.parties.store import KEY, key_of
from services.vault.parties.tables import officer

_SELLER_ROLE: Final = {
    OfficerRole.OWNER: Role.SELLER_OWNER,
    OfficerRole.COMPLIANCE: Role.SELLER_COMPLIANCE,
    OfficerRole.OPERATOR: Role.SELLER_OPERATOR,
}
_BUYER_ROLE: Final = {
    OfficerRole.OWNER: Role.BUYER_OWNER,
    OfficerRole.COMPLIANCE: Role.BUYER_COMPLIANCE,
}
_OUTSIDE_ROLE: Final = {
    OfficerRole.REVIEWER: Role.REVIEWER,
    OfficerRole.MONITOR: Role.MONITOR,
}

# Walks the table, which has a few rows for each party.
_OFFICERS = Prepared(
    KEY.where(
        officer.c.party.in_([bindparam("seller"), bindparam("buyer")])
        | officer.c.role.in_([literal(role.value) for role in _OUTSIDE_ROLE])
    )
)


def officer_keys(
    connection: Connection, seller: str, buyer: str
) -> dict[str, OfficerKey]:
    """Return key id → key, in its handover role, of a handover's officers.

    Seller and buyer give SO, SC, SR, BO, BC; reviewers and monitors count only from
    outside both (a reviewer is independent). Revoked keys are in it, marked.
    """
    found: dict[str, OfficerKey] = {}
    for row in _OFFICERS.all(connection, seller=seller, buyer=buyer):
        key = key_of(row)
        role = _handover_role(key, seller, buyer)
        if role is not None:
            found[key.key_id] = OfficerKey(
                key_id=key.key_id,
                party=key.party,
                role=role,
                person=key.person,
                use=key.use,
                public_key=key.public_key,
                revoked_at=_moment(key.revoked_at),
            )
    return found


def _handover_role(key: EnrolledKey, seller: str, buyer: str) -> Role | None:
    if key.party == seller:
        return _SELLER_ROLE.get(key.role)
    if key.party == buyer:
        return _BUYER_ROLE.get(key.role)
    return _OUTSIDE_ROLE.get(key.role)


def _moment(at: int | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, tz=UTC)
