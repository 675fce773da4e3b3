# SPDX-License-Identifier: Apache-2.0
"""All SQL of the room of handovers, as functions of a connection or transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.transfer.errors import StaleHandover
from services.transfer.handovers.roles import Sides
from services.transfer.handovers.states import Actor, Event, Kind, State
from services.transfer.handovers.steps import Act, Position, replay
from services.transfer.handovers.tables import (
    document,
    handover,
    scope,
    seat,
    transition,
)


@dataclass(frozen=True, slots=True)
class HandoverRow:
    """A handover as stored; empty texts stand for what is not there yet."""

    id: str
    seller: str
    buyer: str
    reviewer: str
    deal_type: str
    path: str
    note: str
    state: State
    step: int
    created_at: int
    plan: bytes | None
    plan_hash: str
    plan_expires_at: int | None
    snapshot_id: str
    as_of: str
    decision_root: str
    decision: str
    backup: str
    turned: str
    fault: str

    @property
    def sides(self) -> Sides:
        """The parties of the handover."""
        return Sides(self.seller, self.buyer, self.reviewer)


@dataclass(frozen=True, slots=True)
class Transition:
    """One step as stored; `document` is a digest, empty where nothing was signed."""

    step: int
    event: Event
    actor: Actor
    person: str
    key_id: str
    from_state: State
    to_state: State
    document: str
    reason: str
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A signed document as stored; it counts while `voided_step` is None."""

    step: int
    kind: Kind
    role: Actor
    key_id: str
    subject: str
    digest: str
    envelope: bytes
    at: int
    voided_step: int | None


@dataclass(frozen=True, slots=True)
class Seat:
    """A person's chair in a handover."""

    role: Actor
    alias: str


_GET = select(*[handover.c[name] for name in HandoverRow.__slots__])


def _handover(row: Row[Any]) -> HandoverRow:
    members = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public spelling
    return HandoverRow(**{**members, "state": State(members["state"])})


def get(connection: Connection | Tx, handover_id: str) -> HandoverRow | None:
    """Return a handover, or None."""
    row = connection.execute(_GET.where(handover.c.id == handover_id)).first()
    return None if row is None else _handover(row)


def of_party(
    connection: Connection, party: str, *, before: str, state: str, limit: int
) -> list[HandoverRow]:
    """Return a party's handovers, the newest first, older than the id `before`."""
    mine = or_(
        handover.c.seller == party,
        handover.c.buyer == party,
        handover.c.reviewer == party,
    )
    found = _GET.where(mine)
    if before:
        found = found.where(handover.c.id < before)
    if state:
        found = found.where(handover.c.state == state)
    rows = connection.execute(found.order_by(handover.c.id.desc()).limit(limit))
    return [_handover(row) for row in rows]


def in_states(
    connection: Connection, states: Sequence[State], now_ms: int
) -> list[HandoverRow]:
    """Return the handovers in some states that no worker drives now, oldest first."""
    rows = connection.execute(
        _GET.where(
            handover.c.state.in_([state.value for state in states]),
            handover.c.driven_until <= now_ms,
        ).order_by(handover.c.id)
    )
    return [_handover(row) for row in rows]


def by_state(connection: Connection) -> tuple[dict[State, int], int]:
    """Return how many handovers are in each state, and how many have a fault."""
    counted = select(handover.c.state, func.count()).group_by(handover.c.state)
    faulty = select(func.count()).where(handover.c.fault != "")
    found = {State(state): count for state, count in connection.execute(counted)}
    return found, connection.execute(faulty).scalar_one()


def ids_in(connection: Connection, states: Sequence[State]) -> list[str]:
    """Return the ids of the handovers in some states."""
    wanted = handover.c.state.in_([state.value for state in states])
    return list(connection.execute(select(handover.c.id).where(wanted)).scalars())


def create(tx: Tx, row: HandoverRow) -> None:
    """Insert a new handover in its first state."""
    values = {name: getattr(row, name) for name in HandoverRow.__slots__}
    tx.execute(
        insert(handover).values(
            **{**values, "state": row.state.value, "driven_until": 0, "driven_by": ""}
        )
    )


def move(  # noqa: PLR0913 - a step's columns, one each
    tx: Tx,
    before: HandoverRow,
    to: State,
    act: Act,
    *,
    key_id: str = "",
    document_digest: str = "",
    reason: str = "",
    note: str = "",
    changes: Mapping[str, Any] | None = None,
) -> Transition:
    """Move the handover one step on and write the step beside it.

    Raises:
        StaleHandover: It is not where `before` saw it.
    """
    moved = tx.execute(
        update(handover)
        .where(
            handover.c.id == before.id,
            handover.c.state == before.state.value,
            handover.c.step == before.step,
        )
        .values(
            **{
                "fault": "",
                "driven_until": 0,
                "driven_by": "",
                **(changes or {}),
                "state": to.value,
                "step": before.step + 1,
            }
        )
    )
    if moved.rowcount != 1:
        raise StaleHandover
    step = Transition(
        before.step + 1,
        act.event,
        act.actor,
        act.person,
        key_id,
        before.state,
        to,
        document_digest,
        reason,
        note,
        milliseconds(tx.now),
    )
    values = {name: getattr(step, name) for name in Transition.__slots__}
    tx.execute(insert(transition).values(handover=before.id, **values))
    return step


