# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests and answers about collisions; never a value."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from services.chassis.body import Body
from services.vault.custody.handover import Collision
from services.vault.custody.state import CollisionDecision, CollisionState
from services.vault.mandate.collisions import Choice
from services.vault.mandate.schemas import HandoverId

_ARRIVED: Final = "01981111-2222-7333-8444-555566667777"
_OWN: Final = "01970000-1111-7222-8333-444455556666"
_SHOWN: Final[dict[str, Any]] = {
    "position": 1,
    "field": "email",
    "record": _ARRIVED,
    "other": _OWN,
    "state": "open",
    "decision": None,
    "kept": None,
}


class SettleIn(Body):
    """What a person decided about two records that share a unique value.

    With `keep_both` the record `keep` has the unique entry, and look-up finds both.
    With `merge` it goes on with what both held, and the other one ends.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": "merge", "keep": _OWN}]}
    )

    decision: Literal["keep_both", "merge"]
    keep: HandoverId

    def choice(self) -> Choice:
        """Return the decision as a value."""
        return Choice(CollisionDecision(self.decision), self.keep)


class CollisionOut(BaseModel):
    """Two records that share a value of a unique field.

    `record` arrived with the handover; `state` is open, settled or void. Of a merge
    `kept` is the record that goes on: the other id answers 404.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    position: int
    field: Annotated[str, Field(description="The field's name, never its value.")]
    record: str
    other: str
    state: CollisionState
    decision: CollisionDecision | None
    kept: str | None

    @classmethod
    def of(cls, found: Collision) -> Self:
        """Return the body of a collision."""
        return cls(
            position=found.position,
            field=found.field,
            record=found.record,
            other=found.other,
            state=found.state,
            decision=CollisionDecision(found.decision) if found.decision else None,
            kept=found.kept or None,
        )


class CollisionsOut(BaseModel):
    """A page of collisions."""

    items: list[CollisionOut]
    next_cursor: str | None
    has_more: bool
