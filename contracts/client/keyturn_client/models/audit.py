# SPDX-License-Identifier: Apache-2.0
# Generated from contracts/openapi/audit.json by `make contracts`.

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AlertOut(TypedDict):
    """An alert; each is also an event in the log."""

    id: str
    code: str
    lane: str
    seq: int
    raised_at: int
    acknowledged_at: int | None


class AlertsOut(TypedDict):
    """The newest alerts, at most 200."""

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

    lane: str
    seq: int
    leaf_hash: str
    head: str
    followers: list[str]


class LaneOut(TypedDict):
    """How far a lane is integrated; `successor` is empty while none follows it."""

    lane: str
    service: str
    slot: str
    seq: int
    successor: str


class LanesOut(TypedDict):
    """Every lane of the log."""

    items: list[LaneOut]


Order: TypeAlias = Literal["asc", "desc"]


Error = TypedDict(
    "Error",
    {
        "in": str,
        "pointer": str,
        "code": str,
        "msg": str,
    },
)


class Problem(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    instance: NotRequired[str]
    code: str
    request_id: str
    errors: NotRequired[list[Error]]


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

    index: int
    id: str
    leaf_hash: str
    raw: str
    event: dict[str, Any] | None
    proof: str | None


class EventsOut(TypedDict):
    """A page of events in the order asked for; `size` leaves were searched."""

    items: list[EventOut]
    next_cursor: str | None
    has_more: bool
    size: int
