# SPDX-License-Identifier: Apache-2.0
"""The sequencer: gives verified events their index, signs, publishes.

One transaction holds leaves, positions, offsets, edge and signed checkpoint; then
tiles are published, then the checkpoint. A crash at any moment is mended at the next
start by publishing the stored tree again. Source: audit.md, Delivery and Crash order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.events.audit import AlertRaised
from contracts.events.payload import EventDraft
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.edge import Tile, TileEdge
from contracts.log.note import NoteSigner
from contracts.log.tiles import (
    TILE_WIDTH,
    BundleId,
    TileId,
    encode_bundle,
    new_bundles,
)
from services.audit.errors import LogBehindTiles, LogConflict
from services.audit.log import store
from services.audit.log.arrivals import Fork, Group, Parked
from services.audit.log.files import CHECKPOINT, TileFiles
from services.audit.log.store import LeafRow, PositionRow, TreeRow
from services.audit.log.succession import Alarm, judge, opening_of
from services.chassis import outbox
from services.chassis.clock import milliseconds, uuid7
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import CommitUnknown, Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef, LaneWriter

PLATFORM = "platform"  # the party that audit's own events concern


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of the sequencer integrates.

    Attributes:
        groups: Verified groups, each lane's in order.
        offsets: Next offsets of the bus, stored in the same transaction.
        forks: Evidence of two events for one place.
        alarms: Other alerts to raise.
        drafts: Audit's own events.
    """

    groups: Sequence[Group] = ()
    offsets: Mapping[tuple[str, int], int] = field(default_factory=dict)
    forks: Sequence[Fork] = ()
    alarms: Sequence[Alarm] = ()
    drafts: Sequence[EventDraft] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    edge: TileEdge
    tree: TreeRow
    rows: list[LeafRow]
    tiles: list[Tile]
    refs: list[EventRef]