def transitions(connection: Connection | Tx, handover_id: str) -> list[Transition]:
    """Return the steps of a handover, in order."""
    columns = [transition.c[name] for name in Transition.__slots__]
    rows = connection.execute(
        select(*columns)
        .where(transition.c.handover == handover_id)
        .order_by(transition.c.step)
    )
    return [
        Transition(
            **{
                **row._mapping,  # noqa: SLF001
                "event": Event(row.event),
                "actor": Actor(row.actor),
                "from_state": State(row.from_state),
                "to_state": State(row.to_state),
            }
        )
        for row in rows
    ]


def position(connection: Connection | Tx, handover_id: str) -> Position:
    """Return where a handover stands, by replaying its steps."""
    return replay(
        Act(step.event, step.actor, step.person)
        for step in transitions(connection, handover_id)
    )


def seat_of(connection: Connection | Tx, handover_id: str, person: str) -> Seat | None:
    """Return a person's chair, or None if the person has not acted yet."""
    row = connection.execute(
        select(seat.c.role, seat.c.alias).where(
            seat.c.handover == handover_id, seat.c.person == person
        )
    ).first()
    return None if row is None else Seat(Actor(row.role), row.alias)


def take_seat(tx: Tx, handover_id: str, person: str, taken: Seat) -> None:
    """Give a person a chair for the life of the handover."""
    tx.execute(
        insert(seat).values(
            handover=handover_id, person=person, role=taken.role, alias=taken.alias
        )
    )


def add_scope(tx: Tx, handover_id: str, raw: bytes, digest: str, step: int) -> int:
    """Store the next version of the scope and return its number."""
    newest = tx.execute(
        select(func.coalesce(func.max(scope.c.version), 0)).where(
            scope.c.handover == handover_id
        )
    ).scalar_one()
    tx.execute(
        insert(scope).values(
            handover=handover_id,
            version=newest + 1,
            bytes=raw,
            digest=digest,
            step=step,
        )
    )
    return int(newest) + 1


def newest_scope(
    connection: Connection | Tx, handover_id: str
) -> tuple[bytes, str] | None:
    """Return bytes and digest of the scope on the table, or None."""
    row = connection.execute(
        select(scope.c.bytes, scope.c.digest)
        .where(scope.c.handover == handover_id)
        .order_by(scope.c.version.desc())
        .limit(1)
    ).first()
    return None if row is None else (row.bytes, row.digest)


def file_document(tx: Tx, handover_id: str, row: DocumentRow) -> None:
    """Store a signed document beside its step."""
    values = {name: getattr(row, name) for name in DocumentRow.__slots__}
    tx.execute(insert(document).values(handover=handover_id, **values))


def void_documents(tx: Tx, handover_id: str, kinds: Sequence[Kind], step: int) -> None:
    """Let the documents of these kinds count no more; they stay as evidence."""
    tx.execute(
        update(document)
        .where(
            document.c.handover == handover_id,
            document.c.kind.in_([kind.value for kind in kinds]),
            document.c.voided_step.is_(None),
        )
        .values(voided_step=step)
    )


def documents(
    connection: Connection | Tx, handover_id: str, kind: Kind | None = None
) -> list[DocumentRow]:
    """Return signed documents in order: all, or those of a kind that still count."""
    columns = [document.c[name] for name in DocumentRow.__slots__]
    found = select(*columns).where(document.c.handover == handover_id)
    if kind is not None:
        found = found.where(
            and_(document.c.kind == kind.value, document.c.voided_step.is_(None))
        )
    rows = connection.execute(found.order_by(document.c.step))
    return [
        DocumentRow(
            **{
                **row._mapping,  # noqa: SLF001
                "kind": Kind(row.kind),
                "role": Actor(row.role),
            }
        )
        for row in rows
    ]


def lease_drive(
    tx: Tx, handover_id: str, worker: str, now_ms: int, until_ms: int
) -> bool:
    """Lease the system's step of a handover; whether it was free."""
    taken = tx.execute(
        update(handover)
        .where(handover.c.id == handover_id, handover.c.driven_until <= now_ms)
        .values(driven_until=until_ms, driven_by=worker)
    )
    return taken.rowcount == 1


def release_drives(tx: Tx, worker: str) -> None:
    """Give up every lease that an earlier process of this name has left."""
    tx.execute(
        update(handover)
        .where(handover.c.driven_by == worker)
        .values(driven_until=0, driven_by="")
    )


def hold_drive(tx: Tx, before: HandoverRow, until_ms: int, fault: str) -> None:
    """Wait until then before the system's step is tried again, and say why."""
    tx.execute(
        update(handover)
        .where(handover.c.id == before.id, handover.c.step == before.step)
        .values(driven_until=until_ms, driven_by="", fault=fault)
    )
