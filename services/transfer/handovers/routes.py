# SPDX-License-Identifier: Apache-2.0
"""Routes of handovers: one call each, no logic."""

# Annotations are evaluated here: FastAPI reads them.

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi import Path as PathParameter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from contracts import problems
from contracts.scopes import Scope
from services.chassis.auth import Principal, require
from services.chassis.body import Cursor, Limit, StrictRouter, Text
from services.chassis.declared import answered, openapi_responses
from services.chassis.idempotency import REPLAYED, RequiredKey
from services.chassis.streams import HOW_IT_ENDS, StreamLife
from services.transfer.errors import HandoverNotFound
from services.transfer.handovers.operations import Handovers
from services.transfer.handovers.readings import Readings
from services.transfer.handovers.schemas import (
    CreateBody,
    Documents,
    HandoverPage,
    HandoverView,
    History,
    Report,
    StepBody,
)
from services.transfer.handovers.states import Event, State

PLAN_TYPE = "application/vnd.keyturn.plan.v1+json"
SCOPE_TYPE = "application/vnd.keyturn.scope.v1+json"

HandoverId = Annotated[
    str,
    PathParameter(),
    Text(36, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
]
EventName = Annotated[str, PathParameter(), Text(16, pattern=r"^[a-z_]+$")]
Reader = Annotated[Principal, require(Scope.HANDOVERS_READ)]


def router(room: Handovers, readings: Readings) -> StrictRouter:
    """Return the routes below /v1/handovers."""
    made = StrictRouter(prefix="/v1/handovers", tags=["handovers"])
    _add_steps(made, room)
    _add_reads(made, readings)
    _add_progress(made, readings)
    _add_papers(made, readings)
    return made


def _add_steps(made: StrictRouter, room: Handovers) -> None:
    @made.post(
        "",
        status_code=201,
        responses={
            201: answered("Location", "Audit-Event", REPLAYED),
            **openapi_responses(problems.DENIED),
        },
        summary="Open a handover as a draft",
    )
    async def create_handover(
        body: CreateBody,
        principal: Annotated[Principal, require(Scope.HANDOVERS_CREATE)],
        key: RequiredKey,
    ) -> HandoverView:
        answer, replayed = await room.create(principal, body.asked(), key)
        marked = {REPLAYED: "true"} if replayed else {}
        return Response(  # type: ignore[return-value]
            answer.body,
            status_code=answer.status,
            headers={**answer.headers, **marked},
        )

    @made.post(
        "/{handover}:{event}",
        responses={
            200: answered("Audit-Event"),
            **openapi_responses(
                problems.DENIED,
                problems.SIGNATURE_INVALID,
                problems.MANDATE_REFUSED,
                problems.DEMONSTRATION_ONLY,
                problems.STATE_CONFLICT,
                problems.UPSTREAM_UNAVAILABLE,
            ),
        },
        summary="Take a step of a handover",
    )
    async def act_on_handover(
        handover: HandoverId,
        event: EventName,
        body: StepBody,
        response: Response,
        principal: Annotated[Principal, require(Scope.HANDOVERS_ACT)],
    ) -> HandoverView:
        try:
            asked = body.asked(Event(event))
        except ValueError:
            raise HandoverNotFound from None
        done = await room.act(principal, handover, asked)
        response.headers["Audit-Event"] = str(done.event)
        return HandoverView(**done.view)


def _add_reads(made: StrictRouter, readings: Readings) -> None:
    @made.get(
        "",
        responses=openapi_responses(problems.CURSOR_INVALID, problems.NOT_FOUND),
        summary="The caller's handovers, the newest first",
    )
    async def list_handovers(
        principal: Reader,
        limit: Limit = 50,
        cursor: Cursor | None = None,
        state: State | None = None,
    ) -> HandoverPage:
        page = await readings.page(
            principal,
            before=cursor or "",
            state="" if state is None else state.value,
            limit=limit,
        )
        return HandoverPage(**page)

    @made.get("/{handover}", summary="One handover")
    async def get_handover(handover: HandoverId, principal: Reader) -> HandoverView:
        return HandoverView(**await readings.get(principal, handover))

    @made.get("/{handover}/history", summary="Its steps, dense from 1")
    async def get_history(handover: HandoverId, principal: Reader) -> History:
        return History(**await readings.history(principal, handover))

    @made.get("/{handover}/report", summary="Counts, phases, signatures")
    async def get_report(handover: HandoverId, principal: Reader) -> Report:
        return Report(**await readings.report(principal, handover))


def _add_progress(made: StrictRouter, readings: Readings) -> None:
    async def visible(handover: HandoverId, principal: Reader) -> str:
        # Looked at before the stream begins: afterwards no status can say 404.
        await readings.get(principal, handover)
        return handover

    @made.get(
        "/{handover}/progress",
        summary="Changes of its state and counts, until it has ended",
        description=HOW_IT_ENDS,
        response_class=EventSourceResponse,
    )
    async def follow_handover(
        handover: Annotated[str, Depends(visible)], principal: Reader, request: Request
    ) -> AsyncIterator[ServerSentEvent]:
        life = StreamLife(request)
        async for seen in life.of(readings.follow(principal, handover, life.pause)):
            yield ServerSentEvent(event="progress", data=seen, id=str(seen["step"]))
        for last in life.farewell():
            yield last


def _add_papers(made: StrictRouter, readings: Readings) -> None:
    def _bytes(media_type: str) -> dict[int | str, dict[str, Any]]:
        return {200: {"content": {media_type: {"schema": {"type": "object"}}}}}

    @made.get(
        "/{handover}/plan",
        summary="The exact plan bytes that people sign",
        response_class=Response,
        responses=_bytes(PLAN_TYPE),
    )
    async def get_plan(handover: HandoverId, principal: Reader) -> Response:
        raw = await readings.plan(principal, handover)
        return Response(raw, media_type=PLAN_TYPE)

    @made.get(
        "/{handover}/scope",
        summary="The exact bytes of the scope on the table",
        response_class=Response,
        responses=_bytes(SCOPE_TYPE),
    )
    async def get_scope(handover: HandoverId, principal: Reader) -> Response:
        raw = await readings.scope(principal, handover)
        return Response(raw, media_type=SCOPE_TYPE)

    @made.get("/{handover}/documents", summary="Its signed documents")
    async def get_documents(handover: HandoverId, principal: Reader) -> Documents:
        return Documents(**await readings.documents(principal, handover))
