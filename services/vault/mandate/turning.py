# SPDX-License-Identifier: Apache-2.0
"""The turn: one row flips, and from that commit on the buyer reads, not the seller.

Adding up happens before, in a snapshot, so that nobody waits for it; in the
transaction only what may have changed since is compared.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

from contracts.custody import mandate as law
from contracts.custody.decision import DecisionSummary
from contracts.custody.document import Counts
from contracts.events.vault import CustodyTurned
from contracts.law.eligibility import OutcomeName
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.clock import milliseconds
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault.custody import handover as custody
from services.vault.custody.handover import Scope
from services.vault.custody.state import MOVING, ScopeState, TurnState
from services.vault.mandate import errors, store
from services.vault.mandate.freezing import refusal
from services.vault.mandate.ground import (
    Ground,
    Standing,
    acted,
    party_lock,
    standing,
    turn_lock,
)
from services.vault.mandate.releasing import (
    checked_mandate,
    require_still_holding,
    summary_of,
)
from services.vault.parties import bump_epoch

MAX_ROUNDS: Final = 5  # how often it adds up again because a folio dropped out

Drops = dict[str, dict[str, int]]
"""Class → reason → folios that left the decision since it was made."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A handover that turned. `turned_at` in milliseconds; counts after drops."""

    handover: str
    turned_at: int
    counts: Counts
    event: EventRef | None


@dataclass(frozen=True, slots=True)
class _Reconciled:
    """A handover whose numbers add up, in one snapshot."""

    at: Standing
    scope: Scope
    mandate: law.Mandate
    drops: Drops
    counts: Counts


async def turn(ground: Ground, principal: Principal, handover: str) -> Turned:
    """Turn custody; the same again returns what was.

    Raises:
        TurnRefused: Without mandate, with a batch open or unverified, or the mandate
            expired or revoked.
        NotReconciled: What was prepared is not what was decided.
        WrongState: The handover ended.
        HandoverUnknown: See `standing`.
    """
    for _round in range(MAX_ROUNDS):
        try:
            # Row by row over the whole decision: not on the event loop.
            found = await asyncio.to_thread(
                ground.changes.database.read_now,
                lambda c: _reconcile(c, ground, principal, handover),
            )
            if isinstance(found, Turned):
                return found
            done = await _flip(ground, principal, found)
        except law.MandateRefused as refused:
            at = await ground.changes.read(lambda c: standing(c, handover))
            logged = await refusal(ground, principal, at, refused)
            raise errors.TurnRefused(logged.reason, logged.event) from refused
        except errors.Overtaken:
            continue
        CRASH_POINTS.reach("vault.turn.after_write")
        return done
    raise errors.Overtaken("folios dropped out at each attempt")


def _reconcile(
    connection: Connection, ground: Ground, principal: Principal, handover: str
) -> _Reconciled | Turned:
    at = standing(connection, handover, principal)
    if at.scope is not None and at.scope.state is ScopeState.TURNED:
        return _turned(connection, at, at.scope)
    scope = _ready(connection, at)
    mandate = checked_mandate(connection, at, scope, ground.clock.now())
    drops = custody.dropped_counts(connection, handover)
    summary = summary_of(scope)
    counts = counts_after(summary, drops)
    _require_adding_up(connection, at, summary, counts)
    return _Reconciled(at, scope, mandate, drops, counts)


def _ready(connection: Connection, at: Standing) -> Scope:
    """Return the scope of a handover that may turn."""
    if at.turn is None or at.turn.state is not TurnState.OPEN or at.scope is None:
        raise errors.WrongState(at.state)
    if at.scope.state is not ScopeState.MANDATED:
        raise errors.TurnRefused("not-mandated")
    totals = store.batch_totals(connection, at.stored.handover)
    if totals.executed < totals.total:
        raise errors.TurnRefused("batch-open")
    if totals.verified < totals.total:
        raise errors.TurnRefused("batch-unverified")
    return at.scope


