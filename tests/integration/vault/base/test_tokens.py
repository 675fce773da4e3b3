# SPDX-License-Identifier: Apache-2.0
"""Promise: only an enrolled, unrevoked client or login key gets a token, once."""

import base64
import json
import secrets
from typing import Any

import httpx
import pytest

from contracts.officers import KeyPair, OfficerRole
from contracts.scopes import Scope
from services.vault.parties.assertions import ASSERTION_TYPE
from services.vault.parties.roles import scopes_of
from tests.integration.vault.house import House, Vault


def unsigned(claims: dict[str, Any]) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}."


async def refused(vault: Vault, token: str, **form: str) -> None:
    answer = await vault.login(token, **form)
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "credentials-invalid"
    assert answer.json()["error"] == "invalid_client"
    # All refusals look alike from outside.
    assert set(answer.json()) == {
        "type",
        "title",
        "status",
        "detail",
        "code",
        "request_id",
        "error",
    }


async def test_a_client_gets_a_token_that_opens_what_it_was_given(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ, Scope.RECORDS_READ])
    async with house.running() as vault:
        headers = await vault.as_client("crm")
        answer = await vault.http.get("/v1/catalogue", headers=headers)
        assert answer.status_code == 200
        assert answer.json() == {"classes": [], "fields": []}
        closed = await vault.http.get("/v1/outbox/heads", headers=headers)
        assert closed.status_code == 403
        assert closed.json()["code"] == "scope-missing"


async def test_credentials_in_the_form_work_as_well_and_are_never_stored(
    house: House,
) -> None:
    async with house.running() as vault:
        answer = await vault.http.post(
            "/v1/token",
            data={
                "grant_type": "client_credentials",
                "client_id": "audit",
                "client_secret": house.service_secret("audit"),
            },
        )
        assert answer.status_code == 200
        assert answer.json()["scope"] == "outbox:read revocations:read"
        assert answer.json()["expires_in"] == 600
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("client", "secret"),
    [("audit", "wrong"), ("nobody", "wrong"), ("", ""), ("audit", "")],
)
async def test_a_wrong_secret_and_an_unknown_client_are_one_answer(
    house: House, client: str, secret: str
) -> None:
    async with house.running() as vault:
        answer = await vault.http.post(
            "/v1/token",
            data={"grant_type": "client_credentials"},
            auth=httpx.BasicAuth(client, secret),
        )
        assert answer.status_code == 401
        assert answer.json()["code"] == "credentials-invalid"


async def test_a_client_asks_for_less_but_never_for_more(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ, Scope.RECORDS_READ])
    async with house.running() as vault:
        token = await vault.client_token("crm", "records:read")
        principal = await vault.app.state.verifier.verify(token)
        assert principal.scopes == {Scope.RECORDS_READ}
        for wanted in ("records:erase", "records:read outbox:read", "made:up"):
            answer = await vault.http.post(
                "/v1/token",
                data={"grant_type": "client_credentials", "scope": wanted},
                auth=httpx.BasicAuth("crm", house.secrets["crm"]),
            )
            assert answer.status_code == 400
            assert answer.json()["error"] == "invalid_scope"


async def test_an_officer_logs_in_with_the_login_key(house: House) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so", OfficerRole.OWNER)
    async with house.running() as vault:
        answer = await vault.login(vault.assert_for(officer.login))
        assert answer.status_code == 200, answer.text
        principal = await vault.app.state.verifier.verify(answer.json()["access_token"])
        assert (principal.id, principal.party) == ("alpha/so", "alpha")
        assert (principal.role, principal.person) == ("owner", "so")
        assert principal.scopes == scopes_of(OfficerRole.OWNER, "alpha")


async def test_the_signing_key_is_never_accepted_for_a_token(house: House) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    async with house.running() as vault:
        await refused(vault, vault.assert_for(officer.sign))
        # Nor the login key's name over the signing key's signature.
        forged = vault.assert_for(
            officer.sign, iss=officer.login.key_id, sub=officer.login.key_id
        )
        await refused(vault, forged)


async def test_an_assertion_is_used_once(house: House) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    async with house.running() as vault:
        token = vault.assert_for(officer.login)
        assert (await vault.login(token)).status_code == 200
        await refused(vault, token)
        again = vault.assert_for(officer.login, jti="x")
        assert (await vault.login(again)).status_code == 200
        await refused(vault, vault.assert_for(officer.login, jti="x", exp=None))
        # Another signature over the same jti is the same use.
        now = int(house.clock.now().timestamp())
        await refused(vault, vault.assert_for(officer.login, jti="x", exp=now + 30))


