# SPDX-License-Identifier: Apache-2.0
"""Exports: the log, or a caller's view of it, as one tar that is checked offline.

The whole log is a static C2SP log (`log/`) with its key, its sources' keys and their
signed heads, which `keyturn verify` reads. A view holds the hash tiles, which show
nothing, and what the caller may see; nobody else's bytes. A handover's has a
`.tlog-proof` for each event; a party's whole view is what `party_view` says.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from contracts import base64text
from contracts.events.audit import LogExported
from contracts.events.envelope import EventMalformed, parse
from contracts.log.tiles import new_bundles, new_tiles
from services.audit.log.files import CHECKPOINT
from services.audit.log.reading import (
    LaneEnd,
    Leaf,
    LogReadings,
    Published,
    actor_of,
)
from services.audit.search import store
from services.audit.search.operations import FRESH_SECONDS, sees
from services.audit.search.party_view import AskHeads, Heads, PartyView
from services.audit.search.projection import Projection
from services.audit.search.store import Wanted
from services.audit.search.tar import END, member
from services.chassis.auth import Principal
from services.chassis.lanes import EventRef

PAGE: Final = 256


@dataclass(frozen=True)
class Export:
    """An export about to be sent: its bytes, piece by piece, and its own event."""

    pieces: AsyncIterator[bytes]
    event: EventRef


class Exports:
    """Makes exports of one log.

    Args of the constructor: the log, the projection, by name the public files that
    go with every export (`log.vkey`, `sources.json`), read when needed, and who asks
    the sources for their party heads.
    """

    def __init__(
        self,
        log: LogReadings,
        projection: Projection,
        companions: Mapping[str, Path],
        ask: AskHeads,
    ) -> None:
        self._log = log
        self._projection = projection
        self._companions = companions
        self._party = PartyView(log, projection, ask)

    async def make(self, principal: Principal, handover: str | None) -> Export:
        """Return an export under the checkpoint that is published now.

        Raises:
            EventNotFound: Nothing is published yet.
            DatabaseError: The trace could not be written; nothing is shown.
        """
        party = sees(principal)
        heads: Heads = {}
        if party and handover is None:
            heads = await self._party.heads(party)
        published, ends = await self._log.snapshot()
        size = published.checkpoint.size
        event = LogExported(size=size, handover=handover, **actor_of(principal))
        ref = await self._log.record(event.draft(principal.party))
        if handover is not None:
            wanted = Wanted(sees=party, handover=handover)
            return Export(self._view(published, wanted), ref)
        if party:
            return Export(self._complete(published, party, heads), ref)
        return Export(self._whole(published, ends), ref)

    async def _whole(
        self, published: Published, ends: Sequence[LaneEnd]
    ) -> AsyncIterator[bytes]:
        size = published.checkpoint.size
        yield member("heads.json", _heads(ends))
        for piece in self._frame(published):
            yield piece
        for bundle in new_bundles(0, size):
            yield member(f"log/{bundle.path}", self._log.file(bundle.path))
        yield END

    async def _complete(
        self, published: Published, party: str, heads: Heads
    ) -> AsyncIterator[bytes]:
        for piece in self._frame(published):
            yield piece
        async for piece in self._party.pieces(published, party, heads):
            yield piece
        yield END

    async def _view(self, published: Published, wanted: Wanted) -> AsyncIterator[bytes]:
        for piece in self._frame(published):
            yield piece
        size = published.checkpoint.size
        end = min(await self._projection.reached(size, FRESH_SECONDS), size)
        complete = {"leaves_in_log": size, "leaves_searched": end}
        yield member("view.json", json.dumps(complete).encode() + b"\n")
        first: int | None = 0
        while first is not None:
            find = partial(store.find, wanted=wanted, first=first, end=end, limit=PAGE)
            indexes = await self._projection.database.read(find)
            for leaf in await self._log.leaves(indexes):
                yield self._proven(leaf, published)
            first = indexes[-1] + 1 if len(indexes) == PAGE else None
        yield END

    def _frame(self, published: Published) -> Iterator[bytes]:
        for name, path in self._companions.items():
            yield member(name, path.read_bytes())
        yield member(f"log/{CHECKPOINT}", published.note)
        for tile in new_tiles(0, published.checkpoint.size):
            yield member(f"log/{tile.path}", self._log.file(tile.path))

    def _proven(self, leaf: Leaf, published: Published) -> bytes:
        try:
            name = f"events/{parse(leaf.event).id}"
        except EventMalformed:
            name = f"events/unreadable/{leaf.index}"
        proof = self._log.proof(leaf.index, published).encode()
        return member(f"{name}.json", leaf.event) + member(f"{name}.tlog-proof", proof)


def _heads(ends: Sequence[LaneEnd]) -> bytes:
    """Return the sources' signed heads, as their own outboxes serve them."""
    items = [
        {
            "lane": end.lane,
            "slot": end.slot,
            "seq": end.seq,
            "leaf_hash": f"sha256:{end.leaf_hash.hex()}",
            "head": base64text.encode(end.head),
        }
        for end in ends
    ]
    return json.dumps({"items": items}, indent=1).encode() + b"\n"
