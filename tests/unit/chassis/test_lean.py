# SPDX-License-Identifier: Apache-2.0
"""The lean way serves plain requests alone, behind the same guard; else the whole way."""

# Annotations are evaluated here: FastAPI reads them.

import re
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Header, Response

from contracts import problems
from contracts.problems import Refusal
from contracts.scopes import Scope
from services.chassis.auth import (
    Principal,
    PrincipalKind,
    access_claims,
    require,
    sign_access_token,
)
from services.chassis.body import StrictRouter
from services.chassis.lean import LeanRoute
from services.chassis.serve import AppError
from tests.unit.chassis.test_serve import CLOCK, KEY, app_of, http

PATH = "/v1/things/{id}"


async def _serve(caller: Principal, id_: str, colour: str | None) -> tuple[bytes, Any]:
    if id_ == "dead":
        raise Refusal(problems.NOT_FOUND)
    body = f"lean {caller.party} {id_} {colour}".encode()
    return body, [(b"content-type", b"text/plain")]


def lean(path: str = PATH) -> LeanRoute:
    return LeanRoute(
        path=path,
        segment=re.compile("[a-f]{4}"),
        header=b"colour",
        value=re.compile("[a-z]{1,8}"),
        serve=_serve,
    )


def things(*, path: str = PATH, guarded: bool = True) -> StrictRouter:
    router = StrictRouter()
    extra = [] if guarded else [require(Scope.RECORDS_LIST)]

    @router.get(PATH, dependencies=extra)
    async def read_thing(
        id: str,  # noqa: A002
        caller: Annotated[Principal, require(Scope.RECORDS_READ)],
        colour: Annotated[str | None, Header(max_length=8)] = None,
    ) -> Response:
        return Response(f"whole {caller.party} {id} {colour}")

    router.leans.append(lean(path))
    return router


async def get(path: str, *scopes: Scope, **headers: str) -> httpx.Response:
    async with http(app_of(things()), *(scopes or (Scope.RECORDS_READ,))) as client:
        return await client.get(path, headers=headers)


async def test_a_plain_request_goes_the_lean_way_with_every_header() -> None:
    answer = await get("/v1/things/abcd", colour="red")
    assert answer.text == "lean p abcd red"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["request-id"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/things/abcx", {}),
        ("/v1/things/abc%64", {}),
        ("/v1/things/abcd", {"colour": "Red"}),
        ("/v1/things/abcd", {"content-type": "text/plain"}),
    ],
)
async def test_what_is_not_plain_goes_the_whole_way(
    path: str, headers: dict[str, str]
) -> None:
    answer = await get(path, **headers)
    assert answer.text.startswith("whole p ")


async def test_the_whole_way_refuses_what_it_always_refused() -> None:
    unknown = await get("/v1/things/abcd?x=1")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "validation")
    long = await get("/v1/things/abcd", colour="x" * 9)
    assert long.status_code == 422


async def test_the_guard_is_the_routes_own() -> None:
    refused = await get("/v1/things/abcd", Scope.RECORDS_CREATE)
    assert refused.status_code == 403
    assert refused.json()["required_scopes"] == ["records:read"]
    async with http(app_of(things())) as nobody:
        for said in (
            {},
            {"authorization": "Basic eA=="},
            {"authorization": "Bearer x"},
        ):
            answer = await nobody.get("/v1/things/abcd", headers=said)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_bound_to_a_certificate_opens_neither_way_without_it() -> None:
    who = Principal(
        PrincipalKind.CLIENT, "c", "p", None, None, frozenset({Scope.RECORDS_READ})
    )
    claims = access_claims(
        who, issuer="urn:i", audience="urn:a", now=CLOCK.now(),
        lifetime_seconds=60, token_id="t",
    )  # fmt: skip
    token = sign_access_token({**claims, "cnf": {"x5t#S256": "a" * 43}}, KEY)
    async with http(app_of(things())) as client:
        answers = [
            await client.get(path, headers={"authorization": f"Bearer {token}"})
            for path in ("/v1/things/abcd", "/v1/things/whole")
        ]
    lean, whole = answers
    assert (lean.status_code, lean.json()["code"]) == (
        whole.status_code,
        whole.json()["code"],
    )
    assert lean.status_code in {401, 403}


async def test_its_errors_are_problems_and_its_requests_are_counted() -> None:
    app = app_of(things())
    async with http(app, Scope.RECORDS_READ) as client:
        answer = await client.get("/v1/things/dead")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not-found"
        await client.get("/v1/things/abcd")
    text = app.state.metrics.render().decode()
    for status in (200, 404):
        labels = f'{{method="GET",route="{PATH}",status="{status}"}}'
        assert f"keyturn_http_requests_total{labels} 1.0" in text


@pytest.mark.parametrize(
    "router",
    [lambda: things(path="/v1/others/{id}"), lambda: things(guarded=False)],
    ids=["no route", "a second guard"],
)
def test_a_lean_way_without_its_one_guarded_route_stops_the_start(router: Any) -> None:
    with pytest.raises(AppError, match="lean way"):
        app_of(router())
