# SPDX-License-Identifier: Apache-2.0
"""SQL of frozen scopes and of the row that turns a handover.

Callers hold the party's scope lock exclusively to move a scope's state, and the turn's
lock exclusively to move a turn's; see vault.md, Races.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, insert, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.custody.state import FROZEN, ScopeState, TurnState
from services.vault.custody.tables import scope, turn


@dataclass(frozen=True, slots=True)
class Scope:
    """A frozen scope.

    Attributes:
        frozen_at: When the flag went up, milliseconds.
        expires_at: When it thaws by itself, milliseconds.
        as_of: The day of the decision, ISO.
        cursor: The last record decided; empty before the first.
        folios: How many folios are decided.
        summary: While deciding the saved tally, then the decision's groups; JSON.
        decision_root: Empty while deciding.
        secret_sealed: The secret of the decision's salts.
    """

    party: str
    handover: str
    state: ScopeState
    snapshot: str
    frozen_at: int
    expires_at: int
    as_of: str
    plan_hash: str
    cursor: str
    folios: int
    summary: str
    decision_root: str
    secret_sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """The row that turns a handover. `turned_at` in milliseconds."""

    handover: str
    seller: str
    buyer: str
    state: TurnState
    turned_at: int | None


_COLUMNS = tuple(scope.c[name] for name in Scope.__dataclass_fields__)
_FROZEN = [state.value for state in FROZEN]


def _scope_at(party: str, handover: str) -> ColumnElement[bool]:
    return and_(scope.c.party == party, scope.c.handover == handover)


_FIND_SCOPE = Prepared(
    select(*_COLUMNS).where(
        scope.c.party == bindparam("party"), scope.c.handover == bindparam("handover")
    )
)


def find_scope(connection: Connection, party: str, handover: str) -> Scope | None:
    """Return the scope of a party in a handover, None before the freeze."""
    row = _FIND_SCOPE.first(connection, party=party, handover=handover)
    return None if row is None else _scope(row._asdict())


def scopes_in(connection: Connection, *states: ScopeState) -> list[Scope]:
    """Return every scope in one of the states, in the order of freezing."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(scope.c.state.in_([state.value for state in states]))
        .order_by(scope.c.frozen_at, scope.c.handover)
    )
    return [_scope(row._asdict()) for row in rows]


def expired_scopes(connection: Connection, now: int) -> list[Scope]:
    """Return the frozen scopes whose time is up."""
    rows = connection.execute(
        select(*_COLUMNS).where(scope.c.state.in_(_FROZEN), scope.c.expires_at <= now)
    )
    return [_scope(row._asdict()) for row in rows]


def is_deciding(connection: Connection, party: str) -> bool:
    """Whether a decision over the party's records is being made."""
    found = connection.execute(
        select(scope.c.handover)
        .where(scope.c.party == party, scope.c.state == ScopeState.DECIDING.value)
        .limit(1)
    ).first()
    return found is not None


def _scope(row: dict[str, object]) -> Scope:
    return Scope(**{**row, "state": ScopeState(str(row["state"]))})  # type: ignore[arg-type]


def insert_scope(tx: Tx, new: Scope) -> None:
    """Insert a scope: from this commit on its flag is up."""
    values = {name: getattr(new, name) for name in Scope.__dataclass_fields__}
    tx.execute(insert(scope).values({**values, "state": new.state.value}))


def advance_scope(tx: Tx, known: Scope, cursor: str, folios: int, saved: str) -> bool:
    """Record a decided slice; False if the scope moved since it was read."""
    moved = tx.execute(
        update(scope)
        .where(
            _scope_at(known.party, known.handover),
            scope.c.state == ScopeState.DECIDING.value,
            scope.c.cursor == known.cursor,
        )
        .values(cursor=cursor, folios=folios, summary=saved)
    )
    return moved.rowcount == 1


def finish_scope(tx: Tx, known: Scope, summary: str, root: str) -> bool:
    """Record the decision of all slices; False if the scope moved meanwhile."""
    moved = tx.execute(
        update(scope)
        .where(
            _scope_at(known.party, known.handover),
            scope.c.state == ScopeState.DECIDING.value,
            scope.c.cursor == known.cursor,
        )
        .values(state=ScopeState.DECIDED.value, summary=summary, decision_root=root)
    )
    return moved.rowcount == 1


def move_scope(
    tx: Tx, party: str, handover: str, state: ScopeState, *came_from: ScopeState
) -> bool:
    """Move a scope's state; False if it is in none of `came_from`."""
    moved = tx.execute(
        update(scope)
        .where(
            _scope_at(party, handover),
            scope.c.state.in_([one.value for one in came_from]),
        )
        .values(state=state.value)
    )
    return moved.rowcount == 1


# -- Turns ----------------------------------------------------------------------------


_TURN = select(
    turn.c.handover, turn.c.seller, turn.c.buyer, turn.c.state, turn.c.turned_at
)
_FIND_TURN = Prepared(_TURN.where(turn.c.handover == bindparam("handover")))


def find_turn(connection: Connection, handover: str) -> Turn | None:
    """Return the turn's row, None before a freeze or a cancellation."""
    row = _FIND_TURN.first(connection, handover=handover)
    return None if row is None else _turn(row)


def turns_in(connection: Connection, *states: TurnState) -> list[Turn]:
    """Return every turn in one of the states."""
    rows = connection.execute(
        _TURN.where(turn.c.state.in_([state.value for state in states])).order_by(
            turn.c.handover
        )
    )
    return [_turn(row) for row in rows]


def _turn(row: Sequence[Any]) -> Turn:
    return Turn(row[0], row[1], row[2], TurnState(row[3]), row[4])


def insert_turn(tx: Tx, handover: str, seller: str, buyer: str, at: TurnState) -> None:
    """Insert the turn's row."""
    tx.execute(
        insert(turn).values(
            handover=handover,
            seller=seller,
            buyer=buyer,
            state=at.value,
            turned_at=None,
        )
    )


def move_turn(tx: Tx, handover: str, state: TurnState, came_from: TurnState) -> bool:
    """Move the turn's state; False if it is not `came_from`."""
    turned_at = milliseconds(tx.now) if state is TurnState.TURNED else None
    moved = tx.execute(
        update(turn)
        .where(turn.c.handover == handover, turn.c.state == came_from.value)
        .values(state=state.value, turned_at=turned_at)
    )
    return moved.rowcount == 1
