# SPDX-License-Identifier: Apache-2.0
"""Routes of the search room: one call each, no logic."""
# Annotations are evaluated here: FastAPI reads them.

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from contracts import problems
from contracts.scopes import Scope
from services.audit.log.reading import Leaf
from services.audit.search.export import Exports
from services.audit.search.operations import Searches
from services.audit.search.schemas import (
    ActorFilter,
    AliasFilter,
    EventOut,
    EventsOut,
    ExportBody,
    HandoverFilter,
    Lane,
    Order,
    OrderFilter,
    PartyFilter,
    Seq,
    Since,
    TypeFilter,
    Until,
    wanted_of,
)
from services.audit.search.terms import UNREADABLE, terms_of
from services.chassis.auth import Principal, require
from services.chassis.body import SAFE_INT, Cursor, Digits, Limit, StrictRouter
from services.chassis.declared import Answers, answered, openapi_responses
from services.chassis.streams import HOW_IT_ENDS, StreamLife

_NAMED: Answers = {200: answered("Audit-Event")}
_FRESH = (
    "An event appears here within seconds of the answer that named it in "
    "`Audit-Event`; until then it is not found."
)
TAR = "application/x-tar"
PROOF = "text/plain; charset=utf-8"
From = Annotated[int | None, Query(alias="from", ge=0, le=SAFE_INT), Digits]
LastEventId = Annotated[int | None, Header(ge=0, le=SAFE_INT), Digits]
PageCursor = Annotated[
    Cursor | None,
    Query(description="`next_cursor` of the page before, in the same order."),
]
Reader = Annotated[Principal, require(Scope.AUDIT_EVENTS)]


def router(searches: Searches, exports: Exports) -> StrictRouter:
    """Return the routes /v1/events, /v1/stream and /v1/exports."""
    api = StrictRouter(tags=["search"])
    _add_search(api, searches)
    _add_events(api, searches)
    _add_stream(api, searches)
    _add_exports(api, exports)
    return api


def _add_search(api: StrictRouter, searches: Searches) -> None:
    @api.get(
        "/v1/events",
        responses={**_NAMED, **openapi_responses(problems.CURSOR_INVALID)},
        summary="The caller's events, in log order or the newest first",
        description=_FRESH,
    )
    async def find_events(  # noqa: PLR0913 - one argument for each filter
        *,
        principal: Reader,
        response: Response,
        handover: HandoverFilter = None,
        alias: AliasFilter = None,
        actor: ActorFilter = None,
        party: PartyFilter = None,
        type: TypeFilter = None,  # noqa: A002 - the filter's name
        since: Since = None,
        until: Until = None,
        order: OrderFilter = Order.ASC,
        cursor: PageCursor = None,
        limit: Limit = 50,
    ) -> EventsOut:
        wanted = wanted_of(
            principal,
            handover=handover,
            alias=alias,
            actor=actor,
            party=party,
            type=type,
            since=since,
            until=until,
        )
        found = await searches.find(
            principal, wanted, cursor, limit, newest=order is Order.DESC
        )
        response.headers["Audit-Event"] = str(found.event)
        return EventsOut.of(found)


def _add_events(api: StrictRouter, searches: Searches) -> None:
    @api.get(
        "/v1/events/{lane}/{seq}",
        responses=_NAMED,
        summary="One event",
        description=_FRESH,
    )
    async def read_event(
        lane: Lane, seq: Seq, principal: Reader, response: Response
    ) -> EventOut:
        leaf, event = await searches.event(principal, lane, seq)
        response.headers["Audit-Event"] = str(event)
        return EventOut.of(leaf)

    @api.get(
        "/v1/events/{lane}/{seq}/proof",
        summary="Proof that the log holds an event (C2SP tlog-proof)",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def read_proof(
        lane: Lane,
        seq: Seq,
        principal: Annotated[Principal, require(Scope.AUDIT_READ)],
    ) -> Response:
        proof = await searches.proof(principal, lane, seq)
        return Response(proof.encode(), media_type=PROOF)


def _add_stream(api: StrictRouter, searches: Searches) -> None:
    async def begun(
        principal: Reader, first: From = None, last_event_id: LastEventId = None
    ) -> int:
        # Before the stream begins: afterwards no status can say that it may not.
        start = first if last_event_id is None else last_event_id + 1
        return await searches.begin(principal, start)

    @api.get(
        "/v1/stream",
        summary="The caller's events as they are published",
        description=HOW_IT_ENDS,
        response_class=EventSourceResponse,
    )
    async def follow_log(
        request: Request, principal: Reader, start: Annotated[int, Depends(begun)]
    ) -> AsyncIterator[ServerSentEvent]:
        life = StreamLife(request)
        async for leaf in life.of(searches.follow(principal, start, life.pause)):
            yield _sent(leaf)
        for last in life.farewell():
            yield last


def _add_exports(api: StrictRouter, exports: Exports) -> None:
    binary: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

    @api.post(
        "/v1/exports",
        summary="The log, or the caller's view of it, as a tar to check offline",
        response_class=StreamingResponse,
        responses={200: {"content": {TAR: binary}, **answered("Audit-Event")}},
    )
    async def export_log(
        body: ExportBody,
        principal: Annotated[Principal, require(Scope.AUDIT_EXPORT)],
    ) -> StreamingResponse:
        made = await exports.make(principal, body.handover)
        headers = {
            "Audit-Event": str(made.event),
            "Content-Disposition": 'attachment; filename="keyturn-log.tar"',
        }
        return StreamingResponse(made.pieces, media_type=TAR, headers=headers)


def _sent(leaf: Leaf) -> ServerSentEvent:
    """Return a leaf as sent: its exact bytes, or their base64 if unreadable."""
    type_ = terms_of(leaf.event).type
    if type_ == UNREADABLE:
        text = base64.b64encode(leaf.event).decode()
    else:
        text = leaf.event.decode()
    return ServerSentEvent(raw_data=text, event=type_, id=str(leaf.index))
