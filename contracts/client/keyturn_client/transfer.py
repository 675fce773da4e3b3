# SPDX-License-Identifier: Apache-2.0
"""Transfer's operations as calls. What people sign, they sign elsewhere."""

from __future__ import annotations

from typing import Any

from keyturn_client.calls import Call, Service, bytes_of, json_of, make
from keyturn_client.clock import new_key
from keyturn_client.models import transfer as m


def list_handovers(
    *, cursor: str | None = None, limit: int | None = None, state: str | None = None
) -> Call[m.HandoverPage]:
    """A page of the party's handovers, the newest first."""
    query = {"cursor": cursor, "limit": limit, "state": state}
    return make(
        Service.TRANSFER,
        "list_handovers",
        "GET",
        "/v1/handovers",
        read=json_of,
        query=query,
    )


def create_handover(
    handover: m.CreateBody, *, key: str | None = None
) -> Call[m.HandoverView]:
    """Open a handover as a draft."""
    return make(
        Service.TRANSFER,
        "create_handover",
        "POST",
        "/v1/handovers",
        read=json_of,
        headers={"Idempotency-Key": key or new_key()},
        body=handover,
        repeatable=True,
    )


def act_on_handover(
    handover: str, event: str, step: m.StepBody | None = None
) -> Call[m.HandoverView]:
    """Take a step, such as `propose`; its documents are signed by people (DSSE)."""
    return make(
        Service.TRANSFER,
        "act_on_handover",
        "POST",
        "/v1/handovers/{handover}:{event}",
        read=json_of,
        place={"handover": handover, "event": event},
        body=step or {},
    )


def get_handover(handover: str) -> Call[m.HandoverView]:
    """One handover: its state, its counts, whom it waits for."""
    return _paper("get_handover", handover, "")


def get_history(handover: str) -> Call[m.History]:
    """Its steps, dense from 1."""
    return _paper("get_history", handover, "/history")


def get_report(handover: str) -> Call[m.Report]:
    """Counts, phases, signatures."""
    return _paper("get_report", handover, "/report")


def get_documents(handover: str) -> Call[m.Documents]:
    """Its signed documents."""
    return _paper("get_documents", handover, "/documents")


def get_plan(handover: str) -> Call[bytes]:
    """The exact plan bytes that people sign."""
    return _paper("get_plan", handover, "/plan", bytes_of)


def get_scope(handover: str) -> Call[bytes]:
    """The exact bytes of the scope on the table."""
    return _paper("get_scope", handover, "/scope", bytes_of)


def follow_handover(handover: str) -> Call[bytes]:
    """The stream of its progress; to be followed, not sent."""
    return _paper("follow_handover", handover, "/progress", bytes_of)


def _paper(operation: str, handover: str, tail: str, read: Any = json_of) -> Call[Any]:
    path = "/v1/handovers/{handover}" + tail
    place = {"handover": handover}
    return make(Service.TRANSFER, operation, "GET", path, read=read, place=place)
