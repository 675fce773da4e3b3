# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey, RSAKey
from starlette.middleware import Middleware

from contracts.problems import Refusal
from contracts.scopes import Scope
from services.chassis import problem_json
from services.chassis.auth import (
    LocalKeys,
    Principal,
    PrincipalKind,
    RemoteKeys,
    TokenSource,
    TokenVerifier,
    access_claims,
    public,
    public_routes,
    require,
    sign_access_token,
    unguarded_routes,
)
from services.chassis.body import Body, StrictRouter
from services.chassis.serve import TELEMETRY_OFF
from services.chassis.settings import Secret
from tests.fakes.clock import SettableClock

KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
OTHER_KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
ISSUER, AUDIENCE = "urn:keyturn:0192:issuer", "urn:keyturn:0192"
CRM = Principal(
    PrincipalKind.CLIENT,
    "crm",
    "seller",
    None,
    None,
    frozenset({Scope.RECORDS_READ, Scope.RECORDS_CREATE}),
)
COMPLIANCE = Principal(
    PrincipalKind.OFFICER,
    "0f" * 32,
    "seller",
    "compliance",
    "p-7",
    frozenset({Scope.HANDOVERS_ACT}),
)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


def verifier(clock: SettableClock, *keys: Any, **options: Any) -> TokenVerifier:
    keyset = KeySet(list(keys or (KEY,)))
    return TokenVerifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=LocalKeys(lambda: keyset),
        clock=clock,
        **options,
    )


def claims(clock: SettableClock, who: Principal = CRM) -> dict[str, Any]:
    return dict(
        access_claims(
            who,
            issuer=ISSUER,
            audience=AUDIENCE,
            now=clock.now(),
            lifetime_seconds=600,
            token_id="t1",
        )
    )


def token(
    claims: dict[str, Any], key: Any = KEY, alg: str = "Ed25519", **header: Any
) -> str:
    full = {"alg": alg, "typ": "at+jwt", "kid": "k1", **header}
    return jwt.encode(full, claims, key, algorithms=[alg])


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Refusal) as caught:
        await verifier.verify(token)
    return caught.value.problem.code


@pytest.mark.parametrize("who", [CRM, COMPLIANCE], ids=["client", "officer"])
async def test_a_signed_token_names_its_principal(
    clock: SettableClock, who: Principal
) -> None:
    signed = sign_access_token(claims(clock, who), KEY)
    assert await verifier(clock).verify(signed) == who


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "urn:keyturn:other:issuer"},
        {"aud": "urn:keyturn:0192:token"},
        {"aud": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"iat": None},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"sub": "a b"},
        {"sub": 7},
        {"kt_kind": "root"},
        {"kt_kind": None},
        {"kt_party": None},
        {"kt_party": "x" * 129},
        {"scope": None},
        {"scope": ["records:read"]},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_refused(
    clock: SettableClock, change: dict[str, Any]
) -> None:
    changed = {**claims(clock), **change}
    wrong = token({k: v for k, v in changed.items() if v is not None})
    assert await refusal(verifier(clock), wrong) == "token-invalid"


async def test_an_officer_without_role_or_person_is_refused(
    clock: SettableClock,
) -> None:
    for missing in ("kt_role", "kt_person"):
        changed = claims(clock, COMPLIANCE)
        del changed[missing]
        assert await refusal(verifier(clock), token(changed)) == "token-invalid"


async def test_tokens_of_another_kind_key_or_algorithm_are_refused(
    clock: SettableClock,
) -> None:
    good = claims(clock)
    rsa = RSAKey.generate_key(2048, parameters={"kid": "k1"})
    segments = token(good).split(".")
    flipped = ("B" if segments[2][0] == "A" else "A") + segments[2][1:]
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode()
    confused = {"kty": "oct", "k": KEY.as_dict(private=False)["x"], "kid": "k1"}
    for wrong in [
        token(good, typ="JWT"),
        token(good, typ="keyturn-assertion+jwt"),
        token(good, key=OTHER_KEY),
        token(good, kid="k2"),
        token(good, key=rsa, alg="RS256"),
        token(good, key=OctKey.import_key(confused), alg="HS256"),
        f"{none.rstrip('=')}.{segments[1]}.",
        f"{segments[0]}.{segments[1]}.{flipped}",
        f"{segments[0]}.{segments[1]}",
        "..",
        "",
        "é" * 10,
        "[[[[.a.b",
        "a." * 5000,
    ]:
        assert await refusal(verifier(clock), wrong) == "token-invalid"


async def test_a_token_that_brings_its_own_key_is_refused(
    clock: SettableClock,
) -> None:
    wrong = token(claims(clock), jwk=KEY.as_dict(private=False))
    assert await refusal(verifier(clock), wrong) == "token-invalid"


async def test_an_external_issuer_may_sign_with_rs256_when_settings_say_so(
    clock: SettableClock,
) -> None:
    rsa = RSAKey.generate_key(2048, parameters={"kid": "k1"})
    signed = token(claims(clock), key=rsa, alg="RS256")
    assert await verifier(clock, rsa, algorithms=("RS256",)).verify(signed) == CRM
    assert await refusal(verifier(clock, rsa), signed) == "token-invalid"


async def test_a_remembered_token_still_expires(clock: SettableClock) -> None:
    checked = verifier(clock)
    signed = token(claims(clock))
    await checked.verify(signed)
    clock.advance(599)
    await checked.verify(signed)
    clock.advance(1)
    assert await refusal(checked, signed) == "token-expired"


