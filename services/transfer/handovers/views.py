# SPDX-License-Identifier: Apache-2.0
"""What people are shown of a handover: its state, what it waits for, its report.

Pure functions of stored rows. Counts, digests and ids only: no record is known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.chassis.clock import rfc3339
from services.transfer.handovers.documents import NECESSITY_MEMBERS, PAYLOAD_TYPES
from services.transfer.handovers.plans import Deal
from services.transfer.handovers.states import (
    GATES_NOT_BUILT,
    TRANSITIONS,
    Actor,
    Kind,
    State,
)
from services.transfer.handovers.steps import Position, waiting_for
from services.transfer.handovers.store import DocumentRow, HandoverRow, Transition

DISCLAIMER: Final = (
    "This report states steps, counts and evidence. It is not legal advice."
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the batches of a handover are.

    Attributes:
        folios: Moved by their batches. Of them leaves until the turn who objects after
            the batch: what the turn transferred is `transferred` of the handover.
        folios_total: In all batches.
        dropped: Left before their batch moved them: objected, withdrawn, erased.
        rate: Folios per second since the first batch, 0.0 before the second.
        eta_seconds: Until the last batch is executed; None while unknown.
    """

    batches: int = 0
    executed: int = 0
    verified: int = 0
    failed: int = 0
    folios: int = 0
    folios_total: int = 0
    dropped: int = 0
    rate: float = 0.0
    eta_seconds: int | None = None

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return {name: getattr(self, name) for name in self.__slots__}


ProgressOf = Callable[[Any, str], Progress]
"""Reads a handover's progress on a connection; offered by the execution room."""


def instant(milliseconds: int) -> str:
    """Return a stored time as RFC 3339."""
    return rfc3339(datetime.fromtimestamp(milliseconds / 1000, tz=UTC))


def view(
    row: HandoverRow, position: Position, progress: Progress, to_sign: Sequence[Any]
) -> dict[str, Any]:
    """Return the handover as `GET /v1/handovers/{id}` shows it."""
    return {
        "id": row.id,
        "state": row.state.value,
        "step": row.step,
        "seller": row.seller,
        "buyer": row.buyer,
        "reviewer": row.reviewer or None,
        "deal_type": row.deal_type,
        "path": row.path,
        "note": row.note or None,
        "created_at": instant(row.created_at),
        "plan_hash": row.plan_hash or None,
        "snapshot_id": row.snapshot_id or None,
        "as_of": row.as_of or None,
        "decision_root": row.decision_root or None,
        "waiting_for": sorted(waiting_for(position)),
        "signed": sorted(
            f"{event.value}:{actor.value}" for event, actor in position.collected
        ),
        "to_sign": list(to_sign),
        "fault": row.fault or None,
        "progress": progress.members(),
        "transferred": transferred(row),
        "gates_not_built": list(GATES_NOT_BUILT),
    }


def transferred(row: HandoverRow) -> int | None:
    """Return the folios that the turn transferred; None before it."""
    if not row.turned:
        return None
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    counts = json.loads(row.turned)["counts"]
    return sum(
        sum(outcomes.get("transfer", {}).values()) for outcomes in counts.values()
    )


def subject_of(kind: Kind, row: HandoverRow, deal: Deal, scope_digest: str) -> str:
    """Return the hash that a document of this kind must speak about now."""
    if kind is Kind.NECESSITY:
        return deal.hash()
    if kind is Kind.SCOPE:
        return scope_digest
    return row.plan_hash


def members_of(kind: Kind, row: HandoverRow) -> dict[str, Any]:
    """Return what the body of a statement of this kind must repeat, exactly."""
    if kind in {Kind.RECEIPT, Kind.AUDIT_REPORT}:
        return {"decision_root": row.decision_root}
    return {}


