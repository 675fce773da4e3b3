# SPDX-License-Identifier: Apache-2.0
"""Each row of api.md's table of hostile payloads is answered with a problem."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Path, Query, Request
from pydantic import Field
from starlette.middleware import Middleware

from contracts.problems import PROBLEMS
from services.chassis import problem_json
from services.chassis.body import (
    Body,
    Limit,
    Position,
    StrictRouter,
    Text,
    Whole,
    read_bytes,
    read_form,
)
from services.chassis.headers import Entrance, RequestFrame
from services.chassis.serve import TELEMETRY_OFF

CANARY = "zhang-san-13800138000"


class Thing(Body):
    name: Annotated[str, Text(40)]
    size: Whole = 0
    free: dict[str, Any] = Field(default_factory=dict)
    owner: UUID | None = None


def make_app() -> FastAPI:
    router = StrictRouter(prefix="/v1")

    @router.post("/things")
    async def create(thing: Thing) -> dict[str, Any]:
        return thing.model_dump()

    @router.get("/things/{number}")
    async def read(
        number: Annotated[Position, Path()],
        limit: Limit = 50,
        word: Annotated[str, Query(max_length=20)] = "",
    ) -> dict[str, Any]:
        return {"number": number, "limit": limit, "word": word}

    @router.delete("/things/{number}")
    async def delete(number: Annotated[Position, Path()]) -> None:
        raise KeyError(CANARY)

    @router.put("/plan", max_body_size=100)
    async def plan(request: Request) -> int:
        return len(await read_bytes(request, "application/vnd.keyturn.plan+json"))

    @router.post("/token")
    async def token(request: Request) -> dict[str, str]:
        return await read_form(request)

    app = FastAPI(
        redirect_slashes=False,
        telemetry=TELEMETRY_OFF,
        middleware=[
            Middleware(RequestFrame, new_id=uuid4),
            Middleware(problem_json.ProblemBoundary),
            Middleware(Entrance, hosts=["shop"]),
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


def assert_problem(answer: httpx.Response, *codes: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] in codes
    assert answer.status_code == document["status"] == PROBLEMS[document["code"]].status
    assert UUID(document["request_id"]) == UUID(answer.headers["request-id"])
    assert CANARY not in answer.text
    return document


JSON = {"content-type": "application/json"}

BODIES: dict[str, tuple[bytes, str]] = {
    "lone surrogate in a value": (rb'{"name":"\ud800"}', "malformed-json"),
    "lone surrogate in a key": (rb'{"name":"a","\ud800":1}', "malformed-json"),
    "lone surrogate in a dict": (
        rb'{"name":"a","free":{"x":"\udfff"}}',
        "malformed-json",
    ),
    "nested 900": (
        b'{"name":"a","free":{"x":' + b"[" * 900 + b"]" * 900 + b"}}",
        "malformed-json",
    ),
    "nested 66": (
        b'{"name":"a","free":{"x":' + b"[" * 64 + b"]" * 64 + b"}}",
        "malformed-json",
    ),
    "nested 100,000": (b"[" * 100_000, "malformed-json"),
    "5,000 digits": (b'{"name":"a","size":' + b"9" * 5000 + b"}", "malformed-json"),
    "integer beyond 64 bits": (
        b'{"name":"a","free":{"x":9223372036854775808}}',
        "malformed-json",
    ),
    "NaN": (b'{"name":"a","free":{"x":NaN}}', "malformed-json"),
    "Infinity": (b'{"name":"a","free":{"x":-Infinity}}', "malformed-json"),
    "1e999": (b'{"name":"a","free":{"x":1e999}}', "malformed-json"),
    "not UTF-8": (b'{"name":"\xff\xfe"}', "malformed-json"),
    "UTF-16": ('{"name":"a"}'.encode("utf-16"), "malformed-json"),
    "UTF-16 without mark": ('{"name":"a"}'.encode("utf-16-le"), "malformed-json"),
    "byte order mark": (b'\xef\xbb\xbf{"name":"a"}', "malformed-json"),
    "NUL in text": (rb'{"name":"a\u0000b"}', "malformed-json"),
    "NUL in a key": (rb'{"name":"a","free":{"\u0000":1}}', "malformed-json"),
    "duplicate key": (b'{"name":"a","name":"b"}', "duplicate-key"),
    "duplicate key, spelt differently": (
        rb'{"name":"a","free":{"x":1,"\u0078":2}}',
        "duplicate-key",
    ),
    "empty": (b"", "malformed-json"),
    "trailing bytes": (b'{"name":"a"} {"name":"b"}', "malformed-json"),
    "2 MB": (b'{"name":"' + b"a" * 2_000_000 + b'"}', "body-too-large"),
    "array for object": (b"[]", "validation"),
    "unknown member": (
        b'{"name":"a","' + CANARY.encode() + b'":1}',
        "validation",
    ),
    "number in a string": (b'{"name":"a","size":"1"}', "validation"),
    "bool for integer": (b'{"name":"a","size":true}', "validation"),
    "float for integer": (b'{"name":"a","size":1.5}', "validation"),
    "integer no reader keeps": (
        b'{"name":"a","size":9007199254740992}',
        "validation",
    ),
    "text too long": (b'{"name":"' + CANARY.encode() * 9 + b'"}', "validation"),
    "control character": (rb'{"name":"a\u001bb"}', "validation"),
    "no UUID": (b'{"name":"a","owner":"' + CANARY.encode() + b'"}', "validation"),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES.keys())
async def test_hostile_body_is_refused_and_not_echoed(
    client: httpx.AsyncClient, body: bytes, code: str
) -> None:
    answer = await client.post("/v1/things", content=body, headers=JSON)
    assert_problem(answer, code)


async def test_one_point_zero_is_an_integer(client: httpx.AsyncClient) -> None:
    body = b'{"name":"a","size":1.0}'
    answer = await client.post("/v1/things", content=body, headers=JSON)
    assert answer.json()["size"] == 1


async def test_honest_body_passes_at_every_bound(client: httpx.AsyncClient) -> None:
    deep: Any = "x"
    for _ in range(62):
        deep = [deep]
    body = {"name": "Zoe\u0308" + "x" * 36, "size": 2**53 - 1, "free": {"deep": deep}}
    answer = await client.post(
        "/v1/things",
        content=json.dumps({**body, "owner": str(UUID(int=7))}).encode(),
        headers={"content-type": "application/json; charset=UTF-8"},
    )
    assert answer.status_code == 200
    assert answer.json()["name"] == "Zoë" + "x" * 36
    assert answer.json()["size"] == 2**53 - 1
    assert answer.json()["owner"] == str(UUID(int=7))


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/merge-patch+json",
        "application/jsonx",
        "application",
        "",
        "json",
    ],
)
async def test_other_media_types_are_refused_even_with_binary_bodies(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await client.post("/v1/things", content=b"\x80\xff\x00", headers=headers)
    assert_problem(answer, "media-type")


async def test_body_without_length_is_bounded_while_it_comes(
    client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    headers = {**JSON, "transfer-encoding": "chunked"}
    answer = await client.post("/v1/things", content=endless(), headers=headers)
    assert_problem(answer, "body-too-large")
    assert sent <= 2 * 1_048_576


@pytest.mark.parametrize(
    ("method", "url", "codes"),
    [
        ("GET", "/v1/things/" + "9" * 30, ("validation",)),
        ("GET", "/v1/things/" + "9" * 5000, ("validation",)),
        ("GET", "/v1/things/-1", ("validation",)),
        ("GET", f"/v1/things/{CANARY}", ("validation",)),
        ("GET", "/v1/things/1?limit=0", ("limit-out-of-range",)),
        ("GET", "/v1/things/1?limit=201", ("limit-out-of-range",)),
        ("GET", f"/v1/things/1?limit={CANARY}", ("limit-out-of-range",)),
        ("GET", f"/v1/things/1?word={CANARY}x", ("validation",)),
        ("GET", "/v1/things/1?word=%ff", ("bad-request",)),
        ("GET", "/v1/things/1?word=a%00b", ("bad-request",)),
        ("GET", f"/v1/{CANARY}", ("not-found",)),
        ("GET", "/v1/things/1/", ("not-found",)),
        ("TRACE", "/v1/things/1", ("method-not-allowed",)),
        ("BREW", "/v1/things", ("method-not-allowed",)),
        ("DELETE", "/v1/things/1", ("internal",)),
    ],
)
async def test_hostile_address_is_refused_and_not_echoed(
    client: httpx.AsyncClient, method: str, url: str, codes: tuple[str, ...]
) -> None:
    assert_problem(await client.request(method, url), *codes)


async def test_405_lists_every_method_of_the_address(client: httpx.AsyncClient) -> None:
    answer = await client.patch("/v1/things/1")
    assert_problem(answer, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(
    "host", ["a/../b?x", "shop@evil", "evil", "", "shop:99999999", "shop evil"]
)
async def test_foreign_or_malformed_host_is_refused(
    client: httpx.AsyncClient, host: str
) -> None:
    answer = await client.get("/v1/things/1", headers={"host": host})
    assert_problem(answer, "bad-request")


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "2"), ("transfer-encoding", "chunked")],
        [("content-length", "2"), ("content-length", "3")],
        [("authorization", "a"), ("authorization", "b")],
        [("host", "shop"), ("host", "shop")],
    ],
)
async def test_headers_two_servers_could_read_differently_are_refused(
    client: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    request = client.build_request("GET", "/v1/things/1")
    request.headers = httpx.Headers([("host", "shop"), *headers] if
                                    headers[0][0] != "host" else headers)  # fmt: skip
    assert_problem(await client.send(request), "bad-request")


async def test_a_route_has_its_own_bound_and_gets_exact_bytes(
    client: httpx.AsyncClient,
) -> None:
    headers = {"content-type": "application/vnd.keyturn.plan+json"}
    fits = await client.put("/v1/plan", content=b"{" * 100, headers=headers)
    assert (fits.status_code, fits.json()) == (200, 100)
    answer = await client.put("/v1/plan", content=b"{" * 101, headers=headers)
    assert_problem(answer, "body-too-large")
    answer = await client.put("/v1/plan", content=b"{}", headers=JSON)
    assert_problem(answer, "media-type")


@pytest.mark.parametrize(
    "form", [b"a=1&a=2", b"a=%ff", b"a=%00", b"a", b"\xff=1", b"&".join([b"a=1"] * 30)]
)
async def test_ambiguous_form_is_refused(
    client: httpx.AsyncClient, form: bytes
) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.post("/v1/token", content=form, headers=headers)
    assert_problem(answer, "bad-request")


async def test_honest_form_passes(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/token", data={"a": "x y+z", "b": ""})
    assert answer.json() == {"a": "x y+z", "b": ""}
