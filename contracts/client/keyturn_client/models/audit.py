# SPDX-License-Identifier: Apache-2.0
# Generated from contracts/openapi/audit.json by `make contracts`.

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AlertOut(TypedDict):
    """
    An alert; each is also an event in the log.
    """

    acknowledged_at: int | None
    code: str
    id: str
    lane: str
    raised_at: int
    seq: int


class AlertsOut(TypedDict):
    """
    The newest alerts, at most 200.
    """

    items: list[AlertOut]


class ExportBody(TypedDict):
    """
    What to export.

    Attributes:
        handover: Only this handover's events, each with its proof. Without it, the
            installation's own people get the whole log and a party all its events.
    """

    handover: NotRequired[str | None]


class LaneEndOut(TypedDict):
    """
    Where a lane ends in the log, under its source's signature.

    Attributes:
        leaf_hash: `sha256:<hex>` of its last leaf.
        head: The source's signature over it, base64.
        followers: The lanes that name it as the one before in its slot; of an honest
            source at most one.
    """

    followers: list[str]
    head: str
    lane: str
    leaf_hash: str
    seq: int


class LaneOut(TypedDict):
    """
    How far a lane is integrated; `successor` is empty while none follows it.
    """

    lane: str
    seq: int
    service: str
    slot: str
    successor: str


class LanesOut(TypedDict):
    """
    Every lane of the log.
    """

    items: list[LaneOut]


Order: TypeAlias = Literal["asc", "desc"]


Error = TypedDict(
    "Error",
    {
        "code": str,
        "in": str,
        "msg": str,
        "pointer": str,
    },
)


class Problem(TypedDict):
    code: str
    detail: str
    errors: NotRequired[list[Error]]
    instance: NotRequired[str]
    request_id: str
    status: int
    title: str
    type: str


class EventOut(TypedDict):
    """
    One leaf of the log.

    Attributes:
        index: Its place in the log.
        id: `<lane>/<seq>`; empty if this version cannot read the event.
        leaf_hash: `sha256:<hex>` of 0x00 and the exact bytes.
        raw: The exact bytes, base64.
        event: The bytes as JSON, to read; null if this version cannot read them.
        proof: Where its proof is.
    """

    event: dict[str, Any] | None
    id: str
    index: int
    leaf_hash: str
    proof: str | None
    raw: str


class EventsOut(TypedDict):
    """
    A page of events in the order asked for; `size` leaves were searched.
    """

    has_more: bool
    items: list[EventOut]
    next_cursor: str | None
    size: int