async def test_a_withdrawn_issuer_key_stops_working_within_a_minute(
    clock: SettableClock,
) -> None:
    keys = [KEY]
    checked = TokenVerifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        keys=LocalKeys(lambda: KeySet(keys)),
        clock=clock,
    )
    signed = token(claims(clock))
    await checked.verify(signed)
    keys[:] = [OKPKey.generate_key("Ed25519", parameters={"kid": "k9"})]
    clock.advance(60)
    assert await refusal(checked, signed) == "token-invalid"


async def test_memory_of_tokens_is_bounded(
    clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.chassis.auth.tokens.CACHE_ENTRIES", 3)
    checked = verifier(clock)
    for number in range(9):
        await checked.verify(token({**claims(clock), "jti": str(number)}))
    assert len(checked._cache) == 3


# -- Keys of another process --------------------------------------------------


class Issuer:
    def __init__(self) -> None:
        self.keys = [KEY]
        self.calls = 0
        self.answer: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if self.answer is not None:
            return self.answer
        return httpx.Response(200, json={"keys": [k.as_dict(private=False) for k in self.keys]})  # fmt: skip


def remote(issuer: Any, clock: SettableClock) -> RemoteKeys:
    http = httpx.AsyncClient(transport=httpx.MockTransport(issuer))
    return RemoteKeys(http, "http://vault/v1/jwks", clock)


async def test_keys_are_fetched_once_and_again_when_old_or_unknown(
    clock: SettableClock,
) -> None:
    issuer = Issuer()
    keys = remote(issuer, clock)
    for _ in range(5):
        assert await keys.key("k1") is not None
    assert issuer.calls == 1
    clock.advance(301)
    await keys.key("k1")
    assert issuer.calls == 2
    clock.advance(11)
    issuer.keys.append(OKPKey.generate_key("Ed25519", parameters={"kid": "k2"}))
    assert await keys.key("k2") is not None
    assert issuer.calls == 3


async def test_made_up_key_names_cost_the_issuer_nothing(clock: SettableClock) -> None:
    issuer = Issuer()
    keys = remote(issuer, clock)
    for number in range(50):
        assert await keys.key(f"made-up-{number}") is None
    assert issuer.calls == 1


async def test_known_keys_outlive_the_issuer_for_an_hour(clock: SettableClock) -> None:
    issuer = Issuer()
    keys = remote(issuer, clock)
    await keys.key("k1")
    issuer.answer = httpx.Response(500)
    clock.advance(3599)
    assert await keys.key("k1") is not None
    clock.advance(12)
    with pytest.raises(Refusal) as caught:
        await keys.key("k1")
    assert caught.value.problem.code == "upstream-unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"location": "http://evil/jwks"}),
        httpx.Response(200, content=b"x" * 70_000),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b'{"keys":[{"kty":"??"}]}'),
        httpx.Response(200, content=b"{}"),
    ],
    ids=["redirect", "endless", "array", "unknown key", "empty"],
)
async def test_a_strange_key_document_gives_no_key(
    clock: SettableClock, answer: httpx.Response
) -> None:
    issuer = Issuer()
    issuer.answer = answer
    with pytest.raises(Refusal):
        await remote(issuer, clock).key("k1")
    assert issuer.calls == 1


# -- Guards -------------------------------------------------------------------


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


# -- Own tokens ---------------------------------------------------------------


class TokenEndpoint:
    def __init__(self) -> None:
        self.issued = 0
        self.refuse = False
        self.revoked: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            assert request.headers["authorization"].startswith("Basic ")
            assert request.content == b"grant_type=client_credentials"
            if self.refuse:
                return httpx.Response(401, json={"error": "invalid_client"})
            self.issued += 1
            return httpx.Response(
                200, json={"access_token": f"t{self.issued}", "expires_in": 600}
            )
        shown = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(401 if shown in self.revoked else 200, text=shown)


def caller(endpoint: TokenEndpoint, clock: SettableClock) -> httpx.AsyncClient:
    plain = httpx.AsyncClient(transport=httpx.MockTransport(endpoint))
    source = TokenSource(
        plain,
        token_url="http://vault/v1/token",
        client_id="transfer",
        client_secret=Secret("s3cr3t-s3cr3t-s3cr3t"),
        clock=clock,
    )
    return httpx.AsyncClient(transport=httpx.MockTransport(endpoint), auth=source)


async def test_own_token_is_kept_and_renewed_before_its_end(
    clock: SettableClock,
) -> None:
    endpoint = TokenEndpoint()
    http = caller(endpoint, clock)
    assert [(await http.get("http://vault/x")).text for _ in range(3)] == ["t1"] * 3
    clock.advance(571)
    assert (await http.get("http://vault/x")).text == "t2"


async def test_a_refused_token_is_renewed_once(clock: SettableClock) -> None:
    endpoint = TokenEndpoint()
    http = caller(endpoint, clock)
    endpoint.revoked = {"t1"}
    assert (await http.get("http://vault/x")).text == "t2"
    endpoint.revoked = {"t2", "t3"}
    assert (await http.get("http://vault/x")).status_code == 401
    assert endpoint.issued == 3


async def test_a_refusing_issuer_is_a_typed_error(clock: SettableClock) -> None:
    endpoint = TokenEndpoint()
    endpoint.refuse = True
    with pytest.raises(Refusal) as caught:
        await caller(endpoint, clock).get("http://vault/x")
    assert caught.value.problem.code == "upstream-unavailable"
    assert "s3cr3t" not in json.dumps(caught.value.extra) + str(caught.value)
