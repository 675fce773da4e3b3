# SPDX-License-Identifier: Apache-2.0
"""A route opens to its scope only, and one that says nothing stops the start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from starlette.middleware import Middleware

from contracts.scopes import Scope
from services.chassis import problem_json
from services.chassis.auth import (
    Principal,
    public,
    public_routes,
    require,
    unguarded_routes,
)
from services.chassis.body import Body, StrictRouter
from services.chassis.serve import TELEMETRY_OFF
from tests.fakes.clock import SettableClock
from tests.unit.chassis.auth.tokens import (
    COMPLIANCE,
    claims,
    token,
    verifier,
)


class Thing(Body):
    size: int


def make_app(clock: SettableClock) -> FastAPI:
    router = StrictRouter(prefix="/v1")

    @router.get("/mine")
    async def mine(who: Annotated[Principal, require(Scope.RECORDS_READ)]) -> str:
        return who.party

    @router.post("/things", dependencies=[require(Scope.RECORDS_ERASE)])
    async def things(thing: Thing) -> None:
        return None

    @router.get("/me", dependencies=[require()])
    async def me() -> str:
        return "me"

    @router.get("/open", dependencies=[public()])
    async def opened() -> str:
        return "open"

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=TELEMETRY_OFF,
        middleware=[Middleware(problem_json.ProblemBoundary)],
    )
    problem_json.install(app)
    app.include_router(router)
    app.state.verifier = verifier(clock)
    return app


@pytest_asyncio.fixture
async def client(clock: SettableClock) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=make_app(clock))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as c:
        yield c


async def test_guarded_route_opens_only_to_its_scope(
    client: httpx.AsyncClient, clock: SettableClock
) -> None:
    own = {"authorization": f"Bearer {token(claims(clock))}"}
    other = {"authorization": f"Bearer {token(claims(clock, COMPLIANCE))}"}
    assert (await client.get("/v1/mine", headers=own)).json() == "seller"
    denied = await client.get("/v1/mine", headers=other)
    assert (denied.status_code, denied.json()["code"]) == (403, "scope-missing")
    assert denied.json()["required_scopes"] == ["records:read"]
    assert (await client.get("/v1/me", headers=other)).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer  "])
async def test_no_token_is_401(client: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = await client.get("/v1/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (
        401,
        "authentication-required",
    )


async def test_a_stranger_is_refused_before_the_body_is_read(
    client: httpx.AsyncClient, clock: SettableClock
) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = await client.post("/v1/things", content=never())
    assert answer.status_code == 401
    weak = {"authorization": f"Bearer {token(claims(clock))}"}
    assert (await client.post("/v1/things", content=never(), headers=weak)).status_code == 403  # fmt: skip


async def test_public_route_needs_no_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/open")).json() == "open"


def test_a_route_that_says_nothing_is_found(clock: SettableClock) -> None:
    app = make_app(clock)
    assert unguarded_routes(app) == []
    assert public_routes(app) == ["GET /v1/open"]
    forgotten = StrictRouter(prefix="/v2")

    @forgotten.get("/all")
    async def everything() -> None:
        return None

    app.include_router(forgotten)
    app.mount("/static", FastAPI(openapi_url=None))
    assert unguarded_routes(app) == ["GET /v2/all", " /static"]


def test_openapi_names_the_scopes_of_each_route(clock: SettableClock) -> None:
    document = make_app(clock).openapi()
    paths = document["paths"]
    assert paths["/v1/mine"]["get"]["security"] == [{"keyturn": ["records:read"]}]
    assert paths["/v1/me"]["get"]["security"] == [{"keyturn": []}]
    assert "security" not in paths["/v1/open"]["get"]
    flows = document["components"]["securitySchemes"]["keyturn"]["flows"]
    assert set(flows["clientCredentials"]["scopes"]) == {s.value for s in Scope}
