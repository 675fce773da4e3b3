# SPDX-License-Identifier: Apache-2.0
"""Promise: a query says only what its operation reads, and each thing once."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, Query

from contracts.scopes import Scope
from services.chassis.auth import public, require
from services.chassis.body import StrictRouter
from tests.unit.chassis.test_serve import app_of, http

CANARY = "Zk7qCanary"


def hidden(far: Annotated[str, Query(alias="from")] = "") -> str:
    """A dependency of a route, with a parameter of its own."""
    return far


def shelves() -> StrictRouter:
    router = StrictRouter(dependencies=[public()])

    @router.get("/v1/shelves")
    async def list_shelves(
        far: Annotated[str, Depends(hidden)], word: str = ""
    ) -> dict[str, str]:
        return {"from": far, "word": word}

    @router.get("/v1/shelf")
    async def read_shelf() -> int:
        return 1

    @router.get("/v1/guarded", dependencies=[require(Scope.RECORDS_READ)])
    async def read_guarded() -> int:
        return 1

    return router


def fault(pointer: str, code: str, msg: str) -> dict[str, Any]:
    return {"in": "query", "pointer": pointer, "code": code, "msg": msg}


UNKNOWN = "is no parameter of this operation; it takes "


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        (f"wrod={CANARY}", [fault("/*", "extra_forbidden", UNKNOWN + "from, word")]),
        (f"{CANARY}", [fault("/*", "extra_forbidden", UNKNOWN + "from, word")]),
        ("Word=a", [fault("/*", "extra_forbidden", UNKNOWN + "from, word")]),
        (f"word=a&word={CANARY}", [fault("/word", "repeated", "may be sent once")]),
    ],
)
async def test_a_slip_in_a_query_is_refused_and_told(
    query: str, faults: list[dict[str, Any]]
) -> None:
    async with http(app_of(shelves())) as client:
        answer = await client.get(f"/v1/shelves?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation")
    assert answer.json()["errors"] == faults
    assert CANARY not in answer.text


async def test_what_is_declared_anywhere_below_a_route_is_taken() -> None:
    async with http(app_of(shelves())) as client:
        answer = await client.get("/v1/shelves?from=a&word=")
        none = await client.get("/v1/shelf?word=a")
    assert answer.json() == {"from": "a", "word": ""}
    assert none.json()["errors"][0]["msg"] == UNKNOWN + "none"


async def test_a_stranger_is_refused_before_the_query_is_looked_at() -> None:
    async with http(app_of(shelves())) as client:
        answer = await client.get("/v1/guarded?x=1")
    assert answer.json()["code"] == "authentication-required"


@pytest.mark.parametrize(
    "path", ["/livez", "/docs", "/docs/pages.css", "/", "/problems"]
)
async def test_probes_and_pages_take_any_query(path: str) -> None:
    async with http(app_of(shelves())) as client:
        assert (await client.get(f"{path}?v=1")).status_code == 200