async def test_a_jti_is_remembered_past_its_end_and_then_forgotten(
    house: House,
) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    async with house.running() as vault:
        token = vault.assert_for(officer.login, jti="one")
        assert (await vault.login(token)).status_code == 200
        house.clock.advance(59)
        await refused(vault, token)
        house.clock.advance(60)
        fresh = vault.assert_for(officer.login, jti="one")
        assert (await vault.login(fresh)).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "urn:keyturn:ffffffffffffffff:token"},
        {"aud": "urn:keyturn:ffffffffffffffff"},
        {"aud": None},
        {"aud": ["a", "b"]},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 129},
        {"jti": 7},
        {"sub": "0" * 64},
        {"exp": None},
        {"iat": None},
        {"iat": True},
        {"exp": "soon"},
        {"header": {"typ": "at+jwt"}},
        {"header": {"kid": "0" * 64}},
        {"header": {"jku": "http://127.0.0.1/keys"}},
        {"header": {"alg": "EdDSA"}},
    ],
    ids=lambda changed: json.dumps(changed)[:40],
)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_an_assertion_for_something_else_is_refused(
    house: House, changed: dict[str, Any]
) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    async with house.running() as vault:
        await refused(vault, vault.assert_for(officer.login, **dict(changed)))


async def test_times_are_bounded_to_a_minute(house: House) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    now = int(house.clock.now().timestamp())
    async with house.running() as vault:
        for issued, expires in (
            (now, now + 61),
            (now - 120, now - 60),
            (now - 60, now),
            (now + 6, now + 30),
            (now, now - 1),
            (now, now),
        ):
            token = vault.assert_for(officer.login, iat=issued, exp=expires)
            await refused(vault, token)
        late = vault.assert_for(officer.login, iat=now - 30, nbf=now + 20, exp=now + 30)
        await refused(vault, late)


async def test_another_key_no_key_and_no_signature_are_refused(house: House) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    stranger = KeyPair(secrets.token_bytes(32))
    now = int(house.clock.now().timestamp())
    async with house.running() as vault:
        await refused(vault, vault.assert_for(stranger))
        name = officer.login.key_id
        await refused(vault, vault.assert_for(stranger, iss=name, sub=name))
        claims = {"iss": name, "sub": name, "iat": now, "exp": now + 60, "jti": "1"}
        await refused(vault, unsigned(claims))
        good = vault.assert_for(officer.login)
        await refused(vault, good[:-4] + "AAAA")
        for broken in ("", "a.b", "a.b.c", "{}.{}.{}", "x" * 5000, "é.é.é"):
            await refused(vault, broken)
        # The id beside the assertion must be its own.
        await refused(vault, vault.assert_for(officer.login), client_id="audit")


async def test_an_access_token_is_no_assertion_and_no_assertion_an_access_token(
    house: House,
) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    async with house.running() as vault:
        token = (await vault.as_officer(officer))["Authorization"].split()[1]
        await refused(vault, token)
        answer = await vault.http.get(
            "/v1/catalogue",
            headers={"Authorization": f"Bearer {vault.assert_for(officer.login)}"},
        )
        assert answer.status_code == 401
        assert answer.json()["code"] == "token-invalid"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
        ({"grant_type": "client_credentials", "surprise": "1"}, "invalid_request"),
        (
            {
                "grant_type": "client_credentials",
                "client_secret": "s",
                "client_assertion": "a",
                "client_assertion_type": ASSERTION_TYPE,
            },
            "invalid_request",
        ),
        (
            {"grant_type": "client_credentials", "client_assertion": "a"},
            "invalid_request",
        ),
    ],
)
async def test_a_request_of_another_shape_is_refused_without_an_echo(
    house: House, form: dict[str, str], error: str
) -> None:
    async with house.running() as vault:
        answer = await vault.http.post("/v1/token", data=form)
        assert answer.status_code in {400, 415}
        if answer.status_code == 400:
            assert answer.json()["error"] == error
        assert "surprise" not in answer.text


async def test_a_token_ends_after_ten_minutes(house: House) -> None:
    async with house.running() as vault:
        headers = await vault.as_client("audit")
        ask = vault.http.get
        assert (await ask("/v1/outbox/heads", headers=headers)).status_code == 200
        house.clock.advance(601)
        late = await ask("/v1/outbox/heads", headers=headers)
        assert late.json()["code"] == "token-expired"


async def test_installation_and_keys_are_public_and_hold_no_secret(
    house: House,
) -> None:
    async with house.running() as vault:
        named = await vault.http.get("/v1/installation")
        assert named.json() == {"installation": house.installation}
        keys = (await vault.http.get("/v1/jwks")).json()["keys"]
        assert [set(key) for key in keys] == [{"kty", "crv", "x", "kid", "use", "alg"}]
