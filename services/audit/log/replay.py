# SPDX-License-Identifier: Apache-2.0
"""Replay: brings a database that is older than the published log up to it.

The published log is the truth then: its entries are taken in their order, and kept
only if they give the signed root. Nothing is signed but the ends of audit's own lanes.
A crash leaves the database as it was. Source: audit.md, Restoring the log.

What the published log does not hold is not made again: the sources' heads come with
their next answer, an alert's evidence is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from nacl.signing import SigningKey

from contracts.events.audit import AlertRaised
from contracts.events.head import Head
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.edge import TileEdge
from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from contracts.log.tiles import TILE_WIDTH, BundleId, decode_bundle
from services.audit.errors import LogDamaged
from services.audit.log import store
from services.audit.log.arrivals import Parked, read
from services.audit.log.files import FileMissing, TileFiles
from services.audit.log.store import LeafRow, PositionRow, TreeRow
from services.audit.log.succession import opening_of
from services.chassis.clock import milliseconds, uuid7
from services.chassis.database import Tx
from services.chassis.lanes import Source

OWN: Final = "audit"


@dataclass(frozen=True)
class Replay:
    """One replay of one log.

    Attributes:
        source: Audit itself; signs the ends of its own lanes.
    """

    files: TileFiles
    verifier: NoteVerifier
    source: Source

    def run(self, tx: Tx) -> int:
        """Take what is published and not stored into the database; return how much.

        Raises:
            LogDamaged: The published log is not a continuation of the stored one, or
                a file of it is missing.
        """
        published, note = self._published()
        tree = store.tree_row(tx.connection)
        if published.size <= tree.size:
            return 0
        edge = TileEdge.from_bytes(tree.edge) if tree.checkpoint else TileEdge()
        ends = _Ends(tx, self.source)
        for events in self._entries(tree.size, published.size):
            rows = [LeafRow(e.lane, e.seq, e.leaf, e.raw) for e in events]
            store.add_leaves(tx, edge.size, rows)
            edge, _tiles = edge.append([row.leaf_hash for row in rows])
            ends.follow(events)
        if edge.root() != published.root:
            raise LogDamaged("the published entries do not continue the stored log")
        ends.write()
        if not store.swap_tree(tx, tree, TreeRow(edge.size, edge.to_bytes(), note)):
            raise LogDamaged("the stored tree moved meanwhile; is audit running?")
        return published.size - tree.size

    def _published(self) -> tuple[Checkpoint, bytes]:
        note = self.files.checkpoint()
        if note is None:
            raise LogDamaged("nothing is published: there is no checkpoint to go by")
        try:
            return open_checkpoint(note, self.verifier), note
        except LogError as exc:
            raise LogDamaged(
                "the published checkpoint is not signed by this log"
            ) from exc

    def _entries(self, first: int, size: int) -> Iterator[list[Parked]]:
        """Yield the published events from index `first` on, a bundle at a time."""
        for n in range(first // TILE_WIDTH, -(-size // TILE_WIDTH)):
            width = min(TILE_WIDTH, size - n * TILE_WIDTH)
            path = BundleId(n, width).path
            try:
                found = decode_bundle(self.files.read(path), width)
            except (FileMissing, LogError) as exc:
                raise LogDamaged(f"published entries are missing: {path}") from exc
            events = [read(raw) for raw in found[max(0, first - n * TILE_WIDTH) :]]
            if None in events:
                raise LogDamaged(f"published entries are damaged: {path}")
            yield [event for event in events if event is not None]


@dataclass
class _Ends:
    """Follows where lanes end, and writes it."""

    tx: Tx
    source: Source
    rows: dict[str, PositionRow] = field(default_factory=dict)

    def follow(self, events: Sequence[Parked]) -> None:
        for event in events:
            row = self._known(event)
            if event.seq != row.seq + 1 or event.prev != row.leaf_hash:
                raise LogDamaged("published entries do not follow on their lane")
            self.rows[event.lane] = replace(row, seq=event.seq, leaf_hash=event.leaf)
            if event.type == AlertRaised.TYPE and row.service == OWN:
                self._alert(event)

    def write(self) -> None:
        for row in self.rows.values():
            if row.service != OWN:
                store.put_position(self.tx, row)  # its head comes from the source
                continue
            signed = replace(row, head=self._signed(self.source.key, row))
            store.put_position(self.tx, signed)
            store.put_own_lane(self.tx, signed)

    def _known(self, event: Parked) -> PositionRow:
        known = self.rows.get(event.lane)
        if known is not None:
            return known
        stored = store.position_of(self.tx.connection, event.lane)
        if stored is not None:
            return replace(stored, head=b"")
        opening = opening_of(event)
        service = event.source.rpartition(":")[2]
        if opening is None or not service:
            raise LogDamaged("published entries begin a lane in its middle")
        return PositionRow(
            event.lane,
            service,
            opening.slot,
            0,
            b"",
            b"",
            opening.previous,
            opening.previous_seq,
            opening.previous_leaf,
        )

    def _signed(self, key: SigningKey, row: PositionRow) -> bytes:
        head = Head(self.source.installation, row.lane, row.seq, row.leaf_hash)
        return head.sign(key)

    def _alert(self, event: Parked) -> None:
        raised = datetime.fromisoformat(json.loads(event.raw)["time"])
        values = {
            "id": str(uuid7()),
            "code": event.data["alert"],
            "lane": event.data.get("lane") or "",
            "seq": event.data.get("seq") or 0,
            "evidence": b"",
            "raised_at": milliseconds(raised),
        }
        store.add_alert(self.tx, values)