def to_sign(
    row: HandoverRow, deal: Deal, scope_digest: str, position: Position
) -> list[dict[str, Any]]:
    """Return what may be signed in this state, and what it must be about."""
    found: list[dict[str, Any]] = []
    for event, way in TRANSITIONS[row.state].items():
        if way.signs is None:
            continue
        signed = {actor for done, actor in position.collected if done is event}
        body: dict[str, Any] = members_of(way.signs, row)
        if way.signs is Kind.NECESSITY:
            body = {"classes": {"<class>": dict.fromkeys(NECESSITY_MEMBERS, "")}}
        found.append(
            {
                "event": event.value,
                "kind": way.signs.value,
                "payload_type": PAYLOAD_TYPES[way.signs],
                "subject": subject_of(way.signs, row, deal, scope_digest) or None,
                "body": body,
                "roles": sorted(way.by - signed - {Actor.SYS}),
            }
        )
    return found


def step_view(step: Transition) -> dict[str, Any]:
    """Return one step of the history."""
    return {
        "step": step.step,
        "event": step.event.value,
        "role": step.actor.value,
        "key_id": step.key_id or None,
        "from_state": step.from_state.value,
        "to_state": step.to_state.value,
        "document": step.document or None,
        "reason": step.reason or None,
        "note": step.note or None,
        "at": instant(step.at),
    }


def document_view(row: DocumentRow) -> dict[str, Any]:
    """Return a signed document with its envelope."""
    return {**signature_view(row), "envelope": json.loads(row.envelope)}


def signature_view(row: DocumentRow) -> dict[str, Any]:
    """Return who signed what, and whether it counts."""
    return {
        "step": row.step,
        "kind": row.kind.value,
        "role": row.role.value,
        "key_id": row.key_id,
        "subject": row.subject,
        "digest": row.digest,
        "at": instant(row.at),
        "counts": row.voided_step is None,
        "voided_step": row.voided_step,
    }


def report(
    row: HandoverRow,
    steps: Sequence[Transition],
    documents: Sequence[DocumentRow],
    progress: Progress,
    rules_not_built: Sequence[str],
    now_ms: int,
) -> dict[str, Any]:
    """Return the report: counts, phases, signatures, and what is not built."""
    frozen = json.loads(row.decision)["counts"] if row.decision else None
    turned = json.loads(row.turned) if row.turned else None
    return {
        "handover": row.id,
        "state": row.state.value,
        "seller": row.seller,
        "buyer": row.buyer,
        "reviewer": row.reviewer or None,
        "deal_type": row.deal_type,
        "path": row.path,
        "plan_hash": row.plan_hash or None,
        "snapshot_id": row.snapshot_id or None,
        "as_of": row.as_of or None,
        "decision_root": row.decision_root or None,
        "frozen_counts": frozen,
        "turned_counts": turned["counts"] if turned else None,
        "turned_at": turned["turned_at"] if turned else None,
        "inventory": inventory(frozen) if frozen else None,
        "backup": json.loads(row.backup) if row.backup else None,
        "progress": progress.members(),
        "phases": phases(row, steps, now_ms),
        "steps": [step_view(step) for step in steps],
        "signatures": [signature_view(found) for found in documents],
        "gates_not_built": list(GATES_NOT_BUILT),
        "rules_not_built": list(rules_not_built),
        "disclaimer": DISCLAIMER,
    }


def inventory(
    counts: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> dict[str, dict[str, int]]:
    """Return per class the folios of each outcome, and their sum as `inventory`."""
    found: dict[str, dict[str, int]] = {}
    for name, outcomes in counts.items():
        sums = {outcome: sum(reasons.values()) for outcome, reasons in outcomes.items()}
        found[name] = {**sums, "inventory": sum(sums.values())}
    return found


def phases(
    row: HandoverRow, steps: Sequence[Transition], now_ms: int
) -> list[dict[str, Any]]:
    """Return the time spent in each state, in seconds, in order of first entry."""
    seconds: dict[State, float] = {}
    since, state = row.created_at, State.DRAFT
    for step in steps:
        seconds[state] = seconds.get(state, 0.0) + (step.at - since) / 1000
        since, state = step.at, step.to_state
    if TRANSITIONS[state]:
        seconds[state] = seconds.get(state, 0.0) + (now_ms - since) / 1000
    return [
        {"state": found.value, "seconds": round(spent, 3)}
        for found, spent in seconds.items()
    ]
