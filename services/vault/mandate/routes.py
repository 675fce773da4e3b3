# SPDX-License-Identifier: Apache-2.0
"""Routes of the mandate room."""
# Annotations are evaluated here: FastAPI reads them.

from typing import Annotated, Any, Final

from fastapi import Path, Query, Request, Response

from contracts import problems
from contracts.custody.document import MAX_DOCUMENT_BYTES
from contracts.scopes import Scope
from services.chassis.auth import Principal, require
from services.chassis.body import Digits, Limit, StrictRouter, Text, read_bytes
from services.chassis.declared import Answers, answered, openapi_responses
from services.chassis.lanes import EventRef
from services.vault.custody.state import TurnState
from services.vault.mandate.collision_schemas import (
    CollisionOut,
    CollisionsOut,
    SettleIn,
)
from services.vault.mandate.operations import Mandates
from services.vault.mandate.schemas import (
    BatchesOut,
    BatchIn,
    BatchOut,
    BatchResultOut,
    DecisionOut,
    HandoverId,
    MandateIn,
    PlanOut,
    RowOut,
    RowsOut,
    SnapshotIn,
    SnapshotOut,
    StateOut,
    StatusOut,
    TurnedOut,
    VerifiedOut,
)

PLAN_TYPE: Final = "application/vnd.keyturn.plan.v1+json"

Id = Annotated[HandoverId, Path(alias="handover")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1), Digits]
Place = Annotated[str | None, Query(), Text(16, pattern=r"^[0-9]{1,15}$")]
_PLAN_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {PLAN_TYPE: {"schema": {}}}}
}
_NAMED: Final[Answers] = {200: answered("Audit-Event")}
_STEP: Final = openapi_responses(problems.STATE_CONFLICT)
_SIGNED: Final = openapi_responses(
    problems.STATE_CONFLICT, problems.MANDATE_REFUSED, logged=True
)
_ENDS: Final = {
    "cancel": (TurnState.CANCELLING, "Cancel a handover before its turn"),
    "revoke": (TurnState.REVOKED, "Revoke the mandate of a handover before its turn"),
    "thaw": (TurnState.THAWED, "Let a frozen scope go"),
}


def router(mandates: Mandates) -> StrictRouter:
    """Return the routes of `mandates`."""
    api = StrictRouter(tags=["custody"], prefix="/v1/custody/{handover}")
    _add_plan(api, mandates)
    _add_status(api, mandates)
    _add_decision(api, mandates)
    _add_mandate(api, mandates)
    _add_batches(api, mandates)
    _add_execution(api, mandates)
    _add_turn(api, mandates)
    _add_collisions(api, mandates)
    for verb, (state, summary) in _ENDS.items():
        _add_end(api, mandates, verb, state, summary)
    return api


def _add_plan(api: StrictRouter, mandates: Mandates) -> None:
    @api.put(
        "/plan",
        status_code=201,
        responses={
            200: {"model": PlanOut, "description": "The same bytes were lodged before"},
            201: answered("Audit-Event"),
            **openapi_responses(
                problems.DEMONSTRATION_ONLY,
                problems.PLAN_REFUSED,
                problems.STATE_CONFLICT,
                problems.VALIDATION,
            ),
        },
        openapi_extra=_PLAN_BODY,
        max_body_size=MAX_DOCUMENT_BYTES,
        summary="Lodge the exact bytes of a plan",
    )
    async def lodge_plan(
        handover: Id,
        request: Request,
        response: Response,
        caller: Annotated[Principal, require(Scope.CUSTODY_PLAN)],
    ) -> PlanOut:
        raw = await read_bytes(request, PLAN_TYPE)
        lodged = await mandates.lodge(caller, handover, raw)
        response.status_code = 200 if lodged.event is None else 201
        _name_event(response, lodged.event)
        return PlanOut(plan_hash=lodged.plan_hash)

    @api.post(
        "/snapshot",
        status_code=202,
        responses=openapi_responses(
            problems.STATE_CONFLICT,
            problems.MANDATE_REFUSED,
            problems.PLAN_REFUSED,
            logged=True,
        ),
        summary="Freeze the scope under four approvals, and begin to decide",
    )
    async def freeze_scope(
        handover: Id,
        body: SnapshotIn,
        caller: Annotated[Principal, require(Scope.CUSTODY_FREEZE)],
    ) -> SnapshotOut:
        approvals = [one.value() for one in body.approvals]
        scope = await mandates.freeze(caller, handover, approvals)
        return SnapshotOut(snapshot_id=scope.snapshot, state=scope.state.value)


