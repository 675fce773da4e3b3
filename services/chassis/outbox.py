# SPDX-License-Identifier: Apache-2.0
"""The outbox: a source's events, kept until they are found in the published log.

Owns reading, receipting and trimming of outbox rows. The outbox is the truth:
Kafka may lose everything and the log still becomes complete from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy.engine import Connection

from contracts.events.payload import EventDraft
from services.chassis.database import Tx
from services.chassis.lanes import EventRef, LaneTables, LaneWriter
from services.chassis.prepared import Prepared

PAGE_ROWS = 500  # outbox rows read at once

Places = Mapping[bytes, tuple[str, int]]
"""Leaf hash → (lane, seq)."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event as stored; `head` ends each group commit."""

    lane: str
    seq: int
    event: bytes
    head: bytes | None


@dataclass(frozen=True, slots=True)
class LaneHead:
    """A lane's signed end, and how far the log has been seen to hold it."""

    lane: str
    slot: str
    seq: int
    leaf_hash: bytes
    head: bytes
    receipted_seq: int
    successor: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Events of all lanes since the first: committed, and found in the log."""

    committed: int
    receipted: int


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """What waits: rows not yet receipted and the oldest one's age, seconds."""

    rows: int
    oldest_seconds: float


def append(tx: Tx, draft: EventDraft) -> EventRef:
    """Append an event to the transaction's lane; numbered now, durable at commit.

    Raises:
        EventMalformed: The event is too large or not canonical.
    """
    if not isinstance(tx.step, LaneWriter):
        msg = "this database has no journal"
        raise TypeError(msg)
    return tx.step.append(draft, tx.now)


def heads(connection: Connection, tables: LaneTables) -> list[LaneHead]:
    """Return the head of every lane that has committed an event."""
    lane = tables.lane
    rows = connection.execute(
        select(
            lane.c.id,
            lane.c.slot,
            lane.c.seq,
            lane.c.leaf_hash,
            lane.c.head,
            lane.c.receipted_seq,
            lane.c.successor,
        )
        .where(lane.c.seq > 0)
        .order_by(lane.c.opened_at, lane.c.id)
    )
    return [LaneHead(*row) for row in rows]


def rows_from(
    connection: Connection,
    tables: LaneTables,
    lane: str,
    first: int,
    limit: int = PAGE_ROWS,
) -> list[OutboxRow]:
    """Return up to `limit` rows of `lane` from sequence number `first` on."""
    box = tables.outbox
    rows = connection.execute(
        select(box.c.lane, box.c.seq, box.c.event, box.c.head)
        .where(box.c.lane == lane, box.c.seq >= first)
        .order_by(box.c.seq)
        .limit(limit)
    )
    return [OutboxRow(*row) for row in rows]


def rows_to_head(
    connection: Connection, tables: LaneTables, lane: str, first: int, last: int
) -> list[OutboxRow]:
    """Return the rows `first`..`last`, extended to the next head.

    Nothing of a group could be integrated without the head that covers it. The
    answer is bounded: at most 4 pages; the caller asks again from where it ends.
    """
    wanted = min(max(last - first + 1, 1), 4 * PAGE_ROWS)
    found = rows_from(connection, tables, lane, first, wanted)
    while found and found[-1].head is None:
        more = rows_from(connection, tables, lane, found[-1].seq + 1)
        if not more:
            break
        for row in more:
            found.append(row)
            if row.head is not None:
                break
    return found


class Outstanding:
    """The events of a journal that are not yet receipted, kept in step with it.

    A row never changes once it is committed: each is read once, however often it is
    asked for. Whoever doubts what it holds makes a new one.
    """

    def __init__(self, tables: LaneTables) -> None:
        lane, box = tables.lane, tables.outbox
        self._lanes = Prepared(
            select(lane.c.id, lane.c.seq, lane.c.receipted_seq).where(
                lane.c.seq > lane.c.receipted_seq
            )
        )
        self._rows = Prepared(
            select(box.c.seq, box.c.leaf_hash)
            .where(box.c.lane == bindparam("of_lane"), box.c.seq > bindparam("after"))
            .order_by(box.c.seq)
        )
        self._ends: dict[str, int] = {}
        self._found: dict[bytes, tuple[str, int]] = {}

    def read(self, connection: Connection) -> tuple[dict[str, int], Places]:
        """Return lane → last receipted number, and leaf hash → (lane, seq).

        The lanes are those that have outstanding events, and the places may hold
        events that were receipted since.
        """
        receipted = {}
        for lane, _last, upto in self._lanes.all(connection):
            receipted[lane] = upto
            after = max(upto, self._ends.get(lane, 0))
            for seq, leaf in self._rows.all(connection, of_lane=lane, after=after):
                self._found[leaf] = (lane, seq)
                self._ends[lane] = seq
        return receipted, self._found

    def drop(self, leaves: Iterable[bytes]) -> None:
        """Forget events that are receipted."""
        for leaf in leaves:
            self._found.pop(leaf, None)


def receipt(tx: Tx, tables: LaneTables, upto: Mapping[str, int]) -> None:
    """Record that each lane's events up to the given number are in the log."""
    lane = tables.lane
    for lane_id, seq in upto.items():
        tx.execute(
            update(lane)
            .where(lane.c.id == lane_id, lane.c.receipted_seq < seq)
            .values(receipted_seq=seq)
        )


def trim(tx: Tx, tables: LaneTables, older_than_ms: int) -> int:
    """Delete receipted rows created before `older_than_ms`; return how many."""
    box, lane = tables.outbox, tables.lane
    receipted = (
        select(lane.c.receipted_seq).where(lane.c.id == box.c.lane).scalar_subquery()
    )
    return tx.execute(
        delete(box).where(box.c.seq <= receipted, box.c.created_at <= older_than_ms)
    ).rowcount


def stats(connection: Connection, tables: LaneTables, now_ms: int) -> OutboxStats:
    """Return what is not yet receipted.

    Asks for the ends of lanes and one row of each: an outbox that has grown while
    the log was away must not be counted through several times a minute.
    """
    box, lane = tables.outbox, tables.lane
    rows = connection.execute(
        select(lane.c.seq - lane.c.receipted_seq, box.c.created_at)
        .outerjoin(
            box, and_(box.c.lane == lane.c.id, box.c.seq == lane.c.receipted_seq + 1)
        )
        .where(lane.c.seq > lane.c.receipted_seq)
    ).all()
    oldest = min((row[1] for row in rows if row[1] is not None), default=now_ms)
    return OutboxStats(
        rows=sum(row[0] for row in rows),
        oldest_seconds=max(0.0, (now_ms - oldest) / 1000),
    )


def totals(connection: Connection, tables: LaneTables) -> Totals:
    """Return how many events were ever committed, and how many receipted."""
    lane = tables.lane
    row = connection.execute(
        select(func.sum(lane.c.seq), func.sum(lane.c.receipted_seq))
    ).one()
    return Totals(int(row[0] or 0), int(row[1] or 0))
