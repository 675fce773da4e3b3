# SPDX-License-Identifier: Apache-2.0
"""Promise: a token is there when it is needed, and no secret is shown to anybody."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import httpx
import pytest

from keyturn_client import ClientLogin, House, Keyturn, OfficerLogin
from keyturn_client.errors import (
    CredentialsUnusable,
    Refused,
    Unauthenticated,
    Unreachable,
)
from tests.unit.client.house import (
    RECORD,
    SECRET,
    TOKEN,
    Played,
    playing,
    problem,
    scripted,
    written,
)


def test_one_token_serves_many_calls() -> None:
    with playing(scripted(written(), written())) as (keyturn, played):
        keyturn.records.create({})
        keyturn.records.create({})
    assert len(played.tokens) == 1
    assert {r.headers["Authorization"] for r in played.requests} == {
        f"Bearer {TOKEN}-1"
    }


def test_a_token_is_renewed_before_it_ends() -> None:
    played = Played(expires_in=30)
    with playing(scripted(written(), written()), played) as (keyturn, _):
        keyturn.records.create({})
        keyturn.records.create({})
    assert len(played.tokens) == 2


def test_a_token_that_is_no_longer_taken_is_renewed_once() -> None:
    old = problem(401, "token-expired")
    with playing(scripted(written(), old, written())) as (keyturn, played):
        keyturn.records.create({})
        keyturn.records.create({})
    assert [r.headers["Authorization"][-1] for r in played.requests] == ["1", "1", "2"]
    with (
        playing(scripted(problem(401, "token-invalid"))) as (keyturn, played),
        pytest.raises(Unauthenticated),
    ):
        keyturn.records.create({})
    assert len(played.tokens) == 1, (
        "a fresh token that is refused is not asked for again"
    )


def test_the_login_is_a_form_and_never_an_address() -> None:
    with playing(scripted(written())) as (keyturn, played):
        keyturn.records.create({})
    token = played.tokens[0]
    assert SECRET not in str(token.url)
    assert f"client_secret={SECRET}".encode() in token.content
    assert "Authorization" not in token.headers


def test_no_secret_is_in_a_repr_an_error_or_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    login = ClientLogin.of("crm", SECRET)
    shown = [repr(login), str(login), f"{login.client_secret}"]
    body = {"external_id": "Confidential"}
    failures = (
        problem(503, "busy"),
        httpx.ReadError("gone"),
        problem(422, "validation"),
    )
    with playing(scripted(*failures)) as (keyturn, _):
        with pytest.raises(Refused) as error:
            keyturn.records.upsert(body)
        shown += [repr(keyturn), repr(keyturn.sender.__dict__)]
        shown += traceback.format_exception(error.value)
    text = "".join(shown) + caplog.text
    for secret in (SECRET, TOKEN, "Confidential"):
        assert secret not in text


def test_a_lost_login_leaves_the_call_undone() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    login, house = ClientLogin.of("crm", SECRET), House("http://127.0.0.1:1")
    with (
        Keyturn(house, login, transport=httpx.MockTransport(lost)) as keyturn,
        pytest.raises(Unreachable) as error,
    ):
        keyturn.records.erase(RECORD)
    assert not error.value.maybe_done


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        pytest.param(None, 0o600, id="missing"),
        pytest.param('{"client_id": "a", "client_secret": "hush"}', 0o640, id="open"),
        pytest.param("hush", 0o600, id="no-json"),
        pytest.param('{"client_id": "hush"}', 0o600, id="no-secret"),
        pytest.param('["hush"]', 0o600, id="a-list"),
    ],
)
def test_a_file_that_is_no_login_is_refused_without_its_text(
    tmp_path: Path, text: str | None, mode: int
) -> None:
    path = tmp_path / "crm.json"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    for login in (ClientLogin, OfficerLogin):
        with pytest.raises(CredentialsUnusable) as error:
            login.from_file(path)
        assert "hush" not in "".join(traceback.format_exception(error.value))


def test_a_credentials_file_is_a_login(tmp_path: Path) -> None:
    path = tmp_path / "crm.json"
    path.write_text(json.dumps({"client_id": "crm", "client_secret": SECRET}))
    path.chmod(0o600)
    assert ClientLogin.from_file(path) == ClientLogin.of("crm", SECRET)


@pytest.mark.parametrize(
    "address", ["http://vault.example", "ftp://127.0.0.1", "vault", "https://a:b@host"]
)
def test_a_secret_never_leaves_in_the_clear(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|plain"):
        House(address)


def test_certificates_are_verified_and_redirects_stay_unfollowed() -> None:
    options = House("https://vault.example").options(None)
    assert options["verify"].verify_mode.name == "CERT_REQUIRED"
    assert options["verify"].check_hostname
    assert options["follow_redirects"] is False
    moved = httpx.Response(307, headers={"Location": "http://127.0.0.1:9/"})
    with (
        playing(scripted(moved)) as (keyturn, played),
        pytest.raises(Exception, match="307"),
    ):
        keyturn.records.create({})
    assert len(played.requests) == 1
