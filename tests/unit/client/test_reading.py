# SPDX-License-Identifier: Apache-2.0
"""Promise: pages, batches, edits and streams go on to their end, and know it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from keyturn_client import Answer, Retries
from keyturn_client.errors import (
    AnswerMalformed,
    Denied,
    NotFound,
    Refused,
    Stale,
    Unreachable,
)
from tests.unit.client.house import RECORD, playing, problem, scripted

TEXT = {"content-type": "text/event-stream"}


def page(ids: list[str], ahead: str | None) -> httpx.Response:
    items = [{"id": name, "etag": "1"} for name in ids]
    body = {"items": items, "next_cursor": ahead, "has_more": ahead is not None}
    return httpx.Response(200, json=body)


def test_an_empty_page_is_not_the_last() -> None:
    script = scripted(page(["a"], "1"), page([], "2"), page(["b"], None))
    with playing(script) as (keyturn, played):
        assert [one["id"] for one in keyturn.records.each(limit=1)] == ["a", "b"]
    cursors = [request.url.params.get("cursor") for request in played.requests]
    assert cursors == [None, "1", "2"]


def test_a_page_that_leads_to_itself_ends_the_reading() -> None:
    script = scripted(page(["a"], "1"), page(["b"], "1"))
    with playing(script) as (keyturn, _), pytest.raises(AnswerMalformed):
        list(keyturn.records.each())


def test_batches_are_of_a_hundred_and_each_has_its_key() -> None:
    sizes: list[int] = []

    def script(request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)["items"]
        sizes.append(len(items))
        told = [
            {"ref": one["ref"], "status": 201, "id": RECORD, "etag": "1"}
            for one in items
        ]
        return httpx.Response(207, json={"items": told})

    with playing(script) as (keyturn, played):
        refs = [f"r{n}" for n in range(250)]
        asked = ({"ref": ref, "record": {}} for ref in refs)
        results = keyturn.records.batch(asked)  # type: ignore[arg-type]
        assert sizes == []
        assert next(results).ref == "r0"
        assert sizes == [100]
        assert [one.ref for one in results] == refs[1:]
    assert sizes == [100, 100, 50]
    keys = {request.headers["Idempotency-Key"] for request in played.requests}
    assert len(keys) == 3


def test_results_of_other_items_are_not_believed() -> None:
    other = httpx.Response(207, json={"items": [{"ref": "b", "status": 201}]})
    with playing(scripted(other)) as (keyturn, _), pytest.raises(AnswerMalformed):
        list(keyturn.records.batch([{"ref": "a", "record": {}}]))


def test_an_answer_names_its_event_and_hides_its_body() -> None:
    headers = {"Audit-Event": "aa/7", "ETag": '"3"', "Idempotency-Replayed": "true"}
    body = {"id": RECORD, "documents": {"basic": {"name": "Confidential"}}}
    with playing(scripted(httpx.Response(200, json=body, headers=headers))) as (
        keyturn,
        _,
    ):
        answer = keyturn.records.read(RECORD)
    assert (answer.audit_event, answer.etag, answer.replayed) == ("aa/7", '"3"', True)
    assert "Confidential" not in repr(answer)
    assert answer == Answer(body, 200, "aa/7", '"3"', replayed=True)


def test_a_problem_becomes_an_error_with_its_code_and_places() -> None:
    fault = {
        "in": "body",
        "pointer": "/documents/basic/*",
        "code": "field_unknown",
        "msg": "No.",
    }
    answer = problem(
        403, "denied", reason="custody", errors=[fault], audit_event="aa/9"
    )
    with playing(scripted(answer)) as (keyturn, _), pytest.raises(Denied) as denied:
        keyturn.records.read(RECORD)
    error = denied.value
    assert (error.status, error.code, error.reason) == (403, "denied", "custody")
    assert error.audit_event == "aa/9"
    assert error.faults[0].pointer == "/documents/basic/*"
    assert str(error) == "403 denied custody: No.: /documents/basic/* field_unknown"


@pytest.mark.parametrize(
    "body", [b"<html>", b"[1]", b'{"code": 5, "errors": "x"}', b"[" * 99_999]
)
def test_a_refusal_without_a_problem_is_still_a_refusal(body: bytes) -> None:
    said = "418 no problem: the answer explains nothing"
    with (
        playing(scripted(httpx.Response(418, content=body))) as (keyturn, _),
        pytest.raises(Refused, match=said),
    ):
        keyturn.records.read(RECORD)


def test_a_success_that_is_no_json_shows_nothing_of_itself() -> None:
    with (
        playing(scripted(httpx.Response(200, text="Confidential"))) as (keyturn, _),
        pytest.raises(AnswerMalformed) as error,
    ):
        keyturn.records.read(RECORD)
    assert error.value.__cause__ is None
    assert "Confidential" not in str(error.value)


def read(city: str, etag: str) -> httpx.Response:
    body = {"documents": {"basic": {"city": city}}}
    return httpx.Response(200, json=body, headers={"ETag": f'"{etag}"'})


def test_an_edit_gives_up_when_somebody_is_always_faster() -> None:
    lost = [
        answer
        for n in range(5)
        for answer in (read("A", str(n)), problem(412, "etag-stale"))
    ]
    with playing(scripted(*lost)) as (keyturn, played), pytest.raises(Stale):
        keyturn.records.edit(RECORD, lambda _: {"tags": ["x"]})
    matches = [r.headers["If-Match"] for r in played.requests if r.method == "PATCH"]
    assert matches == [f'"{n}"' for n in range(5)]


def test_an_edit_that_changes_nothing_sends_nothing() -> None:
    with playing(scripted(read("A", "1"))) as (keyturn, _):
        assert keyturn.records.edit(RECORD, lambda _: None) is None


def sse(*events: tuple[int, str], tail: str = "") -> httpx.Response:
    text = "".join(f'id: {n}\nevent: {t}\ndata: {{"n":{n}}}\n\n' for n, t in events)
    return httpx.Response(200, text=text + tail, headers=TEXT)


CLOSED = 'event: closed\ndata: {"code":"token-expired"}\n\n'


def test_a_stream_goes_on_after_a_lost_connection_and_an_ended_token() -> None:
    script = scripted(
        sse((1, "a"), (2, "a"), tail="id: 3\ndata: {"),  # cut inside an event
        sse((3, "a"), tail=CLOSED),
        problem(503, "shutting-down"),
        httpx.ConnectError("refused"),
        sse((4, "a"), (5, "a")),
    )
    with playing(script) as (keyturn, played):
        stream = keyturn.log.follow(0)
        assert [next(stream).index for _ in range(5)] == [1, 2, 3, 4, 5]
    asked = [
        (r.url.params.get("from"), r.headers.get("Last-Event-ID"))
        for r in played.requests
    ]
    assert asked == [("0", None), (None, "2"), (None, "3"), (None, "3"), (None, "3")]
    assert played.slept[0] == 0.0
    assert all(pause > 0 for pause in played.slept[1:])


def test_a_stream_that_is_refused_ends() -> None:
    with (
        playing(scripted(problem(403, "scope-missing"))) as (keyturn, _),
        pytest.raises(Denied),
    ):
        next(keyturn.log.follow())


def test_a_stream_that_never_brings_anything_ends() -> None:
    script = scripted(*[sse() for _ in range(4)])
    with (
        playing(script, retries=Retries(attempts=3)) as (keyturn, played),
        pytest.raises(Unreachable),
    ):
        next(keyturn.log.follow())
    assert len(played.requests) == 4


def test_a_stream_of_an_earlier_run_is_taken_up() -> None:
    with playing(scripted(sse((8, "a")))) as (keyturn, played):
        assert next(keyturn.log.follow(after=7)).index == 8
    assert played.requests[0].headers["Last-Event-ID"] == "7"


def test_an_event_is_its_exact_bytes() -> None:
    text = 'id: 1\nevent: a\ndata: {"b" : "\\u00fc\u00fc"}\n\n'
    unreadable = "id: 2\nevent: unreadable\ndata: AAEC\n\n"
    answer = httpx.Response(200, text=text + unreadable, headers=TEXT)
    with playing(scripted(answer)) as (keyturn, _):
        stream = keyturn.log.follow(0)
        assert next(stream).raw == '{"b" : "\\u00fc\u00fc"}'.encode()
        second = next(stream)
    assert (second.raw, second.document) == (b"\0\1\2", None)


def test_progress_ends_with_its_handover_and_says_each_step_once() -> None:
    script = scripted(
        sse((1, "progress"), tail=CLOSED), sse((1, "progress"), (2, "progress"))
    )
    with playing(script) as (keyturn, _):
        seen: list[Any] = list(keyturn.handovers.follow(RECORD))
    assert seen == [{"n": 1}, {"n": 2}]


def test_a_handover_that_is_not_there_has_no_progress() -> None:
    with (
        playing(scripted(problem(404, "not-found"))) as (keyturn, _),
        pytest.raises(NotFound),
    ):
        next(keyturn.handovers.follow(RECORD))


def test_a_house_without_a_service_says_so() -> None:
    with (
        playing(scripted(), transfer=None) as (keyturn, _),
        pytest.raises(ValueError, match="no address of transfer"),
    ):
        keyturn.handovers.show(RECORD)
