# SPDX-License-Identifier: Apache-2.0
"""Exports: the log, or a caller's view of it, as one tar that is checked offline.

The whole log is a static C2SP log (`log/`) with its key, its sources' keys and their
signed heads, which `keyturn verify` reads. A view holds the hash tiles, which show
nothing, and each event the caller may see with its `.tlog-proof`; nobody else's bytes.
"""

from __future__ import annotations

import json
import tarfile
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
from services.audit.search.projection import Projection
from services.audit.search.store import Wanted
from services.chassis.auth import Principal
from services.chassis.lanes import EventRef

PAGE: Final = 256
_BLOCK: Final = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Export:
    """An export about to be sent: its bytes, piece by piece, and its own event."""

    pieces: AsyncIterator[bytes]
    event: EventRef


class Exports:
    """Makes exports of one log.

    Args of the constructor: the log, the projection, and by name the public files
    that go with every export (`log.vkey`, `sources.json`), read when needed.
    """

    def __init__(
        self, log: LogReadings, projection: Projection, companions: Mapping[str, Path]
    ) -> None:
        self._log = log
        self._projection = projection
        self._companions = companions

    async def make(self, principal: Principal, handover: str | None) -> Export:
        """Return an export under the checkpoint that is published now.

        Raises:
            EventNotFound: Nothing is published yet.
            DatabaseError: The trace could not be written; nothing is shown.
        """
        published, ends = await self._log.snapshot()
        size = published.checkpoint.size
        event = LogExported(size=size, handover=handover, **actor_of(principal))
        ref = await self._log.record(event.draft(principal.party))
        party = sees(principal)
        if not party and handover is None:
            return Export(self._whole(published, ends), ref)
        wanted = Wanted(sees=party, handover=handover or "")
        return Export(self._view(published, wanted), ref)

    async def _whole(
        self, published: Published, ends: Sequence[LaneEnd]
    ) -> AsyncIterator[bytes]:
        size = published.checkpoint.size
        yield _member("heads.json", _heads(ends))
        for piece in self._frame(published):
            yield piece
        for bundle in new_bundles(0, size):
            yield _member(f"log/{bundle.path}", self._log.file(bundle.path))
        yield _END

    async def _view(self, published: Published, wanted: Wanted) -> AsyncIterator[bytes]:
        for piece in self._frame(published):
            yield piece
        size = published.checkpoint.size
        end = min(await self._projection.reached(size, FRESH_SECONDS), size)
        complete = {"leaves_in_log": size, "leaves_searched": end}
        yield _member("view.json", json.dumps(complete).encode() + b"\n")
        first: int | None = 0
        while first is not None:
            find = partial(store.find, wanted=wanted, first=first, end=end, limit=PAGE)
            indexes = await self._projection.database.read(find)
            for leaf in await self._log.leaves(indexes):
                yield self._proven(leaf, published)
            first = indexes[-1] + 1 if len(indexes) == PAGE else None
        yield _END

    def _frame(self, published: Published) -> Iterator[bytes]:
        for name, path in self._companions.items():
            yield _member(name, path.read_bytes())
        yield _member(f"log/{CHECKPOINT}", published.note)
        for tile in new_tiles(0, published.checkpoint.size):
            yield _member(f"log/{tile.path}", self._log.file(tile.path))

    def _proven(self, leaf: Leaf, published: Published) -> bytes:
        try:
            name = f"events/{parse(leaf.event).id}"
        except EventMalformed:
            name = f"events/unreadable/{leaf.index}"
        proof = self._log.proof(leaf.index, published).encode()
        return _member(f"{name}.json", leaf.event) + _member(
            f"{name}.tlog-proof", proof
        )


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


def _member(name: str, octets: bytes) -> bytes:
    """Return a tar member: the same bytes for the same content, whoever runs it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(octets), 0o644
    padding = b"\0" * (-len(octets) % _BLOCK)
    return info.tobuf(tarfile.USTAR_FORMAT) + octets + padding


_END: Final = b"\0" * (2 * _BLOCK)
