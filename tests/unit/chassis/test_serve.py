# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from fastapi import Path as PathParameter
from joserfc.jwk import KeySet, OKPKey
from openapi_spec_validator import validate

from contracts.problems import PROBLEMS
from contracts.scopes import Scope
from services.chassis.auth import (
    LocalKeys,
    Principal,
    PrincipalKind,
    TokenVerifier,
    access_claims,
    public,
    public_routes,
    require,
    sign_access_token,
)
from services.chassis.body import Body, Limit, Position, StrictRouter
from services.chassis.docs import openapi_text, swagger_files
from services.chassis.headers import API_HEADERS, DOCS_CSP
from services.chassis.serve import AppError, create_service_app
from services.chassis.settings import ServiceSettings
from services.chassis.variables import Mode
from services.vault.settings import VaultSettings
from tests.fakes.clock import SettableClock

KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
CLOCK = SettableClock()


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Thing(Body):
    size: int


def things() -> StrictRouter:
    router = StrictRouter(prefix="/v1/things", tags=["things"])

    @router.post("", status_code=201, dependencies=[require(Scope.RECORDS_CREATE)])
    async def create_thing(thing: Thing) -> int:
        return thing.size

    @router.get("/{number}", dependencies=[require(Scope.RECORDS_READ)])
    async def read_thing(
        number: Annotated[Position, PathParameter()], limit: Limit = 50
    ) -> int:
        return number

    return router


def app_of(
    *routers: APIRouter, settings: ServiceSettings | None = None, **options: Any
) -> FastAPI:
    verifier = TokenVerifier(
        issuer="urn:i", audience="urn:a", clock=CLOCK, keys=LocalKeys(lambda: KeySet([KEY]))
    )  # fmt: skip
    return create_service_app(
        settings=settings or ServiceSettings(),
        routers=routers or (things(),),
        verifier=verifier,
        **options,
    )


PRODUCTION = ServiceSettings(
    mode=Mode.PRODUCTION, installation="i", allowed_hosts=("127.0.0.1",)
)


def http(app: Any, *scopes: Scope) -> httpx.AsyncClient:
    headers = {}
    if scopes:
        who = Principal(PrincipalKind.CLIENT, "c", "p", None, None, frozenset(scopes))
        claims = access_claims(
            who, issuer="urn:i", audience="urn:a", now=CLOCK.now(),
            lifetime_seconds=60, token_id="t",
        )  # fmt: skip
        headers["authorization"] = f"Bearer {sign_access_token(claims, KEY)}"
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://127.0.0.1",
        headers=headers,
    )


# -- What is refused before it is served --------------------------------------


def test_a_route_without_guard_stops_the_start() -> None:
    router = StrictRouter(prefix="/v1")

    @router.get("/all")
    async def everything() -> None:
        return None

    with pytest.raises(AppError, match="GET /v1/all"):
        app_of(router)


def test_a_route_that_is_not_strict_stops_the_start() -> None:
    router = APIRouter()

    @router.post("/lax", dependencies=[public()])
    async def lax() -> None:
        return None

    with pytest.raises(AppError, match="/lax"):
        app_of(router)


def test_an_operation_id_used_twice_stops_the_start() -> None:
    router = StrictRouter(dependencies=[public()])

    @router.get("/one")
    async def same() -> None:
        return None

    router.add_api_route("/two", same)
    with pytest.raises(AppError, match="same"):
        app_of(router)


# -- Who may see what ---------------------------------------------------------


def test_production_answers_strangers_with_constants_and_probes_only() -> None:
    assert set(public_routes(app_of(settings=PRODUCTION))) == {
        "GET /",
        "GET /livez",
        "GET /problems",
        "GET /problems/{code}",
        "GET /readyz",
    }


async def test_production_has_no_documentation() -> None:
    async with http(app_of(settings=PRODUCTION)) as client:
        for path in ("/docs", "/openapi.json", "/docs/start.js", "/redoc"):
            assert (await client.get(path)).status_code == 404
        for path in ("/", "/problems", "/problems/denied"):
            answer = await client.get(path, headers={"accept": "text/html"})
            assert answer.headers["content-type"] == "application/json"
            assert "/docs" not in answer.text
        assert (await client.get("/metrics")).status_code == 401


@pytest.mark.parametrize("settings", [PRODUCTION, ServiceSettings()])
async def test_metrics_open_to_their_scope_alone_on_loopback_too(
    settings: ServiceSettings,
) -> None:
    async with http(app_of(settings=settings), Scope.METRICS_READ) as client:
        answer = await client.get("/metrics")
        assert "keyturn_http_requests_total" in answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    async with http(app_of(settings=settings)) as client:
        assert (await client.get("/metrics")).status_code == 401
    async with http(app_of(settings=settings), Scope.RECORDS_READ) as client:
        assert (await client.get("/metrics")).status_code == 403


async def test_readiness_follows_its_checks_and_tells_no_detail() -> None:
    state = {"broken": False}

    async def database() -> None:
        if state["broken"]:
            raise OSError("/secret/place")

    async def hangs() -> None:
        if state["broken"]:
            await asyncio.sleep(60)

    app = app_of(checks={"database": database, "keys": hangs})
    async with http(app) as client:
        assert (await client.get("/readyz")).json() == {"status": "ok"}
        state["broken"] = True
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
        assert (await client.get("/livez")).status_code == 200


# -- Documentation ------------------------------------------------------------