def counts_after(summary: DecisionSummary, drops: Drops) -> Counts:
    """Return the counts of a decision after drops; each class keeps its inventory.

    What dropped out counts as excluded, for the reason of the drop. The signed counts
    and the root stay what they were.
    """
    counts = {
        name: {outcome: dict(reasons) for outcome, reasons in outcomes.items()}
        for name, outcomes in summary.counts().items()
    }
    for name, reasons in drops.items():
        outcomes = counts.setdefault(name, {})
        for reason, number in reasons.items():
            _take(outcomes, number)
            excluded = outcomes.setdefault(OutcomeName.EXCLUDED.value, {})
            excluded[reason] = excluded.get(reason, 0) + number
    return counts


def _take(outcomes: dict[str, dict[str, int]], number: int) -> None:
    """Take dropped folios from what moves, where alone they can come from."""
    for outcome in MOVING:
        moving = outcomes.get(outcome, {})
        for reason in sorted(moving):
            taken = min(moving[reason], number)
            moving[reason] -= taken
            number -= taken
    if number:
        raise errors.NotReconciled("more dropped out than was to move")


def moving_in(counts: Counts) -> dict[str, int]:
    """Return class → folios that the buyer gets; classes without any are left out."""
    found = {
        name: sum(sum(outcomes.get(o, {}).values()) for o in MOVING)
        for name, outcomes in counts.items()
    }
    return {name: number for name, number in found.items() if number}


def _require_adding_up(
    connection: Connection, at: Standing, summary: DecisionSummary, counts: Counts
) -> None:
    """Assert per class: inventory = transferred + archive_only + held + excluded.

    The inventory is counted in the decision's rows, what is transferred in the
    buyer's pending custody, the rest in the signed counts less the drops.
    """
    handover = at.stored.handover
    pending = custody.pending_counts(connection, handover, at.buyer)
    if pending != moving_in(counts):
        raise errors.NotReconciled("pending custody is not what was decided")
    summed = {
        name: sum(sum(reasons.values()) for reasons in outcomes.values())
        for name, outcomes in counts.items()
    }
    inventory = custody.inventory_of(connection, handover)
    if inventory != summed or summary.inventory() != sum(inventory.values()):
        raise errors.NotReconciled("the outcomes do not sum to the inventory")


async def _flip(ground: Ground, principal: Principal, found: _Reconciled) -> Turned:
    handover, at = found.scope.handover, found.at

    def flip(tx: Tx) -> Turned:
        now = standing(tx.connection, handover, principal)
        if now.scope is not None and now.scope.state is ScopeState.TURNED:
            return _turned(tx.connection, now, now.scope)
        _ready(tx.connection, now)
        require_still_holding(tx.connection, now, found.mandate, tx.now)
        if custody.dropped_counts(tx.connection, handover) != found.drops:
            raise errors.Overtaken("a folio dropped out meanwhile")
        if not custody.move_turn(tx, handover, TurnState.TURNED, TurnState.OPEN):
            raise errors.WrongState(now.state)
        custody.move_scope(
            tx, at.seller, handover, ScopeState.TURNED, ScopeState.MANDATED
        )
        custody.insert_settlement(tx, handover, at.buyer)
        for party in sorted((at.seller, at.buyer)):
            bump_epoch(tx, party)
        event = CustodyTurned(
            **acted(tx, principal),
            handover=handover,
            plan_hash=found.scope.plan_hash,
            decision_root=found.scope.decision_root,
            counts=found.counts,
        )
        ref = outbox.append(tx, event.draft(at.seller, at.buyer))
        return Turned(handover, milliseconds(tx.now), found.counts, ref)

    locks = [
        party_lock(at.seller, exclusive=True),
        party_lock(at.buyer, exclusive=True),
        turn_lock(handover, exclusive=True),
    ]
    return await ground.changes.write(flip, locks)


def _turned(connection: Connection, at: Standing, scope: Scope) -> Turned:
    assert at.turn is not None
    assert at.turn.turned_at is not None
    drops = custody.dropped_counts(connection, scope.handover)
    counts = counts_after(summary_of(scope), drops)
    return Turned(scope.handover, at.turn.turned_at, counts, None)
