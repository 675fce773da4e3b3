# SPDX-License-Identifier: Apache-2.0
"""The sequencer: gives verified events their index, signs, publishes.

One transaction holds leaves, positions, offsets, edge and signed checkpoint; then
tiles are published, then the checkpoint. A crash at any moment is mended at the next
start by publishing the stored tree again. Source: audit.md, Delivery and Crash order.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from contracts.events.audit import AlertRaised
from contracts.events.head import Head
from contracts.events.payload import EventDraft
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.edge import Tile, TileEdge
from contracts.log.note import NoteSigner
from contracts.log.tiles import TILE_WIDTH
from services.audit.errors import LogConflict, LogDamaged
from services.audit.log import store
from services.audit.log.arrivals import Fork, Group, Parked, read
from services.audit.log.files import TileFiles
from services.audit.log.publication import (
    Growth,
    publish,
    published,
    published_edge,
)
from services.audit.log.store import LeafRow, PositionRow, TreeRow
from services.audit.log.succession import (
    Alarm,
    Opening,
    judge_growth,
    judge_opening,
    opening_of,
)
from services.chassis import outbox
from services.chassis.auth import PLATFORM
from services.chassis.clock import milliseconds, uuid7
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef, LaneWriter


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

    def __init__(self, journal: Journal, files: TileFiles, signer: NoteSigner) -> None:
        self.journal = journal
        self.files = files
        self.verifier = signer.verifier
        self._signer = signer
        self._listeners: list[Callable[[], None]] = []
        self._turn = asyncio.Lock()
        self._steps: set[asyncio.Task[list[EventRef]]] = set()
        self._edge = TileEdge()
        self._tree = TreeRow(0, b"", b"")
        self._tail: list[bytes] = []
        self._loaded = False
        self._size = 0

    @property
    def size(self) -> int:
        """Leaves under the published checkpoint."""
        return self._size

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, on the event loop, after each publication."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Load the stored tree, publish what a crash left unpublished, open the lane.

        Raises:
            LogBehindTiles: The database is older than the published tiles.
            LogDamaged: Database and published log contradict each other.
        """
        await self.integrate(Batch())

    async def integrate(self, batch: Batch) -> list[EventRef]:
        """Integrate a batch and publish; return the places of `batch.drafts`.

        Durable, signed and published when it returns. A caller that is cancelled
        leaves the step running: half of it would be worse than all of it.

        Raises:
            LogConflict: Another sequencer wrote; this process must stop.
            DatabaseError: As `Database.write`; nothing is lost, ask again.
            OSError: The disk refused the published files; this process must stop.
        """
        step = asyncio.create_task(self._integrate(batch))
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        return await asyncio.shield(step)

    async def close(self) -> None:
        """Wait for a step whose caller was cancelled."""
        while self._steps:
            await asyncio.wait(self._steps)

    async def _integrate(self, batch: Batch) -> list[EventRef]:
        async with self._turn:
            if not self._loaded:
                await self._load()
            # Whatever fails from here on is mended by loading again.
            self._loaded = False
            step = await self.journal.write(lambda tx: self._write(tx, batch))
            CRASH_POINTS.reach("intake.after_commit")
            if step.rows:
                entries = self._tail + [row.event for row in step.rows]
                growth = Growth(self._edge.size, step.tree, step.tiles, entries)
                await asyncio.to_thread(publish, self.files, growth)
                self._edge, self._tree = step.edge, step.tree
                self._tail = entries[len(entries) - self._edge.size % TILE_WIDTH :]
            self._loaded = True
            self._told(self._edge.size)
            return step.refs

    def _told(self, size: int) -> None:
        if size != self._size:
            self._size = size
            for listener in self._listeners:
                listener()

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
        """Move the lane's position; return what contradicts its neighbours."""
        opening = opening_of(group.events[0])
        alarms = _unreadable(group.events)
        if opening is not None:
            alarms += self._judge(tx, group.service, opening)
        after = store.followers_of(tx.connection, group.lane)
        said = [(row.previous_seq, row.previous_leaf) for row in after]
        alarms += judge_growth(group.lane, group.events, said)
        last = group.events[-1]
        row = PositionRow(
            group.lane, group.service, "", last.seq, last.leaf, group.head
        )
        store.put_position(tx, _opened(row, opening))
        return alarms

    def _judge(self, tx: Tx, service: str, opening: Opening) -> list[Alarm]:
        connection, before = tx.connection, opening.previous
        if before:
            rivals = [row.lane for row in store.followers_of(connection, before)]
        else:
            rivals = store.first_lanes(connection, service, opening.slot)
        held = store.position_of(connection, before)
        return judge_opening(
            opening,
            held_seq=held.seq if held is not None else 0,
            held_leaf=store.leaf_hash_at(connection, before, opening.previous_seq),
            rivals=rivals,
        )

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
            digest = f"sha256:{hashlib.sha256(evidence).hexdigest()}"
            event = AlertRaised(
                alert=alarm.code,
                lane=alarm.lane,
                seq=alarm.seq,
                evidence=digest if evidence else None,
            )
            outbox.append(tx, event.draft(PLATFORM))

    def _own(self, tx: Tx) -> list[LeafRow]:
        """Audit's own events that are no leaves yet, this group's included."""
        if not isinstance(tx.step, LaneWriter):
            raise TypeError("the log needs a journal of its own")
        rows = store.own_waiting(tx.connection)
        rows += [LeafRow(*item) for item in tx.step.gathered()]
        openings = {row.lane: _opening(row) for row in rows if row.seq == 1}
        for row in {row.lane: row for row in rows}.values():
            head = Head(self.journal.source.installation, *_end(row))
            position = PositionRow(
                row.lane,
                "audit",
                "",
                row.seq,
                row.leaf_hash,
                head.sign(self.journal.source.key),
            )
            store.put_position(tx, _opened(position, openings.get(row.lane)))
        return rows

    # --- after a crash -----------------------------------------------------------

    async def _load(self) -> None:
        """Read the stored tree, and publish again what a crash left behind."""
        tree = await self.journal.read(store.tree_row)
        edge = TileEdge.from_bytes(tree.edge) if tree.checkpoint else TileEdge()
        size = published(self.files, self.verifier, tree, edge.root())
        if size < tree.size:
            await self._publish_again(size, edge, tree)
        base = edge.size - edge.size % TILE_WIDTH
        self._tail = await self.journal.read(lambda c: store.events(c, base, edge.size))
        self._tree, self._edge = tree, edge
        self._told(edge.size)

    async def _publish_again(self, old: int, edge: TileEdge, tree: TreeRow) -> None:
        before = TileEdge()
        note = self.files.checkpoint()
        if note is not None:
            before = published_edge(self.files, open_checkpoint(note, self.verifier))
        base = old - old % TILE_WIDTH
        added = await self.journal.read(lambda c: store.hashes(c, old, tree.size))
        entries = await self.journal.read(lambda c: store.events(c, base, tree.size))
        after, tiles = before.append(added)
        if after.root() != edge.root():
            raise LogDamaged("the stored leaves do not give the stored root; run fsck")
        growth = Growth(old, tree, tiles, entries)
        await asyncio.to_thread(publish, self.files, growth)


def _opening(row: LeafRow) -> Opening | None:
    event = read(row.event)
    return opening_of(event) if event is not None else None


def _end(row: LeafRow) -> tuple[str, int, bytes]:
    return row.lane, row.seq, row.leaf_hash


def _opened(row: PositionRow, opening: Opening | None) -> PositionRow:
    """Return a position with what the lane's opening, if this is it, says."""
    if opening is None:
        return row
    return replace(
        row,
        slot=opening.slot,
        previous=opening.previous,
        previous_seq=opening.previous_seq,
        previous_leaf=opening.previous_leaf,
    )


def _unreadable(events: Sequence[Parked]) -> list[Alarm]:
    return [
        Alarm("unreadable", event.lane, event.seq)
        for event in events
        if not event.readable
    ]
