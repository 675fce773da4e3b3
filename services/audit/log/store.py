# SPDX-License-Identifier: Apache-2.0
"""All SQL of the log room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.engine import Connection

from services.audit.log.arrivals import Position
from services.audit.log.tables import alert, leaf, offset, position, tree
from services.audit.schema import OWN_LANES
from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.prepared import Prepared

SLICE = 5_000  # leaves read at once

_ADD_LEAF: Final = Prepared.insert(leaf)


@dataclass(frozen=True, slots=True)
class TreeRow:
    """The stored tree: its size, edge bytes and signed checkpoint."""

    size: int
    edge: bytes
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class LeafRow:
    """One leaf on its way into the tree."""

    lane: str
    seq: int
    leaf_hash: bytes
    event: bytes


@dataclass(frozen=True, slots=True)
class PositionRow:
    """How far a lane is integrated, and what its opening said of the one before.

    Attributes:
        head: The source's signature over this end of the lane.
    """

    lane: str
    service: str
    slot: str
    seq: int
    leaf_hash: bytes
    head: bytes
    previous: str = ""
    previous_seq: int = 0
    previous_leaf: bytes = b""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as a person sees it."""

    id: str
    code: str
    lane: str
    seq: int
    raised_at: int
    acknowledged_at: int | None


def tree_row(connection: Connection) -> TreeRow:
    """Return the stored tree; an empty one before the first leaf."""
    row = connection.execute(select(tree.c.size, tree.c.edge, tree.c.checkpoint))
    found = row.first()
    return TreeRow(*found) if found is not None else TreeRow(0, b"", b"")


def tree_and_positions(
    connection: Connection,
) -> tuple[TreeRow, list[PositionRow]]:
    """Return the stored tree and every lane's position under it, in one snapshot."""
    return tree_row(connection), positions(connection)


def swap_tree(tx: Tx, old: TreeRow, new: TreeRow) -> bool:
    """Replace the tree if it is still `old`; whether it was."""
    values = {"size": new.size, "edge": new.edge, "checkpoint": new.checkpoint}
    if not old.checkpoint:
        tx.execute(insert(tree).values(id=1, **values))
        return True
    swapped = tx.execute(
        update(tree)
        .where(tree.c.id == 1, tree.c.checkpoint == old.checkpoint)
        .values(**values)
    )
    return swapped.rowcount == 1


def add_leaves(tx: Tx, first: int, rows: Sequence[LeafRow]) -> None:
    """Insert leaves from index `first` on. A known (lane, seq) violates UNIQUE."""
    _ADD_LEAF.execute_many(
        tx.connection,
        [
            {
                "index": first + i,
                "lane": row.lane,
                "seq": row.seq,
                "leaf_hash": row.leaf_hash,
                "event": row.event,
            }
            for i, row in enumerate(rows)
        ],
    )


def positions(connection: Connection) -> list[PositionRow]:
    """Return every lane's position."""
    return [PositionRow(*row) for row in connection.execute(select(position))]


def position_of(connection: Connection, lane: str) -> PositionRow | None:
    """Return one lane's position."""
    row = connection.execute(select(position).where(position.c.lane == lane)).first()
    return PositionRow(*row) if row is not None else None


def put_position(tx: Tx, row: PositionRow) -> None:
    """Move a lane's position, or insert the first one."""
    moved = tx.execute(
        update(position)
        .where(position.c.lane == row.lane)
        .values(seq=row.seq, leaf_hash=row.leaf_hash, head=row.head)
    )
    if moved.rowcount == 0:
        tx.execute(insert(position).values(**asdict(row)))


def put_heads(tx: Tx, heads: Mapping[str, tuple[Position, bytes]]) -> None:
    """Store the sources' signatures over ends of lanes that were replayed."""
    for lane, (end, signature) in heads.items():
        tx.execute(
            update(position)
            .where(
                position.c.lane == lane,
                position.c.seq == end.seq,
                position.c.leaf_hash == end.leaf,
                position.c.head == b"",
            )
            .values(head=signature)
        )


def put_own_lane(tx: Tx, row: PositionRow) -> None:
    """Have one of audit's own lanes end where the log holds it, all of it receipted."""
    lane = OWN_LANES.lane
    end = {
        "seq": row.seq,
        "leaf_hash": row.leaf_hash,
        "head": row.head,
        "receipted_seq": row.seq,
    }
    moved = tx.execute(
        update(lane).where(lane.c.id == row.lane, lane.c.seq <= row.seq).values(**end)
    )
    known = select(lane.c.id).where(lane.c.id == row.lane)
    if moved.rowcount == 0 and tx.execute(known).first() is None:
        opened = {"slot": row.slot, "opened_at": milliseconds(tx.now)}
        made = {"id": row.lane, "successor": "", "closed": 0}
        tx.execute(insert(lane).values(**made, **opened, **end))
    tx.execute(update(lane).where(lane.c.id == row.previous).values(successor=row.lane))


def followers_of(connection: Connection, lane: str) -> list[PositionRow]:
    """Return the lanes whose opening names `lane` as the one before."""
    rows = connection.execute(select(position).where(position.c.previous == lane))
    return [PositionRow(*row) for row in rows]


def first_lanes(connection: Connection, service: str, slot: str) -> list[str]:
    """Return the lanes that began this slot; an honest source has one."""
    found = connection.execute(
        select(position.c.lane).where(
            position.c.service == service,
            position.c.slot == slot,
            position.c.previous == "",
        )
    )
    return list(found.scalars())