class Log:
    """The append-only log of one installation; one sequencer, by a lock."""

    def __init__(
        self,
        journal: Journal,
        files: TileFiles,
        signer: NoteSigner,
        *,
        on_published: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self.journal = journal
        self.files = files
        self.verifier = signer.verifier
        self._signer = signer
        self._on_published = on_published
        self._turn = asyncio.Lock()
        self._edge = TileEdge()
        self._tree = TreeRow(0, b"", b"")
        self._tail: list[bytes] = []
        self._loaded = False

    @property
    def size(self) -> int:
        """Leaves under the published checkpoint."""
        return self._edge.size

    async def start(self) -> None:
        """Load the stored tree, publish what a crash left unpublished, open the lane.

        Raises:
            LogBehindTiles: The database is older than the published tiles.
        """
        async with self._turn:
            await self._load()
        await self.integrate(Batch())

    async def integrate(self, batch: Batch) -> list[EventRef]:
        """Integrate a batch and publish; return the places of `batch.drafts`.

        Durable, signed and published when it returns.

        Raises:
            LogConflict: Another sequencer wrote; this process must stop.
            DatabaseError: As `Database.write`; nothing is lost, ask again.
        """
        async with self._turn:
            if not self._loaded:
                await self._load()
            try:
                step = await self.journal.write(lambda tx: self._write(tx, batch))
            except CommitUnknown:
                self._loaded = False
                raise
            CRASH_POINTS.reach("intake.after_commit")
            if not step.rows:
                return step.refs
            old = self._edge.size
            self._edge, self._tree = step.edge, step.tree
            entries = self._tail + [row.event for row in step.rows]
            await asyncio.to_thread(self._publish, old, step.tiles, entries)
            self._tail = entries[len(entries) - self._edge.size % TILE_WIDTH :]
            self._on_published(self._edge.size)
            return step.refs

    # --- inside the transaction ------------------------------------------------

    def _write(self, tx: Tx, batch: Batch) -> _Step:
        if store.tree_row(tx.connection).checkpoint != self._tree.checkpoint:
            raise LogConflict("the stored checkpoint is not ours")
        alarms = [*batch.alarms, *(Alarm("fork", f.lane, f.seq) for f in batch.forks)]
        evidence = {(f.lane, f.seq): f.evidence for f in batch.forks}
        rows: list[LeafRow] = []
        for group in batch.groups:
            alarms += self._place(tx, group)
            rows += [LeafRow(e.lane, e.seq, e.leaf, e.raw) for e in group.events]
        for alarm in alarms:
            self._raise(tx, alarm, evidence.get((alarm.lane, alarm.seq), b""))
        refs = [outbox.append(tx, draft) for draft in batch.drafts]
        rows += self._own(tx)
        store.put_offsets(tx, batch.offsets)
        if not rows:
            return _Step(self._edge, self._tree, [], [], refs)
        edge, tiles = self._edge.append([row.leaf_hash for row in rows])
        note = self._signer.sign(
            Checkpoint(self.verifier.name, edge.size, edge.root()).text()
        )
        tree = TreeRow(edge.size, edge.to_bytes(), note)
        store.add_leaves(tx, self._edge.size, rows)
        if not store.swap_tree(tx, self._tree, tree):
            raise LogConflict("the stored checkpoint is not ours")
        CRASH_POINTS.reach("intake.before_commit")
        return _Step(edge, tree, rows, tiles, refs)

    def _place(self, tx: Tx, group: Group) -> list[Alarm]:
        """Move the lane's position; return what its opening contradicts."""
        last = group.events[-1]
        opening = opening_of(group.events[0])
        slot = opening.slot if opening is not None else ""
        store.put_position(
            tx, PositionRow(last.lane, group.service, slot, last.seq, last.leaf, "")
        )
        alarms = _unreadable(group.events)
        if opening is None or not opening.previous:
            return alarms
        known = store.position_of(tx.connection, opening.previous)
        alone = known is None or store.set_successor(tx, opening.previous, last.lane)
        return alarms + judge(opening, known.seq if known else None, alone=alone)

    def _raise(self, tx: Tx, alarm: Alarm, evidence: bytes) -> None:
        values = {
            "id": str(uuid7()),
            "code": alarm.code,
            "lane": alarm.lane,
            "seq": alarm.seq,
            "evidence": evidence,
            "raised_at": milliseconds(tx.now),
        }
        if store.add_alert(tx, values):
            event = AlertRaised(alert=alarm.code, lane=alarm.lane, seq=alarm.seq)
            outbox.append(tx, event.draft(PLATFORM))

    def _own(self, tx: Tx) -> list[LeafRow]:
        """Audit's own events that are no leaves yet, this group's included."""
        if not isinstance(tx.step, LaneWriter):
            raise TypeError("the log needs a journal of its own")
        rows = store.own_waiting(tx.connection)
        rows += [LeafRow(*item) for item in tx.step.gathered()]
        last: dict[str, LeafRow] = {row.lane: row for row in rows}
        for row in last.values():
            store.put_position(
                tx,
                PositionRow(
                    row.lane, "audit", self.journal.slot, row.seq, row.leaf_hash, ""
                ),
            )
        return rows

    # --- publishing ------------------------------------------------------------

    def _publish(self, old: int, tiles: Sequence[Tile], entries: list[bytes]) -> None:
        """Write the new tiles and bundles, then the checkpoint that covers them.

        `entries` begins at the last full bundle's end of size `old`.
        """
        CRASH_POINTS.reach("publish.before_tiles")
        for tile in tiles:
            self.files.write(tile.id.path, tile.octets)
        first = old - old % TILE_WIDTH
        bundles = new_bundles(old, self._edge.size)
        for bundle in bundles:
            start = bundle.n * TILE_WIDTH - first
            octets = encode_bundle(entries[start : start + bundle.width])
            self.files.write(bundle.path, octets)
        CRASH_POINTS.reach("publish.before_checkpoint")
        self.files.write(CHECKPOINT, self._tree.checkpoint)
        CRASH_POINTS.reach("publish.after_checkpoint")
        names: list[TileId | BundleId] = [*(tile.id for tile in tiles), *bundles]
        for name in names:
            if name.width == TILE_WIDTH:
                self.files.drop_partials(name)

    async def _load(self) -> None:
        """Read the stored tree, and publish again what a crash left behind."""
        tree = await self.journal.read(store.tree_row)
        edge = TileEdge.from_bytes(tree.edge) if tree.checkpoint else TileEdge()
        published = self._published_size()
        if published > tree.size:
            raise LogBehindTiles(
                f"the published log has {published} leaves and the database "
                f"{tree.size}: it was restored from an older copy. Restore the newest "
                "copy of audit's database, or start a new log as the runbook says; "
                "this one is not continued, because a second order would be a fork"
            )
        self._tree, self._edge = tree, edge
        base = edge.size - edge.size % TILE_WIDTH
        self._tail = await self.journal.read(lambda c: store.events(c, base, edge.size))
        if published < tree.size:
            await self._publish_again(published)
        self._loaded = True

    def _published_size(self) -> int:
        note = self.files.checkpoint()
        return open_checkpoint(note, self.verifier).size if note is not None else 0

    async def _publish_again(self, published: int) -> None:
        first = published - published % TILE_WIDTH
        size = self._edge.size
        leaves = await self.journal.read(lambda c: list(store.all_hashes(c, published)))
        before, _tiles = TileEdge().append(leaves)
        added = await self.journal.read(lambda c: store.hashes(c, published, size))
        edge, tiles = before.append(added)
        if edge.root() != self._edge.root():
            raise LogConflict("the stored leaves do not give the stored root")
        entries = await self.journal.read(lambda c: store.events(c, first, size))
        await asyncio.to_thread(self._publish, published, tiles, entries)


def _unreadable(events: Sequence[Parked]) -> list[Alarm]:
    return [
        Alarm("unreadable", event.lane, event.seq)
        for event in events
        if not event.readable
    ]
