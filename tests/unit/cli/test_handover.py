# SPDX-License-Identifier: Apache-2.0
"""Promise: following a handover shows where it stands, event by event."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from rich.console import Console

from services.cli.handover import draw, followed, progress_text
from services.cli.http import Api, Refused

PROGRESS = {
    "batches": 4,
    "executed": 3,
    "verified": 1,
    "folios": 300,
    "rate": 120.4,
    "eta_seconds": 2,
}


def test_progress_says_batches_folios_and_time() -> None:
    text = progress_text(PROGRESS)
    assert text == "3/4 batches, 1 verified, 300 folios, 120 folios/s, 2 s left"


def test_a_stream_gives_each_event_and_draws_a_bar() -> None:
    events = [{"state": "executing", "progress": PROGRESS} for _ in range(2)]
    body = ": hello\n\n" + "".join(
        f"event: progress\ndata: {json.dumps(event)}\nid: 1\n\n" for event in events
    )
    transport = httpx.MockTransport(lambda _r: httpx.Response(200, text=body))
    api = Api("http://transfer", transport=transport)
    with api.events("/v1/handovers/x/progress") as seen:
        assert list(seen) == events
    out = io.StringIO()
    draw(events, Console(file=out, force_terminal=True, width=120))
    assert "executing" in out.getvalue()
    assert "3/4" in out.getvalue()


CLOSED = 'event: closed\ndata: {"code": "token-expired"}\n\n'


def test_a_stream_that_ends_with_its_token_goes_on_with_a_new_one() -> None:
    parts = [
        'event: progress\ndata: {"step": 1}\n\n' + CLOSED,
        'event: progress\ndata: {"step": 2}\n\n',
    ]
    transport = httpx.MockTransport(lambda _r: httpx.Response(200, text=parts.pop(0)))
    api = Api("http://transfer", transport=transport)
    assert list(followed(api, "/v1/x")) == [{"step": 1}, {"step": 2}]
    assert parts == []


def test_a_refused_stream_is_a_refusal() -> None:
    problem = {"code": "not-found", "detail": "No.", "status": 404}
    transport = httpx.MockTransport(lambda _r: httpx.Response(404, json=problem))
    api = Api("http://transfer", transport=transport)
    with pytest.raises(Refused, match="not-found"), api.events("/v1/x"):
        pass
