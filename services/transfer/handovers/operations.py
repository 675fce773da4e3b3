# SPDX-License-Identifier: Apache-2.0
"""Handovers: opened, moved and read by people. One step = one row = one event.

Each step is a compare-and-swap on the handover's row, a dense row of evidence and an
outbox event in one transaction. What the vault has to do follows by itself
(`execution`); nothing here waits for it, except for the officers' keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.custody.officers import OfficerKey
from contracts.events.transfer import DocumentFiled, HandoverCreated
from contracts.law.pack import RulePack
from services.chassis import outbox
from services.chassis.auth import Principal, PrincipalKind
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import Tx
from services.chassis.idempotency import IdempotencyStore, Stored
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.transfer.errors import (
    ActorDenied,
    BodyRefused,
    HandoverNotFound,
    StepNotAllowed,
)
from services.transfer.handovers import store
from services.transfer.handovers.advancing import append_step, parties_of
from services.transfer.handovers.demands import Asked, Demands, Step
from services.transfer.handovers.documents import Opened
from services.transfer.handovers.plans import NOTHING_HANDED_OVER
from services.transfer.handovers.readings import may_see, show
from services.transfer.handovers.roles import Sides, actor_of
from services.transfer.handovers.signers import OfficerSource, is_enrolled, signers
from services.transfer.handovers.states import TRANSITIONS, Actor, Event, Kind, State
from services.transfer.handovers.steps import Act, Fault, StepRefused, advance, way
from services.transfer.handovers.store import DocumentRow, HandoverRow, Seat
from services.transfer.handovers.views import ProgressOf

#: Kinds that an edit of the plan, or of the scope, takes the force of.
_VOIDED_BY = {
    Event.APPROVE: (Kind.APPROVAL, Kind.OPINION),
    Event.AGREE: (Kind.SCOPE,),
}
_PERSONS_FAULTS = frozenset({Fault.ROLE, Fault.PERSON, Fault.DRAFTER})


@dataclass(frozen=True, slots=True)
class NewHandover:
    """What the seller's owner opens."""

    seller: str
    buyer: str
    reviewer: str
    deal_type: str
    path: str
    note: str


@dataclass(frozen=True, slots=True)
class Done:
    """A finished step: the handover as it now is, and where its event stands."""

    view: dict[str, Any]
    event: EventRef


