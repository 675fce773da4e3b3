# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.middleware import Middleware

from contracts import problems
from contracts.problems import Fault, Problem, Refusal
from services.chassis import problem_json, telemetry
from services.chassis.body import Body, StrictRouter, Text
from services.chassis.database import (
    CommitUnknown,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    Fenced,
)
from services.chassis.headers import API_HEADERS, RequestFrame
from services.chassis.serve import TELEMETRY_OFF

CANARY = "zhang-san"


class ShopError(Refusal):
    pass


class ShelfEmpty(ShopError):  # noqa: N818
    problem = problems.STATE_CONFLICT


class Foreign(Exception):  # noqa: N818
    """Carries a problem without being a Refusal."""

    problem: ClassVar[Problem] = problems.ETAG_STALE


class Line(Body):
    label: Annotated[str, Text(5)]


class Shelf(StrEnum):
    LOW = "low"
    HIGH = "high"


class Order(Body):
    shelf: Shelf = Shelf.LOW
    side: Literal["left", "right"] = "left"
    named: dict[Annotated[str, Text(5)], int] = Field(default_factory=dict)
    lines: list[Line] = Field(default_factory=list)
    tags: dict[str, Line] = Field(default_factory=dict)


def make_app() -> FastAPI:
    router = StrictRouter()

    @router.get("/raise/{what}")
    async def fail(what: str) -> None:
        errors: dict[str, Exception] = {
            "typed": ShelfEmpty(
                pointer="/lines/0",
                extra={
                    "reason": "shelf-empty",
                    "left": 0,
                    "status": 200,
                    "customer": f"{CANARY} wei",
                    "required_scopes": ["records:read"],
                },
            ),
            "foreign": Foreign(CANARY),
            "quota": Refusal(problems.QUOTA_EXCEEDED, retry_after=30),
            "busy": Refusal(problems.BUSY),
            "expired": Refusal(problems.TOKEN_EXPIRED),
            "anonymous": Refusal(problems.AUTHENTICATION_REQUIRED),
            "scope": Refusal(problems.SCOPE_MISSING),
            "unknown": RuntimeError(CANARY),
            "faults": Refusal(
                problems.FIELD_UNKNOWN, faults=[Fault("/a", "unknown", "m")] * 99
            ),
        }
        raise errors[what]

    @router.post("/orders")
    async def order(order: Order) -> None:
        return None

    @router.get("/broken-stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            raise RuntimeError(CANARY)

        return StreamingResponse(chunks())

    app = FastAPI(
        telemetry=TELEMETRY_OFF,
        middleware=[
            Middleware(RequestFrame, new_id=uuid4),
            Middleware(problem_json.ProblemBoundary),
        ],
    )
    problem_json.install(app)
    app.include_router(router)
    return app


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as c:
        yield c


async def test_typed_error_is_answered_with_its_problem_and_members(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/raise/typed")
    assert answer.status_code == 409
    document = answer.json()
    assert document["type"] == "/problems/state-conflict"
    assert document["reason"] == "shelf-empty"
    assert document["left"] == 0
    assert document["required_scopes"] == ["records:read"]
    assert document["errors"][0]["pointer"] == "/lines/0"


async def test_members_cannot_shadow_the_problem_nor_carry_free_text(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/raise/typed")).json()
    assert document["status"] == 409
    assert "customer" not in document


async def test_error_of_another_root_is_mapped_by_its_problem(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/raise/foreign")
    assert (answer.status_code, answer.json()["code"]) == (412, "etag-stale")
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatabaseBusy, "busy"),
        (DatabaseUnavailable, "audit-unavailable"),
        (CommitUnknown, "audit-unavailable"),
        (Fenced, "shutting-down"),
        (DatabaseError, "internal"),
    ],
)
def test_every_database_error_has_its_answer(
    error: type[DatabaseError], code: str
) -> None:
    answer = problem_json.error_response(error(CANARY), {"type": "http"})
    assert json.loads(answer.body)["code"] == code
    assert CANARY.encode() not in bytes(answer.body)
    if code != "internal":
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("what", "header", "value"),
    [
        ("quota", "retry-after", "30"),
        ("busy", "retry-after", "1"),
        ("anonymous", "www-authenticate", 'Bearer realm="keyturn"'),
        ("expired", "www-authenticate", 'Bearer realm="keyturn", error="invalid_token"'),
        ("scope", "www-authenticate",
         'Bearer realm="keyturn", error="insufficient_scope"'),
    ],
)  # fmt: skip
async def test_answer_tells_the_caller_how_to_go_on(
    client: httpx.AsyncClient, what: str, header: str, value: str
) -> None:
    assert (await client.get(f"/raise/{what}")).headers[header] == value


