# SPDX-License-Identifier: Apache-2.0
"""The published log over HTTP, on the C2SP paths, and its alerts and positions."""
# Annotations are evaluated here: FastAPI reads them.

import base64
from typing import Annotated, Any

from fastapi import Path, Response
from pydantic import BaseModel

from contracts import problems
from contracts.log.errors import LogError
from contracts.log.tiles import parse_path
from contracts.scopes import Scope
from services.audit.errors import EventNotFound
from services.audit.log import store
from services.audit.log.files import CHECKPOINT, FileMissing
from services.audit.log.operations import Log
from services.audit.log.reading import LogReadings
from services.chassis.auth import Principal, public, require
from services.chassis.body import StrictRouter, Text
from services.chassis.declared import answered, openapi_responses

LaneId = Annotated[str, Path(), Text(32, pattern=r"^[0-9a-f]{32}$")]
MAX_FOLLOWERS = 64  # told of one lane
OCTETS = "application/octet-stream"
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
PRIVATE = {"Cache-Control": "private, max-age=31536000, immutable"}


class LaneOut(BaseModel):
    """How far a lane is integrated; `successor` is empty while none follows it."""

    lane: str
    service: str
    slot: str
    seq: int
    successor: str


class LanesOut(BaseModel):
    """Every lane of the log."""

    items: list[LaneOut]


class LaneEndOut(BaseModel):
    """Where a lane ends in the log, under its source's signature.

    Attributes:
        leaf_hash: `sha256:<hex>` of its last leaf.
        head: The source's signature over it, base64.
        followers: The lanes that name it as the one before in its slot; of an honest
            source at most one.
    """

    lane: str
    seq: int
    leaf_hash: str
    head: str
    followers: list[str]


class AlertOut(BaseModel):
    """An alert; each is also an event in the log."""

    id: str
    code: str
    lane: str
    seq: int
    raised_at: int
    acknowledged_at: int | None


class AlertsOut(BaseModel):
    """The newest alerts, at most 200."""

    items: list[AlertOut]


def router(log: Log, *, public_log: bool) -> StrictRouter:
    """Return the log's routes; checkpoint and hash tiles are public if configured."""
    api = StrictRouter(tags=["log"])
    readings = LogReadings(log)
    guard: Any = public() if public_log else require(Scope.AUDIT_READ)

    @api.get(
        "/checkpoint",
        dependencies=[guard],
        response_class=Response,
        responses={**_bytes("text/plain"), **openapi_responses(problems.NOT_FOUND)},
        summary="The signed checkpoint",
    )
    async def read_checkpoint() -> Response:
        note = _file(log, CHECKPOINT)
        media = "text/plain; charset=utf-8"
        return Response(note, media_type=media, headers={"Cache-Control": "no-cache"})

    @api.get(
        "/tile/entries/{place:path}",
        response_class=Response,
        responses={200: {**_bytes(OCTETS)[200], **answered("Audit-Event")}},
        summary="An entry bundle: every party's events, so it needs audit:monitor",
    )
    async def read_bundle(
        place: str, principal: Annotated[Principal, require(Scope.AUDIT_MONITOR)]
    ) -> Response:
        path = f"tile/entries/{place}"
        octets = _file(log, path)
        event = await readings.trace(principal, ["bundle"], parse_path(path).width)
        # `public` would let a shared cache answer whoever has no token.
        headers = {**PRIVATE, "Audit-Event": str(event)}
        return Response(octets, media_type=OCTETS, headers=headers)

    @api.get(
        "/tile/{level}/{place:path}",
        dependencies=[guard],
        response_class=Response,
        responses=_bytes(OCTETS),
        summary="A hash tile",
    )
    async def read_tile(level: str, place: str) -> Response:
        octets = _file(log, f"tile/{level}/{place}")
        kept = IMMUTABLE if public_log else PRIVATE
        return Response(octets, media_type=OCTETS, headers=kept)

    @api.get(
        "/v1/lanes",
        dependencies=[require(Scope.AUDIT_MONITOR)],
        summary="How far each lane is integrated: how busy every party is",
    )
    async def read_lanes() -> LanesOut:
        rows = await log.journal.read(store.positions)
        after = {row.previous: row.lane for row in rows if row.previous}
        return LanesOut(
            items=[
                LaneOut(
                    lane=row.lane,
                    service=row.service,
                    slot=row.slot,
                    seq=row.seq,
                    successor=after.get(row.lane, ""),
                )
                for row in rows
            ]
        )

    @api.get(
        "/v1/lanes/{lane}",
        dependencies=[guard],
        responses=openapi_responses(
            problems.NOT_FOUND,
            problems.AUDIT_UNAVAILABLE,
            problems.BUSY,
            problems.SHUTTING_DOWN,
        ),
        summary="Where a lane ends in the log: a source holds its database against it",
    )
    async def read_lane_end(lane: LaneId) -> LaneEndOut:
        row, followers = await log.journal.read(
            lambda c: (store.position_of(c, lane), store.followers_of(c, lane))
        )
        if row is None:
            raise EventNotFound("the log holds nothing of this lane")
        return LaneEndOut(
            lane=lane,
            seq=row.seq,
            leaf_hash=f"sha256:{row.leaf_hash.hex()}",
            head=base64.b64encode(row.head).decode(),
            followers=sorted(row.lane for row in followers)[:MAX_FOLLOWERS],
        )

    @api.get(
        "/v1/alerts",
        dependencies=[require(Scope.AUDIT_EVENTS)],
        summary="What a person must look at",
    )
    async def read_alerts() -> AlertsOut:
        rows = await log.journal.read(lambda c: store.alerts(c, 200))
        return AlertsOut(
            items=[
                AlertOut(
                    id=row.id,
                    code=row.code,
                    lane=row.lane,
                    seq=row.seq,
                    raised_at=row.raised_at,
                    acknowledged_at=row.acknowledged_at,
                )
                for row in rows
            ]
        )

    return api


def _bytes(media_type: str) -> dict[int | str, dict[str, Any]]:
    kind = {"type": "string", "format": "binary"}
    return {200: {"content": {media_type: {"schema": kind}}}}


def _file(log: Log, path: str) -> bytes:
    try:
        return log.files.read(path)
    except (FileMissing, LogError) as exc:
        raise EventNotFound("the log has no such file") from exc