def leaf_at(connection: Connection, lane: str, seq: int) -> tuple[int, bytes] | None:
    """Return (index, event bytes) of a lane's event."""
    row = connection.execute(
        select(leaf.c.index, leaf.c.event).where(leaf.c.lane == lane, leaf.c.seq == seq)
    ).first()
    return (row[0], row[1]) if row is not None else None


def places(connection: Connection, first: int, last: int) -> list[tuple[str, int]]:
    """Return (lane, seq) of indexes `first`..`last - 1` as the columns say."""
    found = connection.execute(
        select(leaf.c.lane, leaf.c.seq)
        .where(leaf.c.index >= first, leaf.c.index < last)
        .order_by(leaf.c.index)
    )
    return [(row[0], row[1]) for row in found]


def leaf_hash_at(connection: Connection, lane: str, seq: int) -> bytes | None:
    """Return the leaf hash of a lane's event."""
    return connection.execute(
        select(leaf.c.leaf_hash).where(leaf.c.lane == lane, leaf.c.seq == seq)
    ).scalar()


def hashes(connection: Connection, first: int, last: int) -> list[bytes]:
    """Return the leaf hashes of indexes `first`..`last - 1`."""
    found = connection.execute(
        select(leaf.c.leaf_hash)
        .where(leaf.c.index >= first, leaf.c.index < last)
        .order_by(leaf.c.index)
    )
    return list(found.scalars())


def events(connection: Connection, first: int, last: int) -> list[bytes]:
    """Return the event bytes of indexes `first`..`last - 1`."""
    found = connection.execute(
        select(leaf.c.event)
        .where(leaf.c.index >= first, leaf.c.index < last)
        .order_by(leaf.c.index)
    )
    return list(found.scalars())


def events_at(
    connection: Connection, indexes: Sequence[int]
) -> list[tuple[int, bytes]]:
    """Return (index, event bytes) of these indexes, in order."""
    found = connection.execute(
        select(leaf.c.index, leaf.c.event)
        .where(leaf.c.index.in_(indexes))
        .order_by(leaf.c.index)
    )
    return [(row[0], row[1]) for row in found]


def offsets(connection: Connection) -> dict[tuple[str, int], int]:
    """Return the next offset of every partition."""
    rows = connection.execute(select(offset))
    return {(row.topic, row.partition): row.next for row in rows}


def put_offsets(tx: Tx, wanted: Mapping[tuple[str, int], int]) -> None:
    """Store the next offsets."""
    for (topic, partition), following in wanted.items():
        moved = tx.execute(
            update(offset)
            .where(offset.c.topic == topic, offset.c.partition == partition)
            .values(next=following)
        )
        if moved.rowcount == 0:
            tx.execute(
                insert(offset).values(topic=topic, partition=partition, next=following)
            )


def own_waiting(connection: Connection) -> list[LeafRow]:
    """Return committed events of audit's own lanes that are no leaves yet.

    A lane's opening and closing are committed by whoever writes first and last. Only
    lanes that are behind are looked into: the outbox keeps what was receipted.
    """
    lane, box = OWN_LANES.lane, OWN_LANES.outbox
    held = func.coalesce(position.c.seq, 0)
    rows: list[LeafRow] = []
    behind = connection.execute(
        select(lane.c.id, held)
        .outerjoin(position, position.c.lane == lane.c.id)
        .where(lane.c.seq > held)
        .order_by(lane.c.opened_at, lane.c.id)
    ).all()
    for lane_id, seq in behind:
        found = connection.execute(
            select(box.c.lane, box.c.seq, box.c.leaf_hash, box.c.event)
            .where(box.c.lane == lane_id, box.c.seq > seq)
            .order_by(box.c.seq)
        )
        rows += [LeafRow(*row) for row in found]
    return rows


def add_alert(tx: Tx, values: Mapping[str, Any]) -> bool:
    """Insert an alert; False where the same one stands already."""
    same = and_(
        alert.c.code == values["code"],
        alert.c.lane == values["lane"],
        alert.c.seq == values["seq"],
    )
    if tx.execute(select(alert.c.id).where(same)).first() is not None:
        return False
    tx.execute(insert(alert).values(**values))
    return True


def alerts(connection: Connection, limit: int) -> list[AlertRow]:
    """Return the newest alerts."""
    rows = connection.execute(
        select(
            alert.c.id,
            alert.c.code,
            alert.c.lane,
            alert.c.seq,
            alert.c.raised_at,
            alert.c.acknowledged_at,
        )
        .order_by(alert.c.raised_at.desc(), alert.c.id)
        .limit(limit)
    )
    return [AlertRow(*row) for row in rows]


def alert_counts(connection: Connection) -> dict[tuple[str, bool], int]:
    """Return how many alerts there are by code and whether acknowledged."""
    done = alert.c.acknowledged_at.is_not(None)
    rows = connection.execute(
        select(alert.c.code, done, func.count()).group_by(alert.c.code, done)
    )
    return {(row[0], bool(row[1])): row[2] for row in rows}


def all_hashes(connection: Connection, size: int) -> Iterable[bytes]:
    """Yield every leaf hash in order, in slices."""
    for first in range(0, size, SLICE):
        yield from hashes(connection, first, min(first + SLICE, size))