class Handovers:
    """The room of handovers."""

    def __init__(  # noqa: PLR0913 - what it stands on, one each
        self,
        journal: Journal,
        officers: OfficerSource,
        *,
        installation: str,
        pack: RulePack,
        demonstration: bool,
        clock: Clock,
        new_id: Callable[[], str],
        new_alias: Callable[[], str],
        answers: IdempotencyStore,
        progress: ProgressOf,
    ) -> None:
        self._journal = journal
        self._officers = officers
        self._demands = Demands(installation, pack, demonstration=demonstration)
        self._clock = clock
        self._new_id = new_id
        self._new_alias = new_alias
        self._answers = answers
        self._progress = progress

    # --- steps of people -------------------------------------------------------

    async def create(
        self, principal: Principal, asked: NewHandover, key: str
    ) -> tuple[Stored, bool]:
        """Open a handover as a draft; once per idempotency key.

        Returns:
            The answer, and whether it was given before.

        Raises:
            ActorDenied: The caller is not an owner of the seller.
            BodyRefused: The parties are not three different ones that the vault
                knows, or the path hands nothing over.
            VaultError: The vault could not say.
            IdempotencyMismatch, IdempotencyKeyInUse: As the store says.
        """
        _check_new(principal, asked)
        for member, party in (("buyer", asked.buyer), ("reviewer", asked.reviewer)):
            if party and not await is_enrolled(self._officers, party):
                raise BodyRefused(f"/{member}", "no-such-party")
        scope = self._answers.scope(
            party=principal.party,
            client=principal.id,
            route="create_handover",
            key=key,
        )
        content = {name: getattr(asked, name) for name in NewHandover.__slots__}
        fingerprint = self._answers.fingerprint(content)

        def write(tx: Tx) -> tuple[Stored, bool]:
            known = self._answers.recall(tx, scope, fingerprint)
            if known is not None:
                return known, True
            row = self._new_row(asked, milliseconds(tx.now))
            store.create(tx, row)
            seat = Seat(Actor.SO, self._new_alias())
            store.take_seat(tx, row.id, str(principal.person), seat)
            event = outbox.append(
                tx,
                HandoverCreated(
                    actor=seat.alias,
                    handover=row.id,
                    seller=row.seller,
                    buyer=row.buyer,
                    deal_type=row.deal_type,
                ).draft(*parties_of(row.sides)),
            )
            answer = Stored(
                201,
                {
                    "content-type": "application/json",
                    "location": f"/v1/handovers/{row.id}",
                    "audit-event": str(event),
                },
                json.dumps(self._view(tx, row)).encode(),
            )
            self._answers.remember(tx, scope, fingerprint, answer=answer)
            return answer, False

        return await self._journal.write(write)

    async def act(self, principal: Principal, handover: str, asked: Asked) -> Done:
        """Take one step as a person.

        Raises:
            HandoverNotFound: None that the caller may know of.
            ActorDenied: Not by this person.
            StepNotAllowed, StaleHandover: Not in this state.
            SignatureRefused, MandateIncomplete: The signed document does not do.
            BodyRefused: A member does not fit.
            VaultError: The vault could not say whose keys are enrolled.
        """
        row = await self._journal.read(lambda c: store.get(c, handover))
        if row is None:
            raise HandoverNotFound
        actor = _actor(principal, row.sides)
        keys: Sequence[OfficerKey] = ()
        found = TRANSITIONS[row.state].get(asked.event)
        if found is not None and found.signs is not None and actor in found.by:
            # Fetched before the transaction: no writer waits for the vault.
            keys = await signers(self._officers, row.sides, self._clock.now())
        return await self._journal.write(
            lambda tx: self._act(tx, principal, handover, asked, keys)
        )

    def _act(
        self,
        tx: Tx,
        principal: Principal,
        handover: str,
        asked: Asked,
        keys: Sequence[OfficerKey],
    ) -> Done:
        row = store.get(tx, handover)
        if row is None:
            raise HandoverNotFound
        actor = _actor(principal, row.sides)
        before = store.position(tx, handover)
        act = Act(asked.event, actor, self._alias(tx, row, principal, actor))
        try:
            after = advance(before, act)
        except StepRefused as refused:
            if refused.fault in _PERSONS_FAULTS:
                raise ActorDenied(refused.fault.value) from refused
            raise StepNotAllowed(refused.fault.value, row.state.value) from refused
        opened = self._demands.open(tx, row, principal, asked, act, keys)
        step = Step(row, before, after, act, opened)
        changes = self._demands.changes(tx, step, asked, keys)
        event = self._apply(tx, step, asked.note, changes)
        moved = store.get(tx, handover)
        assert moved is not None
        return Done(self._view(tx, moved), event)

    def _apply(
        self, tx: Tx, step: Step, note: str, changes: Mapping[str, Any]
    ) -> EventRef:
        """Write one step, its document and its events."""
        row, act, opened = step.row, step.act, step.opened
        store.move(
            tx,
            row,
            step.after.state,
            act,
            key_id=opened.key_id if opened else "",
            document_digest=opened.digest if opened else "",
            note=note,
            changes=changes,
        )
        if opened is not None:
            self._file(tx, step, opened)
        for voided in way(row.state, act.event).voids:
            store.void_documents(tx, row.id, _VOIDED_BY[voided], step.after.step)
        return append_step(tx, row, step.after, act, opened.digest if opened else None)

    def _file(self, tx: Tx, step: Step, opened: Opened) -> None:
        store.file_document(
            tx,
            step.row.id,
            DocumentRow(
                step.after.step,
                opened.kind,
                step.act.actor,
                opened.key_id,
                opened.subject,
                opened.digest,
                opened.envelope,
                milliseconds(tx.now),
                None,
            ),
        )
        outbox.append(
            tx,
            DocumentFiled(
                actor=step.act.person,
                handover=step.row.id,
                kind=opened.kind.value,
                digest=opened.digest,
                role=step.act.actor.value,
                key_id=opened.key_id,
            ).draft(*parties_of(step.row.sides)),
        )

    # --- private ------------------------------------------------------------------

    def _new_row(self, asked: NewHandover, now_ms: int) -> HandoverRow:
        return HandoverRow(
            id=self._new_id(),
            seller=asked.seller,
            buyer=asked.buyer,
            reviewer=asked.reviewer,
            deal_type=asked.deal_type,
            path=asked.path,
            note=asked.note,
            state=State.DRAFT,
            step=0,
            created_at=now_ms,
            plan=None,
            plan_hash="",
            plan_expires_at=None,
            snapshot_id="",
            as_of="",
            decision_root="",
            decision="",
            backup="",
            turned="",
            fault="",
        )

    def _alias(
        self, tx: Tx, row: HandoverRow, principal: Principal, actor: Actor
    ) -> str:
        """Return the person's alias here, giving a chair at the first step."""
        person = str(principal.person)
        seat = store.seat_of(tx, row.id, person)
        if seat is None:
            seat = Seat(actor, self._new_alias())
            store.take_seat(tx, row.id, person, seat)
        if seat.role is not actor:
            raise ActorDenied(Fault.PERSON.value)
        return seat.alias

    def _view(self, tx: Tx, row: HandoverRow) -> dict[str, Any]:
        return show(tx.connection, row, self._demands.deal(row), self._progress)


def _check_new(principal: Principal, asked: NewHandover) -> None:
    owner = principal.kind is PrincipalKind.OFFICER and principal.role == "owner"
    if not owner or principal.party != asked.seller:
        raise ActorDenied("not-the-sellers-owner")
    parties = [asked.seller, asked.buyer, *([asked.reviewer] if asked.reviewer else [])]
    if len(set(parties)) != len(parties):
        raise BodyRefused("/buyer", "parties-not-distinct")
    if asked.path in NOTHING_HANDED_OVER:
        raise BodyRefused("/path", "hands-nothing-over")


def _actor(principal: Principal, sides: Sides) -> Actor:
    """Return who the caller is in a handover.

    Raises:
        HandoverNotFound: No officer of its parties: it may not know of it.
        ActorDenied: An officer without a role in it.
    """
    if not may_see(principal, sides):
        raise HandoverNotFound
    actor = actor_of(sides, principal.party, str(principal.role))
    if actor is None:
        raise ActorDenied(Fault.ROLE.value)
    return actor