async def test_docs_are_complete_without_any_foreign_host() -> None:
    assert all(path.is_file() for path in swagger_files().values())
    async with http(app_of()) as client:
        page = await client.get("/docs")
        assert page.headers["content-security-policy"] == DOCS_CSP
        assert '<html lang="en">' in page.text
        assert "http:" not in page.text
        assert "https:" not in page.text
        for name in ("start.js", *swagger_files()):
            answer = await client.get(f"/docs/{name}")
            assert answer.status_code == 200
            assert answer.content


async def test_docs_pages_have_no_inline_script_or_style() -> None:
    async with http(app_of()) as client:
        for path in ("/docs", "/docs/oauth2-redirect.html"):
            text = (await client.get(path)).text
            assert "<style" not in text
            assert " style=" not in text
            assert text.count("<script") == text.count("<script src=")


@pytest.mark.parametrize("name", ["..%2fLICENSE", "index.css", "%2e%2e", "LICENSE"])
async def test_docs_give_no_file_that_is_not_theirs(name: str) -> None:
    async with http(app_of()) as client:
        assert (await client.get(f"/docs/{name}")).status_code == 404


@pytest.mark.parametrize("code", PROBLEMS)
async def test_every_problem_type_has_its_page(code: str) -> None:
    async with http(app_of()) as client:
        document = (await client.get(PROBLEMS[code].type)).json()
        assert document["status"] == PROBLEMS[code].status
        page = await client.get(PROBLEMS[code].type, headers={"accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert code in page.text


HREF = re.compile(r'(?:href|src)="([^"]+)"')


@pytest.mark.parametrize("path", ["/", "/problems", "/problems/denied"])
async def test_a_page_leads_on_and_names_nothing_that_is_not_there(path: str) -> None:
    async with http(app_of()) as client:
        page = await client.get(path, headers={"accept": "text/html"})
        assert page.headers["content-security-policy"] == DOCS_CSP
        assert not re.search(r"<script|<style| style=", page.text)
        links = HREF.findall(page.text)
        assert len(links) > 3
        for link in links:
            assert (await client.get(link)).status_code == 200, link


async def test_the_front_door_says_which_service_this_is() -> None:
    async with http(app_of(settings=VaultSettings())) as client:
        told = (await client.get("/")).json()
        assert told["service"] == "Keyturn vault"
        assert told["about"] == VaultSettings.ABOUT
        assert {told[name] for name in ("docs", "openapi", "livez", "problems")} == {
            "/docs", "/openapi.json", "/livez", "/problems",
        }  # fmt: skip
        items = (await client.get(told["problems"])).json()["items"]
    assert {item["code"] for item in items} == set(PROBLEMS)
    assert all(item["fix"] and item["title"] for item in items)


async def test_unknown_problem_is_404() -> None:
    async with http(app_of()) as client:
        assert (await client.get("/problems/made-up")).status_code == 404


def test_openapi_is_valid_and_documents_problems_instead_of_the_framework() -> None:
    app = app_of()
    document = app.openapi()
    validate(document)
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    assert document is app.openapi()
    create = document["paths"]["/v1/things"]["post"]
    assert create["operationId"] == "create_thing"
    assert set(create["responses"]) == {
        "201", "400", "401", "403", "413", "415", "422", "500",
        "502", "503",
    }  # fmt: skip
    assert "application/problem+json" in create["responses"]["422"]["content"]
    read = document["paths"]["/v1/things/{number}"]["get"]
    assert set(read["responses"]) == {
        "200", "400", "401", "403", "404", "422", "500", "502", "503",
    }  # fmt: skip
    assert "`limit-out-of-range`" in read["responses"]["400"]["description"]
    assert "/docs" not in document["paths"]


def test_openapi_text_is_the_same_each_time() -> None:
    assert openapi_text(app_of()) == openapi_text(app_of())
    assert openapi_text(app_of()).endswith("}\n")


# -- Around -------------------------------------------------------------------


async def test_every_answer_of_every_route_has_the_api_headers() -> None:
    async with http(app_of(), Scope.RECORDS_READ) as client:
        for path in ("/v1/things/7", "/v1/things/x", "/nowhere", "/livez", "/metrics"):
            answer = await client.get(path)
            assert {k: answer.headers[k] for k in API_HEADERS} == API_HEADERS
            assert answer.headers["request-id"]


async def test_a_verified_caller_is_never_seen_by_the_next_request() -> None:
    app = app_of()
    shared: dict[str, Any] = {}

    async def with_shared_state(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = shared
        await app(scope, receive, send)

    async with http(with_shared_state, Scope.RECORDS_READ) as client:
        assert (await client.get("/v1/things/7")).status_code == 200
    async with http(with_shared_state) as client:
        assert (await client.get("/v1/things/7")).status_code == 401


async def test_metrics_count_by_template() -> None:
    async with http(app_of(), Scope.RECORDS_READ, Scope.METRICS_READ) as client:
        await client.get("/v1/things/13800138000")
        text = (await client.get("/metrics")).text
        assert 'route="/v1/things/{number}",status="200"} 1.0' in text
        assert "13800138000" not in text


async def test_huge_headers_are_refused() -> None:
    async with http(app_of()) as client:
        answer = await client.get("/livez", headers={"x-long": "a" * 200_000})
        assert answer.json()["code"] == "header-too-large"


async def test_lifespan_may_bring_the_verifier() -> None:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.verifier = "opened"
        yield

    app = create_service_app(
        settings=ServiceSettings(), routers=[things()],
        lifespan=lifespan,
    )  # fmt: skip
    async with app.router.lifespan_context(app):
        assert app.state.verifier == "opened"


def test_docs_assets_name_no_foreign_host() -> None:
    folder = Path(__file__).parents[3] / "services/chassis/docs_assets"
    for path in folder.iterdir():
        assert "//" not in path.read_text().replace("// ", "")
