# SPDX-License-Identifier: Apache-2.0
"""Ending a handover without a turn: cancelled, revoked, or thawed when its time is up.

The state moves first, under the turn's exclusive lock: from then on no batch, no
verification and no turn gets through. What was prepared is deleted afterwards in
slices, each a batch, so that a process killed anywhere continues where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from contracts.events.vault import ScopeReleased
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.vault.custody import handover as custody
from services.vault.custody.state import FROZEN, ScopeState, TurnState
from services.vault.mandate import errors, store
from services.vault.mandate.ground import (
    Ground,
    Standing,
    acted,
    party_lock,
    standing,
    turn_lock,
)
from services.vault.parties import bump_epoch

ENDED: Final = (
    TurnState.CANCELLING,
    TurnState.CANCELLED,
    TurnState.REVOKED,
    TurnState.THAWED,
)
REASONS: Final[Mapping[TurnState, str]] = MappingProxyType(
    {
        TurnState.CANCELLING: "cancelled",
        TurnState.REVOKED: "revoked",
        TurnState.THAWED: "thawed",
    }
)


async def end(
    ground: Ground, principal: Principal | None, handover: str, state: TurnState
) -> str:
    """Move a handover to `cancelling`, `revoked` or `thawed`; return its state.

    One that ended keeps the state in which it ended. Without a principal it is the
    vault's own doing, and only an expired scope thaws.

    Raises:
        WrongState: It turned.
        HandoverUnknown: See `standing`.
    """
    known = await ground.changes.read(lambda c: standing(c, handover, principal))

    def move(tx: Tx) -> str:
        at = standing(tx.connection, handover, principal)
        if at.turn is not None and at.turn.state in ENDED:
            return at.state
        if at.turn is not None and at.turn.state is TurnState.TURNED:
            raise errors.WrongState(at.state)
        if principal is None and not _is_due(tx, at):
            return at.state
        _end(tx, principal, at, state)
        return state.value

    locks = [
        party_lock(known.seller, exclusive=True),
        turn_lock(handover, exclusive=True),
    ]
    return await ground.changes.write(move, locks)


def _is_due(tx: Tx, at: Standing) -> bool:
    scope = at.scope
    return (
        scope is not None
        and scope.state in FROZEN
        and scope.expires_at <= milliseconds(tx.now)
    )


def _end(tx: Tx, principal: Principal | None, at: Standing, state: TurnState) -> None:
    handover = at.stored.handover
    if at.turn is None:
        custody.insert_turn(tx, handover, at.seller, at.buyer, state)
    else:
        custody.move_turn(tx, handover, state, TurnState.OPEN)
    custody.move_scope(tx, at.seller, handover, ScopeState.RELEASED, *FROZEN)
    bump_epoch(tx, at.seller)
    by = {} if principal is None else acted(tx, principal)
    event = ScopeReleased(**by, handover=handover, reason=REASONS[state])
    outbox.append(tx, event.draft(at.seller, at.buyer))


async def clear(ground: Ground, handover: str) -> None:
    """Delete everything that a handover which ended had prepared."""
    while await _clear_slice(ground, handover):
        pass


async def _clear_slice(ground: Ground, handover: str) -> bool:
    def delete(tx: Tx) -> bool:
        found = custody.find_turn(tx.connection, handover)
        if found is None or found.state not in ENDED:
            return False
        batch = store.next_executed(tx.connection, handover)
        if batch is None:
            custody.move_turn(tx, handover, TurnState.CANCELLED, TurnState.CANCELLING)
            return False
        custody.delete_pending(
            tx, handover, found.buyer, batch.first_position, batch.last_position
        )
        store.unmake_batch(tx, handover, batch.n)
        return True

    return await ground.changes.write(delete, [turn_lock(handover, exclusive=True)])


async def uncleared(ground: Ground) -> list[str]:
    """Return the handovers that ended and still have something prepared."""
    ended = (TurnState.CANCELLING, TurnState.REVOKED, TurnState.THAWED)
    return await ground.changes.read(
        lambda c: [
            one.handover
            for one in custody.turns_in(c, *ended)
            if one.state is TurnState.CANCELLING
            or store.next_executed(c, one.handover) is not None
        ]
    )
