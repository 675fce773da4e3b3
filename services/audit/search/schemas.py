# SPDX-License-Identifier: Apache-2.0
"""What the search room takes and answers."""
# Annotations are evaluated here: FastAPI reads them.

import base64
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from contracts import problems
from contracts.events.envelope import EventMalformed, parse
from contracts.events.types import EVENT_TYPES
from contracts.log.merkle import leaf_hash
from contracts.problems import Fault, Refusal
from services.audit.log.reading import Leaf
from services.audit.search.operations import Found, sees
from services.audit.search.store import Wanted
from services.audit.search.terms import UNREADABLE
from services.chassis.auth import Principal
from services.chassis.body import MAX_INT, Body, Digits, Instant, Text
from services.chassis.clock import milliseconds

Lane = Annotated[str, Path(), Text(32, pattern=r"^[0-9a-f]{32}$")]
Seq = Annotated[int, Path(ge=1, le=MAX_INT), Digits]
#: What `type` may ask for. A slip would find nothing, and look like an answer.
FINDABLE: Final = (*EVENT_TYPES, UNREADABLE)


def _findable(type_: str) -> str:
    if type_ not in FINDABLE:
        raise PydanticCustomError(
            "enum", "{expected}", {"expected": f"one of {', '.join(FINDABLE)}"}
        )
    return type_


_Type = Annotated[
    str, AfterValidator(_findable), Field(json_schema_extra={"enum": [*FINDABLE]})
]
HandoverFilter = Annotated[
    str | None,
    Query(description="Only events of this handover."),
    Text(36, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
]
AliasFilter = Annotated[
    str | None,
    Query(
        description="Only events that name the record of this alias; "
        "`POST /v1/aliases:resolve` of the vault tells a record's."
    ),
    Text(32, pattern=r"^[0-9a-f]{32}$"),
]
ActorFilter = Annotated[
    str | None,
    Query(description="Only what this actor did: a client's id, or an alias."),
    Text(64, pattern=r"^[a-z0-9-]{1,64}$"),
]
PartyFilter = Annotated[
    str | None,
    Query(
        description="Only events that concern this party; of another party's, a "
        "party finds those that concern both. 422 if there is none at all."
    ),
    Text(64, pattern=r"^[a-z0-9-]{1,64}$"),
]
TypeFilter = Annotated[
    _Type | None,
    Query(
        description="Only events of this type; `unreadable` finds what this version "
        "cannot read."
    ),
]
Since = Annotated[
    Instant | None,
    Query(alias="from", description="Only events of this time or later (RFC 3339)."),
]
Until = Annotated[
    Instant | None,
    Query(alias="to", description="Only events before this time (RFC 3339)."),
]


class Order(StrEnum):
    """In which order events are found."""

    ASC = "asc"
    DESC = "desc"


OrderFilter = Annotated[
    Order, Query(description="`asc`: in log order; `desc`: the newest first.")
]


def wanted_of(
    principal: Principal,
    *,
    since: datetime | None,
    until: datetime | None,
    **filters: str | None,
) -> Wanted:
    """Return what a caller looks for, within what it may see.

    Raises:
        Refusal: `validation`: no time is from `since` on and before `until`.
    """
    if since is not None and until is not None and until <= since:
        fault = Fault("/to", "empty_interval", "must be after `from`", "query")
        raise Refusal(problems.VALIDATION, faults=[fault])
    texts = {name: text or "" for name, text in filters.items()}
    return Wanted(
        sees=sees(principal),
        since=None if since is None else milliseconds(since),
        until=None if until is None else milliseconds(until),
        **texts,
    )


class EventOut(BaseModel):
    """One leaf of the log.

    Attributes:
        index: Its place in the log.
        id: `<lane>/<seq>`; empty if this version cannot read the event.
        leaf_hash: `sha256:<hex>` of 0x00 and the exact bytes.
        raw: The exact bytes, base64.
        event: The bytes as JSON, to read; null if this version cannot read them.
        proof: Where its proof is.
    """

    index: int
    id: str
    leaf_hash: str
    raw: str
    event: dict[str, Any] | None
    proof: str | None

    @classmethod
    def of(cls, leaf: Leaf) -> "EventOut":
        """Return a leaf as it is shown."""
        try:
            name = parse(leaf.event).id
            document = json.loads(leaf.event)
        except EventMalformed:
            name, document = "", None
        return cls(
            index=leaf.index,
            id=name,
            leaf_hash=f"sha256:{leaf_hash(leaf.event).hex()}",
            raw=base64.b64encode(leaf.event).decode(),
            event=document,
            proof=f"/v1/events/{name}/proof" if name else None,
        )


class EventsOut(BaseModel):
    """A page of events in the order asked for; `size` leaves were searched."""

    items: list[EventOut]
    next_cursor: str | None
    has_more: bool
    size: int

    @classmethod
    def of(cls, found: Found) -> "EventsOut":
        """Return a page as it is shown."""
        return cls(
            items=[EventOut.of(leaf) for leaf in found.leaves],
            next_cursor=found.following,
            has_more=found.following is not None,
            size=found.size,
        )


class ExportBody(Body):
    """What to export.

    Attributes:
        handover: Only this handover's events, each with its proof. Without it, the
            installation's own people get the whole log and a party all its events.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"handover": "01a20e53-8c39-727a-a046-8322921d77d9"}]
        }
    )

    handover: (
        Annotated[str, Text(36, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
        | None
    ) = None
