# SPDX-License-Identifier: Apache-2.0
"""SQL of collisions: pairs of a party's records that share a value of a unique field.

Callers that write hold the locks of both records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.vault.custody.state import CollisionDecision, CollisionState
from services.vault.custody.store.settlements import entries_of
from services.vault.custody.tables import collision

_OPEN = CollisionState.OPEN.value


class Collision(NamedTuple):
    """Two records of the buyer that share a value of a unique field.

    Attributes:
        record: The one that arrived.
        kept: The record that a decision kept, or empty.
    """

    handover: str
    position: int
    party: str
    field: str
    record: str
    other: str
    state: CollisionState
    decision: str
    kept: str


_COLLISION = tuple(collision.c[name] for name in Collision._fields)


def insert_collisions(tx: Tx, found: Sequence[Collision]) -> None:
    """List collisions for a person."""
    if found:
        rows = [{**one._asdict(), "state": one.state.value} for one in found]
        tx.execute(insert(collision), rows)


def collisions_after(
    connection: Connection, handover: str, after: int, limit: int
) -> list[Collision]:
    """Return a handover's collisions beyond a position, in order."""
    rows = connection.execute(
        select(*_COLLISION)
        .where(collision.c.handover == handover, collision.c.position > after)
        .order_by(collision.c.position)
        .limit(limit)
    )
    return [_collision(row) for row in rows]


def find_collision(
    connection: Connection, handover: str, position: int
) -> Collision | None:
    """Return one collision of a handover."""
    row = connection.execute(
        select(*_COLLISION).where(
            collision.c.handover == handover, collision.c.position == position
        )
    ).first()
    return None if row is None else _collision(row)


def _collision(row: Any) -> Collision:
    found = Collision(*row)
    return found._replace(state=CollisionState(found.state))


def open_collisions(connection: Connection, handover: str) -> int:
    """Return how many collisions of a handover wait for a person."""
    return int(
        connection.execute(
            select(func.count())
            .select_from(collision)
            .where(collision.c.handover == handover, collision.c.state == _OPEN)
        ).scalar_one()
    )


def close_collision(
    tx: Tx, found: Collision, decision: CollisionDecision, kept: str
) -> bool:
    """Settle an open collision; False if it is not open any more."""
    moved = tx.execute(
        update(collision)
        .where(
            collision.c.handover == found.handover,
            collision.c.position == found.position,
            collision.c.state == _OPEN,
        )
        .values(
            state=CollisionState.SETTLED.value,
            decision=decision.value,
            kept=kept,
            settled_at=milliseconds(tx.now),
        )
    )
    return moved.rowcount == 1


def inherit_collisions(tx: Tx, party: str, absorbed: str, kept: str) -> list[Collision]:
    """Let the record that absorbed another inherit its open collisions.

    Those between the two are settled with it. What it shares with the third record
    no more is void.

    Returns:
        The ones that were settled with it.
    """
    rows = tx.execute(
        select(*_COLLISION).where(
            or_(collision.c.record == absorbed, collision.c.other == absorbed),
            collision.c.party == party,
            collision.c.state == _OPEN,
        )
    )
    settled = []
    for one in [_collision(row) for row in rows]:
        if {one.record, one.other} == {absorbed, kept}:
            close_collision(tx, one, CollisionDecision.MERGE, kept)
            settled.append(one)
            continue
        pair = [kept if id_ == absorbed else id_ for id_ in (one.record, one.other)]
        shared = shared_keys(tx.connection, party, one.field, *pair)
        state = CollisionState.OPEN if shared else CollisionState.VOID
        tx.execute(
            update(collision)
            .where(
                collision.c.handover == one.handover,
                collision.c.position == one.position,
            )
            .values(record=pair[0], other=pair[1], state=state.value)
        )
    return settled


def shared_keys(
    connection: Connection, party: str, name: str, record_id: str, other: str
) -> set[tuple[str, bytes]]:
    """Return the (field, value) pairs of one field that two records both have."""
    keys: dict[str, set[tuple[str, bytes]]] = {record_id: set(), other: set()}
    for one in entries_of(connection, party, [record_id, other]):
        if one.field == name:
            keys[one.record].add(one.key)
    return keys[record_id] & keys[other]
