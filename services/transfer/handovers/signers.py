# SPDX-License-Identifier: Apache-2.0
"""Whose keys may sign in a handover: the officers the vault has enrolled.

Fetched for each signature anew. Transfer decides nothing finally with them: the
vault checks every signature again against its own table.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from contracts.custody.officers import OfficerKey, Role
from services.transfer.errors import VaultRefused
from services.transfer.handovers.roles import Sides, actor_of
from services.transfer.vault_client import OfficerEntry


class OfficerSource(Protocol):
    """Where enrolled keys come from."""

    async def officers(self, party: str) -> list[OfficerEntry]:
        """Return every key of a party's officers, revoked ones too."""
        ...


async def is_enrolled(source: OfficerSource, party: str) -> bool:
    """Whether the vault knows a party.

    Raises:
        VaultError: The vault could not say.
    """
    try:
        await source.officers(party)
    except VaultRefused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


async def signers(
    source: OfficerSource, sides: Sides, now: datetime
) -> list[OfficerKey]:
    """Return the keys of all who have a role in the handover, login keys too.

    Raises:
        VaultError: The vault could not say.
    """
    found: list[OfficerKey] = []
    for party in (sides.seller, sides.buyer, sides.reviewer):
        if not party:
            continue
        for entry in await source.officers(party):
            actor = actor_of(sides, party, entry.role)
            if actor is not None:
                found.append(
                    OfficerKey(
                        key_id=entry.key_id,
                        party=party,
                        role=Role(actor.value),
                        person=entry.person,
                        use=entry.use,
                        public_key=entry.public_key,
                        # When it was revoked does not matter, only that it was.
                        revoked_at=now if entry.revoked else None,
                    )
                )
    return found
