# SPDX-License-Identifier: Apache-2.0
"""A step as written: the event beside the row, and the system's own steps.

`system_step` is what other rooms of transfer call inside their transaction when the
vault has done its part; it obeys the same rules as a person's step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.custody.decision import FrozenDecision
from contracts.events.transfer import HandoverAdvanced
from services.chassis import outbox
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.transfer.errors import StaleHandover
from services.transfer.handovers import store
from services.transfer.handovers.roles import Sides
from services.transfer.handovers.states import Actor, Event
from services.transfer.handovers.steps import Act, Position, StepRefused, advance
from services.transfer.handovers.store import HandoverRow


def parties_of(sides: Sides) -> tuple[str, ...]:
    """Return the parties that an event of the handover concerns, in order."""
    named = (sides.seller, sides.buyer, sides.reviewer)
    return tuple(party for party in named if party)


def append_step(
    tx: Tx, row: HandoverRow, after: Position, act: Act, document: str | None
) -> EventRef:
    """Append the event of one step; it commits with the step's row or not at all."""
    return outbox.append(
        tx,
        HandoverAdvanced(
            actor=act.person or None,
            handover=row.id,
            event=act.event.value,
            from_state=row.state.value,
            to_state=after.state.value,
            step=after.step,
            role=act.actor.value,
            document=document,
        ).draft(*parties_of(row.sides)),
    )


def system_step(
    tx: Tx,
    row: HandoverRow,
    event: Event,
    *,
    reason: str = "",
    changes: Mapping[str, Any] | None = None,
) -> EventRef:
    """Take a step of the system in the caller's transaction.

    Args:
        tx: The transaction that also holds what the step stands for.
        row: The handover as the caller saw it.
        event: One of the system's events.
        reason: Stable code of why, for a dispute.
        changes: Columns of the handover that the step brings.

    Raises:
        StaleHandover: The handover has moved, or does not allow the step any more.
    """
    act = Act(event, Actor.SYS)
    try:
        after = advance(store.position(tx, row.id), act)
    except StepRefused as refused:
        # The caller looked before it began: the handover has moved since.
        raise StaleHandover from refused
    store.move(tx, row, after.state, act, reason=reason, changes=changes)
    return append_step(tx, row, after, act, None)


def frozen_decision(row: HandoverRow) -> FrozenDecision | None:
    """Return the decision that releases must cover, once there is one."""
    if not row.decision:
        return None
    return FrozenDecision(
        snapshot_id=row.snapshot_id,
        decision_root=row.decision_root,
        counts=json.loads(row.decision)["counts"],
        as_of=row.as_of,
    )
