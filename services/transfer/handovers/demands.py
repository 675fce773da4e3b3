# SPDX-License-Identifier: Apache-2.0
"""What a person's step must bring beside the person: a signature, a scope, a plan.

Runs inside the step's transaction. What is signed is bound to exactly what stands in
the handover's row at that moment, so a document never covers a later edit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts import base64text
from contracts.custody.document import digest
from contracts.custody.mandate import MandateRefused, check_approvals, check_releases
from contracts.custody.officers import OfficerKey
from contracts.custody.plan import parse_plan
from contracts.custody.statement import parse_statement
from contracts.law.pack import RulePack
from services.chassis.auth import Principal
from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.transfer.errors import (
    BodyRefused,
    DemonstrationOnly,
    MandateIncomplete,
)
from services.transfer.handovers import store, views
from services.transfer.handovers.advancing import frozen_decision
from services.transfer.handovers.documents import (
    Binding,
    Opened,
    necessary_classes,
    open_document,
)
from services.transfer.handovers.plans import Deal, build_plan, read_scope
from services.transfer.handovers.states import APPROVERS, RELEASERS, Event, Kind
from services.transfer.handovers.steps import Act, Position, way
from services.transfer.handovers.store import HandoverRow


@dataclass(frozen=True, slots=True)
class Asked:
    """A step as a person asks for it.

    Attributes:
        document: DSSE envelope, where the step is signed.
        scope: Members of a proposed scope, for `propose`.
        plan: The plan's own members, for `ready`.
    """

    event: Event
    note: str = ""
    document: Mapping[str, Any] | None = None
    scope: Mapping[str, Any] | None = None
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step on its way through a transaction."""

    row: HandoverRow
    before: Position
    after: Position
    act: Act
    opened: Opened | None


class Demands:
    """Checks what a step brings, under one installation and its rule pack."""

    def __init__(
        self, installation: str, pack: RulePack, *, demonstration: bool
    ) -> None:
        self._installation = installation
        self._pack = pack
        self._demonstration = demonstration

    def deal(self, row: HandoverRow) -> Deal:
        """Return what does not change over the life of a handover."""
        return Deal(self._installation, row.id, row.sides, row.deal_type, row.path)

    def open(
        self,
        tx: Tx,
        row: HandoverRow,
        principal: Principal,
        asked: Asked,
        act: Act,
        keys: Sequence[OfficerKey],
    ) -> Opened | None:
        """Return the signed document of a step, checked; None if it needs none.

        Raises:
            BodyRefused, SignatureRefused: It is missing, or does not do.
        """
        kind = way(row.state, act.event).signs
        if kind is None:
            if asked.document is not None:
                raise BodyRefused("/document", "not-signed-here")
            return None
        if asked.document is None:
            raise BodyRefused("/document", "missing")
        scope = store.newest_scope(tx, row.id)
        return open_document(
            asked.document,
            keys,
            Binding(
                installation=self._installation,
                handover=row.id,
                kind=kind,
                actor=act.actor,
                party=principal.party,
                person=str(principal.person),
                subject=views.subject_of(
                    kind, row, self.deal(row), scope[1] if scope else ""
                ),
                now=tx.now,
                decision=frozen_decision(row),
                members=views.members_of(kind, row),
            ),
        )

    def changes(
        self, tx: Tx, step: Step, asked: Asked, keys: Sequence[OfficerKey]
    ) -> dict[str, Any]:
        """Check what else a step needs; return the columns it changes.

        Raises:
            BodyRefused: Scope or plan are missing, malformed or not of this step.
            DemonstrationOnly: The plan fixes the day of its decision.
            MandateIncomplete: The signatures together do not suffice.
        """
        match asked.event:
            case Event.PROPOSE:
                self._propose(tx, step, asked)
            case Event.READY:
                return self._plan(tx, step, asked)
            case Event.APPROVE if step.after.has(Event.APPROVE, APPROVERS):
                self._check_approvals(tx, step, keys)
            case Event.RELEASE if step.after.has(Event.RELEASE, RELEASERS):
                self._check_releases(tx, step, keys)
            case Event.CHANGES:
                return {"plan": None, "plan_hash": "", "plan_expires_at": None}
            case _:
                pass
        if asked.scope is not None and asked.event is not Event.PROPOSE:
            raise BodyRefused("/scope", "not-here")
        if asked.plan is not None:
            raise BodyRefused("/plan", "not-here")
        return {}

    def _propose(self, tx: Tx, step: Step, asked: Asked) -> None:
        if asked.scope is None:
            raise BodyRefused("/scope", "missing")
        necessity = store.documents(tx, step.row.id, Kind.NECESSITY)[-1]
        said = _statement_body(necessity.envelope)
        raw = read_scope(asked.scope, necessary_classes(said))
        store.add_scope(tx, step.row.id, raw, digest(raw), step.after.step)

    def _plan(self, tx: Tx, step: Step, asked: Asked) -> dict[str, Any]:
        if asked.plan is None:
            raise BodyRefused("/plan", "missing")
        if asked.plan.get("as_of") is not None and not self._demonstration:
            # The vault would refuse it too, but only after everybody has signed.
            raise DemonstrationOnly
        scope = store.newest_scope(tx, step.row.id)
        assert scope is not None  # planning follows two agreements to a scope
        plan = build_plan(self.deal(step.row), scope[0], asked.plan, self._pack, tx.now)
        return {
            "plan": plan.raw,
            "plan_hash": plan.hash,
            "plan_expires_at": milliseconds(plan.expires),
        }

    def _check_approvals(self, tx: Tx, step: Step, keys: Sequence[OfficerKey]) -> None:
        assert step.row.plan is not None
        assert step.opened is not None
        stored = [d.envelope for d in store.documents(tx, step.row.id, Kind.APPROVAL)]
        try:
            check_approvals(
                parse_plan(step.row.plan),
                [*stored, step.opened.envelope],
                keys,
                tx.now,
            )
        except MandateRefused as refused:
            raise MandateIncomplete(refused.code.value) from refused

    def _check_releases(self, tx: Tx, step: Step, keys: Sequence[OfficerKey]) -> None:
        assert step.row.plan is not None
        assert step.opened is not None
        decision = frozen_decision(step.row)
        assert decision is not None
        stored = [d.envelope for d in store.documents(tx, step.row.id, Kind.RELEASE)]
        try:
            check_releases(
                parse_plan(step.row.plan),
                [*stored, step.opened.envelope],
                keys,
                decision,
                tx.now,
            )
        except MandateRefused as refused:
            raise MandateIncomplete(refused.code.value) from refused


def _statement_body(envelope: bytes) -> Mapping[str, Any]:
    payload = base64text.decode(json.loads(envelope)["payload"])
    return parse_statement(payload).body
