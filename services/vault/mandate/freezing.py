# SPDX-License-Identifier: Apache-2.0
"""Freezing a scope, and deciding it slice by slice.

The freeze takes the party's lock exclusively only to raise the flag. The decision is
made behind it in slices, each a transaction that ends with the saved tally, so that a
process killed anywhere continues where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from contracts.custody import mandate as law
from contracts.custody.decision import (
    SECRET_SIZE,
    DecisionRow,
    DecisionSummary,
    DecisionTally,
    decision_root,
    summary_bytes,
)
from contracts.events.payload import EventDraft
from contracts.events.vault import DecisionMade, MandateRefused, ScopeFrozen
from contracts.law.eligibility import decide
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault.custody import handover as custody
from services.vault.custody.handover import Scope
from services.vault.custody.state import ScopeState, TurnState
from services.vault.mandate import errors, store
from services.vault.mandate.ground import (
    Ground,
    Standing,
    acted,
    party_lock,
    record_locks,
    standing,
    turn_lock,
)
from services.vault.mandate.plans import check_catalogues
from services.vault.mandate.slicing import cut
from services.vault.parties import bump_epoch, officer_keys

SLICE_RECORDS: Final = 100

# -- The flag -------------------------------------------------------------------------


async def freeze(
    ground: Ground,
    principal: Principal,
    handover: str,
    approvals: Sequence[law.Envelope],
) -> Scope:
    """Raise the freeze flag; the same again returns the scope as it is.

    Raises:
        MandateRefused: The approvals do not suffice; logged.
        PlanRefused: The buyer's catalogue lacks something by now.
        WrongState: The handover ended, or another decision of the seller is being
            made.
        HandoverUnknown: See `standing`.
    """
    known = await ground.changes.read(lambda c: standing(c, handover, principal))
    if known.scope is None:
        await check_catalogues(ground, known.plan)
    snapshot = ground.new_id()
    secret = ground.sealed_secret(handover, ground.random_bytes(SECRET_SIZE))

    def raise_flag(tx: Tx) -> Scope:
        at = standing(tx.connection, handover, principal)
        if at.scope is not None and at.scope.state is not ScopeState.RELEASED:
            return at.scope
        approved = _approved(tx, at, approvals)
        scope = _new_scope(tx, at, snapshot, secret, approved)
        _freeze(tx, principal, at, scope)
        return scope

    locks = [
        party_lock(known.seller, exclusive=True),
        turn_lock(handover, exclusive=True),
    ]
    try:
        return await ground.changes.write(raise_flag, locks)
    except law.MandateRefused as refused:
        raise await refusal(ground, principal, known, refused) from refused


def _approved(tx: Tx, at: Standing, approvals: Sequence[law.Envelope]) -> law.Approvals:
    if at.turn is not None:
        raise errors.WrongState(at.state)
    # Two decisions at once might both move what neither has decided yet.
    if custody.is_deciding(tx.connection, at.seller):
        raise errors.WrongState(ScopeState.DECIDING.value)
    officers = officer_keys(tx.connection, at.seller, at.buyer)
    return law.check_approvals(at.plan, approvals, officers.values(), tx.now)


async def refusal(
    ground: Ground, principal: Principal, at: Standing, refused: law.MandateRefused
) -> errors.MandateRefused:
    """Log that signatures were refused; return the error to raise."""

    def log(tx: Tx) -> EventRef:
        event = MandateRefused(
            **acted(tx, principal),
            handover=at.stored.handover,
            reason=refused.code.value,
        )
        return outbox.append(tx, event.draft(at.seller, at.buyer))

    return errors.MandateRefused(refused, await ground.changes.write(log))


def _new_scope(
    tx: Tx, at: Standing, snapshot: str, secret: bytes, approved: law.Approvals
) -> Scope:
    return Scope(
        party=at.seller,
        handover=at.stored.handover,
        state=ScopeState.DECIDING,
        snapshot=snapshot,
        # What was written while a clock was ahead existed before the freeze as well:
        # left out, a customer's other folios would move without it.
        frozen_at=max(milliseconds(tx.now), custody.newest_version_at(tx.connection)),
        expires_at=milliseconds(approved.expires),
        as_of=at.plan.as_of or tx.now.date().isoformat(),
        plan_hash=at.stored.plan_hash,
        cursor="",
        folios=0,
        summary="",
        decision_root="",
        secret_sealed=secret,
    )


def _freeze(tx: Tx, principal: Principal, at: Standing, scope: Scope) -> None:
    custody.insert_scope(tx, scope)
    custody.insert_turn(tx, scope.handover, at.seller, at.buyer, TurnState.OPEN)
    bump_epoch(tx, at.seller)
    event = ScopeFrozen(
        **acted(tx, principal),
        handover=scope.handover,
        plan_hash=scope.plan_hash,
        snapshot=scope.snapshot,
    )
    outbox.append(tx, event.draft(at.seller, at.buyer))


# -- The decision ---------------------------------------------------------------------


async def decide_all(ground: Ground, handover: str) -> None:
    """Decide what is not decided yet, slice by slice, until the end or a thaw."""
    while await decide_slice(ground, handover):
        pass


async def decide_slice(ground: Ground, handover: str) -> bool:
    """Decide the next 100 records; False when there is nothing more to decide."""
    at = await ground.changes.read(lambda c: standing(c, handover))
    scope = at.scope
    if scope is None or scope.state is not ScopeState.DECIDING:
        return False
    records = await ground.changes.read(
        lambda c: custody.next_records(c, scope.party, scope.cursor, SLICE_RECORDS)
    )
    if not records:
        await ground.changes.write(
            lambda tx: _finish(tx, ground, at, scope),
            [party_lock(scope.party), turn_lock(handover)],
        )
        return False
    # Another process that decides, or a thaw, leaves nothing: the next look sees it.
    with contextlib.suppress(errors.Overtaken):
        await ground.changes.write(
            lambda tx: _decide(tx, ground, at, scope, records),
            [party_lock(scope.party), *record_locks(scope.party, records)],
        )
    return True


def _decide(
    tx: Tx, ground: Ground, at: Standing, scope: Scope, records: Sequence[str]
) -> None:
    if custody.find_scope(tx.connection, scope.party, scope.handover) != scope:
        raise errors.Overtaken("the scope moved meanwhile")
    criteria = ground.criteria(at.plan, scope.as_of)
    tally = _tally(ground, scope)
    drawn = {record: ground.new_id() for record in records}
    rows = []
    for record, facts in custody.facts_of(
        tx.connection,
        scope.party,
        records,
        handover=scope.handover,
        frozen_at=scope.frozen_at,
    ):
        found = decide(criteria, facts)
        row = DecisionRow(
            position=tally.next_position,
            record=record,
            new_record=drawn[record],
            class_=facts.class_,
            volume=facts.volume,
            version=facts.version,
            outcome=found.outcome,
            rule=found.rule,
            reason=found.reason,
        )
        tally.add(row)
        rows.append(row)
    custody.insert_rows(tx, scope.handover, rows)
    _cut(tx, scope.handover, to_the_end=False)
    saved, folios = tally.saved().decode(), tally.next_position
    if not custody.advance_scope(tx, scope, records[-1], folios, saved):
        raise errors.Overtaken("the scope moved meanwhile")


def _finish(tx: Tx, ground: Ground, at: Standing, scope: Scope) -> None:
    summary = _tally(ground, scope).summary()
    root = decision_root(summary)
    text = summary_bytes(summary).decode()
    if not custody.finish_scope(tx, scope, text, root):
        return  # thawed, cancelled, or another process was first
    _cut(tx, scope.handover, to_the_end=True)
    outbox.append(tx, _made(replace(scope, decision_root=root), summary, at))


def _made(scope: Scope, summary: DecisionSummary, at: Standing) -> EventDraft:
    event = DecisionMade(
        handover=scope.handover,
        snapshot=scope.snapshot,
        decision_root=scope.decision_root,
        counts=summary.counts(),
        as_of=scope.as_of,
    )
    return event.draft(at.seller, at.buyer)


def _tally(ground: Ground, scope: Scope) -> DecisionTally:
    secret = ground.secret_of(scope)
    if not scope.summary:
        return DecisionTally(secret)
    return DecisionTally.continued(scope.summary.encode(), secret)


def _cut(tx: Tx, handover: str, *, to_the_end: bool) -> None:
    last = store.last_batch(tx.connection, handover)
    after, first = (-1, 1) if last is None else (last.last_position, last.n + 1)
    rows = custody.rows_after(tx.connection, handover, after, moving=True)
    new = cut([one.row for one in rows], first=first, to_the_end=to_the_end)
    store.insert_batches(tx, handover, new)