def _add_status(api: StrictRouter, mandates: Mandates) -> None:
    @api.get("", summary="Where a handover stands")
    async def read_custody(
        handover: Id, caller: Annotated[Principal, require(Scope.CUSTODY_READ)]
    ) -> StatusOut:
        return StatusOut.of(await mandates.status(caller, handover))


def _add_decision(api: StrictRouter, mandates: Mandates) -> None:
    @api.get("/decision", responses=_STEP, summary="Counts and root of a decision")
    async def read_decision(
        handover: Id, caller: Annotated[Principal, require(Scope.CUSTODY_READ)]
    ) -> DecisionOut:
        found = await mandates.decision(caller, handover)
        return DecisionOut.of(mandates.installation, found)

    @api.get(
        "/decision/rows",
        responses=_STEP,
        response_model_exclude_none=True,
        summary="Rows of a decision: the seller's all, the buyer's after the turn",
    )
    async def list_decision_rows(
        handover: Id,
        caller: Annotated[Principal, require(Scope.CUSTODY_ROWS)],
        cursor: Place = None,
        limit: Limit = 100,
    ) -> RowsOut:
        after = -1 if cursor is None else int(cursor)
        found = await mandates.rows(caller, handover, after, limit + 1)
        page = found[:limit]
        return RowsOut(
            items=[RowOut.of(one) for one in page],
            next_cursor=str(page[-1].position) if len(found) > limit else None,
            has_more=len(found) > limit,
        )


def _add_mandate(api: StrictRouter, mandates: Mandates) -> None:
    @api.post(
        "/backup",
        status_code=202,
        responses=_STEP,
        summary="Back the scope up and drill the backup",
    )
    async def back_up(
        handover: Id, caller: Annotated[Principal, require(Scope.CUSTODY_BACKUP)]
    ) -> StateOut:
        state = await mandates.back_up(caller, handover)
        return StateOut(handover=handover, state=state)

    @api.put(
        "/mandate",
        responses={**_NAMED, **_SIGNED},
        summary="Hand in the approvals and the releases",
    )
    async def put_mandate(
        handover: Id,
        body: MandateIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.CUSTODY_MANDATE)],
    ) -> StateOut:
        event = await mandates.accept(
            caller,
            handover,
            [one.value() for one in body.approvals],
            [one.value() for one in body.releases],
        )
        _name_event(response, event)
        return StateOut(handover=handover, state="mandated")


def _add_execution(api: StrictRouter, mandates: Mandates) -> None:
    # Before the next one, whose `{n}` would match it.
    @api.post(
        "/batches/{n}:verify",
        responses={
            **_NAMED,
            **openapi_responses(problems.STATE_CONFLICT, problems.NOT_RECONCILED),
        },
        summary="Open a batch under the buyer's key and compare digests",
    )
    async def verify_batch(
        handover: Id,
        n: Number,
        response: Response,
        caller: Annotated[Principal, require(Scope.CUSTODY_EXECUTE)],
    ) -> VerifiedOut:
        done = await mandates.verify(caller, handover, n)
        _name_event(response, done.event)
        return VerifiedOut.of(done)

    @api.post(
        "/batches/{n}",
        responses={
            **_NAMED,
            **openapi_responses(
                problems.STATE_CONFLICT,
                problems.MANDATE_REFUSED,
                problems.BATCH_DIGEST_MISMATCH,
                logged=True,
            ),
        },
        summary="Execute a batch; the same again replays its result",
    )
    async def execute_batch(
        handover: Id,
        n: Number,
        body: BatchIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.CUSTODY_EXECUTE)],
    ) -> BatchResultOut:
        done = await mandates.execute(caller, handover, n, body.digest)
        _name_event(response, done.event)
        return BatchResultOut.of(done)


