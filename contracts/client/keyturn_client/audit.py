# SPDX-License-Identifier: Apache-2.0
"""Audit's operations as calls, and an event of the log as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypedDict

from contracts import base64text
from keyturn_client.calls import Call, PathTail, Service, bytes_of, json_of, make
from keyturn_client.errors import AnswerMalformed
from keyturn_client.models import audit as m
from keyturn_client.sse import ServerSentEvent

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One leaf of the log.

    Attributes:
        index: Its place in the log.
        raw: Its exact bytes, which proofs are about.
        document: The bytes as JSON (a CloudEvent); None if the service that sent them
            could not read them.
    """

    index: int
    raw: bytes = field(repr=False)
    document: dict[str, Any] | None

    @classmethod
    def of(cls, found: m.EventOut) -> LogEvent:
        """Return the event of an answer. Raises AnswerMalformed."""
        try:
            return cls(found["index"], base64text.decode(found["raw"]), found["event"])
        except (KeyError, TypeError, ValueError):
            raise AnswerMalformed("the answer is no event") from None

    @classmethod
    def sent(cls, event: ServerSentEvent) -> LogEvent:
        """Return the event of a stream. Raises AnswerMalformed."""
        try:
            if event.event == UNREADABLE:
                return cls(int(event.id), base64text.decode(event.data), None)
            return cls(int(event.id), event.data.encode(), json.loads(event.data))
        except (ValueError, RecursionError):
            raise AnswerMalformed("the stream sent no event") from None


class Filters(TypedDict, total=False):
    """What events are looked for: all members must hold."""

    handover: str | None
    alias: str | None
    actor: str | None
    party: str | None
    type: str | None
    since: str | None
    until: str | None
    order: str | None


def find_events(
    filters: Filters | None = None,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[m.EventsOut]:
    """A page of the party's events: in log order, or with `order` `desc` newest first.

    `since` and `until` are times as RFC 3339 writes them.
    """
    asked: dict[str, Any] = {**(filters or {}), "cursor": cursor, "limit": limit}
    query = {_FILTER_NAMES.get(name, name): value for name, value in asked.items()}
    return _get("find_events", "/v1/events", query=query)


_FILTER_NAMES = {"since": "from", "until": "to"}


def read_event(event: str) -> Call[m.EventOut]:
    """One event, by the `<lane>/<seq>` that an answer named.

    Raises:
        ValueError: It is no such name.
    """
    return _get("read_event", "/v1/events/{lane}/{seq}", place=_named(event))


def read_proof(event: str) -> Call[bytes]:
    """The proof that the log holds an event (C2SP tlog-proof).

    Raises:
        ValueError: It is no `<lane>/<seq>`.
    """
    path = "/v1/events/{lane}/{seq}/proof"
    return _get("read_proof", path, bytes_of, place=_named(event))


def read_alerts() -> Call[m.AlertsOut]:
    """The newest alerts. For monitors."""
    return _get("read_alerts", "/v1/alerts")


def read_lanes() -> Call[m.LanesOut]:
    """Every lane of the log. For monitors."""
    return _get("read_lanes", "/v1/lanes")


def read_lane_end(lane: str) -> Call[m.LaneEndOut]:
    """Where a lane ends, under its source's signature."""
    return _get("read_lane_end", "/v1/lanes/{lane}", place={"lane": lane})


def read_checkpoint() -> Call[bytes]:
    """The log's newest signed checkpoint. Believe it only through a `LogView`."""
    return _get("read_checkpoint", "/checkpoint", bytes_of)


def read_tile(level: int, place: str) -> Call[bytes]:
    """A hash tile, such as level 0, place `x001/067.p/5` (C2SP tlog-tiles)."""
    parts = {"level": level, "place": PathTail(place)}
    return _get("read_tile", "/tile/{level}/{place}", bytes_of, place=parts)


def read_bundle(place: str) -> Call[bytes]:
    """An entry bundle (C2SP tlog-tiles). For monitors of every party."""
    parts = {"place": PathTail(place)}
    return _get("read_bundle", "/tile/entries/{place}", bytes_of, place=parts)


def export_log(handover: str | None = None) -> Call[bytes]:
    """The log, or the party's view of it, as a tar that `keyturn verify` checks."""
    body = {} if handover is None else {"handover": handover}
    return make(
        Service.AUDIT,
        "export_log",
        "POST",
        "/v1/exports",
        read=bytes_of,
        body=body,
        repeatable=True,
    )


def follow_log(start: int | None = None, last_id: str = "") -> Call[bytes]:
    """The stream of the party's events; to be followed, not sent."""
    query = {"from": None if last_id else start}
    headers = {"Last-Event-ID": last_id or None}
    return _get("follow_log", "/v1/stream", bytes_of, query=query, headers=headers)


def _named(event: str) -> dict[str, str | int]:
    lane, slash, seq = event.partition("/")
    if not slash or not seq.isdecimal():
        raise ValueError("an event is named <lane>/<seq>")
    return {"lane": lane, "seq": seq}


def _get(operation: str, path: str, read: Any = json_of, **parts: Any) -> Call[Any]:
    return make(Service.AUDIT, operation, "GET", path, read=read, **parts)
