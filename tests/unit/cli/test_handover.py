# SPDX-License-Identifier: Apache-2.0
"""Promise: following a handover shows where it stands, event by event."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest
from rich.console import Console

from services.cli.handover import (
    _SHOWN,
    draw,
    followed,
    listed,
    progress_text,
    told,
    transferred_text,
)
from services.cli.http import Api, Refused

PROGRESS = {
    "batches": 4,
    "executed": 3,
    "verified": 1,
    "folios": 300,
    "dropped": 2,
    "rate": 120.4,
    "eta_seconds": 2,
}


def test_progress_says_batches_folios_and_time() -> None:
    text = progress_text(PROGRESS)
    assert text == (
        "3/4 batches, 1 verified, 300 folios moved (2 had left before), "
        "120 folios/s, 2 s left"
    )


def test_what_was_moved_and_what_was_transferred_are_told_apart() -> None:
    found = {"progress": PROGRESS, "transferred": None}
    assert transferred_text(found) == "- (custody has not turned)"
    found["transferred"] = 297
    text = transferred_text(found)
    assert text == "297 folios (3 left after their batch, before the turn)"
    found["transferred"] = 300
    assert transferred_text(found) == "300 folios"


def test_a_list_cuts_nothing_and_lets_no_text_move_the_cursor() -> None:
    item = {
        "id": "019ab6c0-0000-7000-8000-000000000001",
        "state": "seller_restricted",
        "seller": "a-company-with-quite-a-long-name",
        "buyer": "evil\x1b[2J",
        "waiting_for": ["SO", "SC", "BO", "BC"],
    }
    head, line = listed([item])
    assert head.split() == ["id", "state", "seller", "buyer", "waits", "for"]
    for name in ("id", "state", "seller"):
        assert str(item[name]) in line
    assert line.endswith("evil<U+001B>[2J  SO, SC, BO, BC")
    assert head.index("waits for") == line.index("SO, SC")


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


def test_a_bar_cuts_nothing_in_eighty_columns() -> None:
    progress = {**PROGRESS, "batches": 12_345, "executed": 12_344}
    out = io.StringIO()
    seen = [{"state": "seller_restricted", "progress": progress}]
    draw(seen, Console(file=out, force_terminal=False, width=80))
    text = out.getvalue()
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    whole = " ".join(text.split())
    assert whole.startswith("seller_restricted ")
    assert f"12344/12345 {progress_text(progress)}" in whole


def test_a_handover_is_shown_with_its_hashes_whole() -> None:
    found: dict[str, Any] = dict.fromkeys(_SHOWN, "x")
    hashed = "sha256:" + "0123456789abcdef" * 4
    found |= {"plan_hash": hashed, "waiting_for": [], "signed": ["a", "b"]}
    found |= {"seller": "evil\x1b[2J", "decision_root": None}
    found |= {"progress": PROGRESS, "transferred": None}
    lines = list(told(found))
    assert f"plan_hash        {hashed}" in lines
    assert "waiting_for      -" in lines
    assert "signed           a, b" in lines
    assert "decision_root    -" in lines
    assert "seller           evil<U+001B>[2J" in lines
    assert len(lines) == len(_SHOWN) + 2


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
