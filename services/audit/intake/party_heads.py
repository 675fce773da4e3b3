# SPDX-License-Identifier: Apache-2.0
"""Asks every source, audit among them, how far its lanes go for a party."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from contracts.events.party_heads import SignedPartyHeads
from contracts.log.checkpoint import Checkpoint
from services.audit.intake.sources import SourceClient, SourceUnavailable
from services.chassis.party_heads import PartyHeadSigner


class PartyHeadDesk:
    """Gathers the statements of one installation's sources.

    Args of the constructor: the installation, the other services, and who signs for
    audit's own lanes.
    """

    def __init__(
        self, installation: str, sources: Sequence[SourceClient], own: PartyHeadSigner
    ) -> None:
        self._installation = installation
        self._sources = sources
        self._own = own

    async def ask(
        self, party: str, seen: Checkpoint
    ) -> Mapping[str, SignedPartyHeads | None]:
        """Return each service's statement; None for one that is away.

        Raises:
            DatabaseError: Audit's own lanes could not be read.
        """
        own = await self._own.sign(party, seen.size, seen.root)
        others = await asyncio.gather(
            *(self._asked(source, party, seen) for source in self._sources)
        )
        named = [source.service for source in self._sources]
        return {"audit": own, **dict(zip(named, others, strict=True))}

    async def _asked(
        self, source: SourceClient, party: str, seen: Checkpoint
    ) -> SignedPartyHeads | None:
        try:
            return await source.party_heads(self._installation, party, seen)
        except SourceUnavailable:
            return None  # the export says so, and `keyturn verify` does
