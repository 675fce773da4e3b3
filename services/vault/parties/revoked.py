# SPDX-License-Identifier: Apache-2.0
"""Whose tokens this vault refuses: what transfer and audit ask for, for itself.

On every guarded route, also where no purpose is asked for: the catalogue, officers,
custody. A person's second key saves no token that was drawn with the revoked one.
"""

from __future__ import annotations

from services.chassis.clock import Clock
from services.chassis.database import DatabaseError
from services.vault.parties.operations import Parties

FRESH_SECONDS = 0.5


class Revoked:
    """A `RevocationSource` over the vault's own database, remembered for a moment."""

    def __init__(self, parties: Parties, clock: Clock) -> None:
        self._parties = parties
        self._clock = clock
        self._asked = -float("inf")
        self._moments: dict[str, float] = {}

    async def revoked_at(self, subject: str) -> float | None:
        """Return when a client or officer was last revoked, None if not lately."""
        now = self._clock.monotonic()
        if now - self._asked >= FRESH_SECONDS:
            self._asked = now
            try:
                found = await self._parties.revocations()
            except DatabaseError:
                # What needs the database is refused for that; what was known stands.
                return self._moments.get(subject)
            self._moments = {one.subject: one.revoked_at / 1000 for one in found}
        return self._moments.get(subject)