async def test_unforeseen_error_is_500_without_text_and_logged_as_type_and_place(
    client: httpx.AsyncClient,
) -> None:
    stream = io.StringIO()
    try:
        telemetry.configure("shop", "info", stream)
        answer = await client.get("/raise/unknown")
    finally:
        structlog.reset_defaults()
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    [line] = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert line["event"] == "request.failed"
    assert line["error"] == "RuntimeError"
    assert "test_problem_json.py:" in line["at"]
    assert line["request_id"] == answer.json()["request_id"]
    assert CANARY not in answer.text + stream.getvalue()


async def test_faults_are_bounded(client: httpx.AsyncClient) -> None:
    assert len((await client.get("/raise/faults")).json()["errors"]) == 50


@pytest.mark.parametrize(
    ("body", "pointer", "code", "msg"),
    [
        ({"lines": [{}]}, "/lines/0/label", "missing", "is required"),
        ({"lines": [{"label": "x" * 6}]}, "/lines/0/label", "string_too_long",
         "must have at most 5 characters"),
        ({CANARY: 1}, "/*", "extra_forbidden",
         "is no member here; it takes lines, named, shelf, side, tags"),
        ({"lines": [{"label": "x", CANARY: 1}]}, "/lines/0/*", "extra_forbidden",
         "is no member here; it takes label"),
        ({"tags": {CANARY: {"label": "x", CANARY: 1}}}, "/tags/*/*", "extra_forbidden",
         "is no member here; it takes label"),
        ({"tags": {CANARY: {}}}, "/tags/*/label", "missing", "is required"),
        ({"lines": CANARY}, "/lines", "list_type", "must be an array"),
        ({"shelf": CANARY}, "/shelf", "enum", "must be 'low' or 'high'"),
        ({"side": CANARY}, "/side", "literal_error", "must be 'left' or 'right'"),
        ({"named": {CANARY: 1}}, "/named/*", "string_too_long",
         "must have at most 5 characters"),
    ],
)  # fmt: skip
async def test_fault_names_place_and_rule_and_no_byte_the_caller_chose(
    client: httpx.AsyncClient, body: Any, pointer: str, code: str, msg: str
) -> None:
    answer = await client.post("/orders", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"in": "body", "pointer": pointer, "code": code, "msg": msg}
    ]
    assert CANARY not in answer.text


async def test_every_answer_has_the_api_headers_and_no_server(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/raise/unknown", "/nowhere", "/raise/typed"):
        answer = await client.get(path)
        assert {k: answer.headers[k] for k in API_HEADERS} == API_HEADERS
        assert "server" not in answer.headers


async def test_own_request_id_is_kept_only_if_it_is_a_uuid(
    client: httpx.AsyncClient,
) -> None:
    mine = str(uuid4())
    answer = await client.get("/nowhere", headers={"request-id": mine})
    assert answer.headers["request-id"] == answer.json()["request_id"] == mine
    answer = await client.get("/nowhere", headers={"request-id": CANARY})
    assert CANARY not in answer.text + str(answer.headers)


async def test_an_error_after_the_answer_began_ends_it_unfinished() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET", "path": "/broken-stream", "raw_path": b"/broken-stream",
        "query_string": b"", "headers": [(b"host", b"shop")], "root_path": "",
        "http_version": "1.1", "scheme": "http", "server": ("shop", 80),
    }  # fmt: skip
    await make_app()(scope, receive, send)
    assert sent[0]["type"] == "http.response.start"
    assert all(m.get("more_body", True) for m in sent[1:])
    assert CANARY not in str(sent)