def _add_batches(api: StrictRouter, mandates: Mandates) -> None:
    @api.get("/batches", responses=_STEP, summary="The batches of a decision")
    async def list_batches(
        handover: Id,
        caller: Annotated[Principal, require(Scope.CUSTODY_READ)],
        cursor: Place = None,
        limit: Limit = 100,
    ) -> BatchesOut:
        after = 0 if cursor is None else int(cursor)
        found = await mandates.batches(caller, handover, after, limit + 1)
        page = found[:limit]
        return BatchesOut(
            items=[BatchOut.of(one) for one in page],
            next_cursor=str(page[-1].n) if len(found) > limit else None,
            has_more=len(found) > limit,
        )


def _add_turn(api: StrictRouter, mandates: Mandates) -> None:
    @api.post(
        ":turn",
        responses={
            **_NAMED,
            **openapi_responses(
                problems.STATE_CONFLICT,
                problems.TURN_REFUSED,
                problems.NOT_RECONCILED,
                logged=True,
            ),
        },
        summary="Turn custody: from now on the buyer reads, and the seller does not",
    )
    async def turn_custody(
        handover: Id,
        response: Response,
        caller: Annotated[Principal, require(Scope.CUSTODY_EXECUTE)],
    ) -> TurnedOut:
        done = await mandates.turn(caller, handover)
        _name_event(response, done.event)
        return TurnedOut.of(done)


def _add_collisions(api: StrictRouter, mandates: Mandates) -> None:
    @api.get(
        "/collisions",
        responses=_STEP,
        summary="Pairs of the buyer's records that share a unique value since the turn",
    )
    async def list_collisions(
        handover: Id,
        caller: Annotated[Principal, require(Scope.CUSTODY_SETTLE)],
        cursor: Place = None,
        limit: Limit = 100,
    ) -> CollisionsOut:
        after = 0 if cursor is None else int(cursor)
        found = await mandates.collisions(caller, handover, after, limit + 1)
        page = found[:limit]
        return CollisionsOut(
            items=[CollisionOut.of(one) for one in page],
            next_cursor=str(page[-1].position) if len(found) > limit else None,
            has_more=len(found) > limit,
        )

    @api.post(
        "/collisions/{position}:settle",
        responses={
            **_NAMED,
            **openapi_responses(
                problems.STATE_CONFLICT,
                problems.HANDED_OVER,
                problems.FOLIO_FROZEN,
                problems.VALIDATION,
            ),
        },
        summary="Keep both records of a collision, or merge them; once",
    )
    async def settle_collision(
        handover: Id,
        position: Number,
        body: SettleIn,
        response: Response,
        caller: Annotated[Principal, require(Scope.CUSTODY_SETTLE)],
    ) -> CollisionOut:
        done = await mandates.settle(caller, handover, position, body.choice())
        _name_event(response, done.event)
        return CollisionOut.of(done.collision)


def _add_end(
    api: StrictRouter, mandates: Mandates, verb: str, state: TurnState, summary: str
) -> None:
    @api.post(
        f":{verb}",
        name=f"{verb}_custody",
        status_code=202,
        responses=_STEP,
        summary=summary,
    )
    async def end_custody(
        handover: Id, caller: Annotated[Principal, require(Scope.CUSTODY_CANCEL)]
    ) -> StateOut:
        found = await mandates.end(caller, handover, state)
        return StateOut(handover=handover, state=found)


def _name_event(response: Response, event: EventRef | None) -> None:
    if event is not None:
        response.headers["Audit-Event"] = str(event)
