# SPDX-License-Identifier: Apache-2.0
"""fsck: everything published and stored, made again from the stored events.

Reads only, and may run beside the server: it ends at the checkpoint that it found
first. What is missing at both it cannot know: the sources' heads show that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from contracts.events.head import Head
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.edge import TileEdge
from contracts.log.errors import LogError
from contracts.log.merkle import leaf_hash
from contracts.log.note import NoteVerifier
from contracts.log.tiles import TILE_WIDTH, BundleId, TileId, encode_bundle
from services.audit.log import store
from services.audit.log.arrivals import read
from services.audit.log.files import CHECKPOINT, FileMissing, TileFiles
from services.audit.log.store import PositionRow
from services.chassis.database import Database

SLICE: Final = 16 * TILE_WIDTH  # leaves held in memory at once

Verify = Callable[[str, Head, bytes], bool]


class Fsck:
    """One check of one log.

    Attributes:
        size: Leaves checked so far.
        found: What differs, one sentence each; empty where all holds.
    """

    def __init__(
        self,
        database: Database,
        files: TileFiles,
        verifier: NoteVerifier,
        installation: str,
        verify: Verify,
    ) -> None:
        self._database = database
        self._files = files
        self._verifier = verifier
        self._installation = installation
        self._verify = verify
        self._ends: dict[str, tuple[int, bytes]] = {}
        self.size = 0
        self.found: list[str] = []

    def run(self) -> bool:
        """Check everything; whether all holds. Raises DatabaseUnavailable."""
        published = self._published()
        edge, last = TileEdge(), dict[TileId, bytes]()
        for first in range(0, published.size, SLICE):
            end = min(first + SLICE, published.size)
            events = self._leaves(first, end)
            self._bundles(first, events, published.size)
            edge, tiles = edge.append([leaf_hash(raw) for raw in events])
            for tile in tiles:
                last[TileId(tile.id.level, tile.id.n)] = tile.octets
            self._tiles(last, whole=True)
            self.size = end
        self._tiles(last, whole=False)
        if edge.size != published.size or edge.root() != published.root:
            self._differs("the stored events do not give the signed root")
        self._positions(published)
        return not self.found

    def _differs(self, what: str) -> None:
        self.found.append(what)

    def _published(self) -> Checkpoint:
        """Return the published checkpoint, an empty one if it is not to be trusted.

        The tree is read before and after: a server that goes on meanwhile must make
        the checkpoint look neither behind nor ahead.
        """
        before = self._database.read_now(store.tree_row).size
        empty = Checkpoint(self._verifier.name, 0, TileEdge().root())
        try:
            published = open_checkpoint(self._files.read(CHECKPOINT), self._verifier)
        except FileMissing:
            if before:
                self._differs(f"checkpoint: missing, the database has {before} leaves")
            return empty
        except LogError:
            self._differs("checkpoint: not signed by this log's key")
            return empty
        if published.size < before:
            self._differs(
                f"checkpoint: covers {published.size} leaves, the database has "
                f"{before}: it was not published, or is an older copy"
            )
        tree = self._database.read_now(store.tree_row)
        if published.size > tree.size:
            self._differs(
                f"checkpoint: covers {published.size} leaves, the database has "
                f"{tree.size}: it is an older copy"
            )
        return published

    def _leaves(self, first: int, end: int) -> list[bytes]:
        """Return a slice of events, checked against the columns beside them."""
        events = self._database.read_now(lambda c: store.events(c, first, end))
        hashes = self._database.read_now(lambda c: store.hashes(c, first, end))
        places = self._database.read_now(lambda c: store.places(c, first, end))
        if len(events) != end - first:
            self._differs(f"database: leaves are missing between {first} and {end}")
        rows = zip(events, hashes, places, strict=True)
        for index, (raw, stored, (lane, seq)) in enumerate(rows, start=first):
            event = read(raw)
            if leaf_hash(raw) != stored:
                self._differs(f"database: leaf {index} has another hash than stored")
            if event is None or (event.lane, event.seq) != (lane, seq):
                self._differs(f"database: leaf {index} stands at another place")
                continue
            before, leaf = self._ends.get(lane, (0, b""))
            if seq != before + 1 or event.prev != leaf:
                self._differs(f"database: leaf {index} does not follow on its lane")
            self._ends[lane] = (seq, leaf_hash(raw))
        return events

    def _bundles(self, first: int, events: list[bytes], size: int) -> None:
        for at in range(0, len(events), TILE_WIDTH):
            n = (first + at) // TILE_WIDTH
            width = min(TILE_WIDTH, size - n * TILE_WIDTH)
            name = BundleId(n, width)
            self._compare(name, encode_bundle(events[at : at + width]))

    def _tiles(self, made: dict[TileId, bytes], *, whole: bool) -> None:
        """Compare and forget the full tiles, or at the end whatever is left."""
        for name in list(made):
            width = len(made[name]) // 32
            if not whole or width == TILE_WIDTH:
                self._compare(TileId(name.level, name.n, width), made.pop(name))

    def _compare(self, name: TileId | BundleId, due: bytes) -> None:
        try:
            octets = self._files.read(name.path)
        except FileMissing:
            self._differs(f"{name.path}: missing")
            return
        if octets != due:
            same = _common(octets, due)
            self._differs(f"{name.path}: differs from byte {same} on")

    def _positions(self, published: Checkpoint) -> None:
        tree, rows = self._database.read_now(
            lambda c: (store.tree_row(c), store.positions(c))
        )
        if tree.size != published.size:
            return  # the server went on meanwhile: the ends are not these any more
        held = {row.lane: row for row in rows}
        for lane in sorted(self._ends.keys() ^ held.keys()):
            self._differs(f"database: lane {lane} has leaves or a position, not both")
        for lane, row in held.items():
            if self._ends.get(lane, (0, b"")) != (row.seq, row.leaf_hash):
                self._differs(f"database: lane {lane} ends elsewhere than stored")
            elif not self._signed(row):
                self._differs(f"database: lane {lane} ends without its source's head")

    def _signed(self, row: PositionRow) -> bool:
        head = Head(self._installation, row.lane, row.seq, row.leaf_hash)
        return self._verify(row.service, head, row.head)

    def report(self) -> Iterator[str]:
        """Yield the lines that a person reads."""
        yield from self.found
        outcome = f"{len(self.found)} differences" if self.found else "all holds"
        yield f"{self.size} leaves checked: {outcome}"


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes two files share at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
