# SPDX-License-Identifier: Apache-2.0
"""Promise: a login shows the login key only, is renewed in time, and leaks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from typer.testing import CliRunner

from contracts.officers import format_file
from services.cli.http import Api, FileUnusable, Refused
from services.cli.main import app
from services.cli.token import OfficerLogin, client_login, granted, read_officer
from services.vault.parties.assertions import claimed_key_id, verify
from tests.fakes.clock import SettableClock
from tests.unit.cli.deal import INSTALLATION, officer


class Streamed(httpx.SyncByteStream):
    """A body that is made while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


class Issuer:
    """A vault that gives tokens `t1`, `t2`, ..., and shows who asks with which."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.seen: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            form = parse_qs(request.content.decode())
            self.forms.append({name: values[0] for name, values in form.items()})
            token = f"t{len(self.forms)}"
            answer = {"access_token": token, "expires_in": 600, "scope": "x"}
            return httpx.Response(200, json={**answer, "token_type": "Bearer"})
        self.seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={})


def test_an_officer_logs_in_once_and_again_before_the_end() -> None:
    issuer, clock = Issuer(), SettableClock()
    login = OfficerLogin("http://vault", officer(), clock)
    api = Api("http://transfer", login, httpx.MockTransport(issuer))
    api.get("/v1/a")
    api.get("/v1/b")
    clock.advance(571)
    api.get("/v1/c")
    assert issuer.seen == ["Bearer t1", "Bearer t1", "Bearer t2"]
    first, second = (form["client_assertion"] for form in issuer.forms)
    assert first != second


def test_a_streams_events_are_given_as_they_come() -> None:
    sent: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(3):
            sent.append(number)
            yield b'data: {"n": %d}\n\n' % number

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        headers = {"Content-Type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=Streamed(chunks()))

    login = OfficerLogin("http://vault", officer(), SettableClock())
    api = Api("http://transfer", login, httpx.MockTransport(answer))
    with api.events("/v1/progress") as events:
        assert next(events) == {"n": 0}
        assert sent == [0]  # not read to its end before the first is shown


def test_the_assertion_is_what_the_vault_accepts() -> None:
    who, clock = officer(), SettableClock()
    assertion = OfficerLogin("http://vault", who, clock).form()["client_assertion"]
    key_id = claimed_key_id(assertion)
    assert key_id == who.login.key_id
    verify(
        assertion,
        key_id,
        who.login.public_key,
        installation=INSTALLATION,
        now=clock.now(),
    )


def test_a_client_sends_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "crm.json"
    path.write_text(json.dumps({"client_id": "crm", "client_secret": "s3"}))
    path.chmod(0o600)
    issuer = Issuer()
    login = client_login("http://vault", path, SettableClock())
    vault = Api("http://vault", transport=httpx.MockTransport(issuer))
    assert granted(vault, login, "records:read")["access_token"] == "t1"
    assert issuer.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "crm",
            "client_secret": "s3",
            "scope": "records:read",
        }
    ]


def test_a_refused_login_ends_the_request() -> None:
    def refusing(_request: httpx.Request) -> httpx.Response:
        problem = {"code": "credentials-invalid", "detail": "No.", "status": 401}
        return httpx.Response(401, json=problem)

    login = OfficerLogin("http://vault", officer(), SettableClock())
    api = Api("http://transfer", login, httpx.MockTransport(refusing))
    with pytest.raises(Refused, match="credentials-invalid"):
        api.get("/v1/handovers")


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sc.json"
    path.write_bytes(format_file(officer()))
    path.chmod(0o644)
    with pytest.raises(FileUnusable, match="chmod 600"):
        read_officer(path)


def test_a_damaged_file_is_named_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "crm.json"
    path.write_text('{"client_id": "crm", "client_secret": "hunter2"')
    path.chmod(0o600)
    for read in (read_officer, lambda p: client_login("http://v", p, SettableClock())):
        with pytest.raises(FileUnusable) as caught:
            read(path)
        assert "hunter2" not in str(caught.value)


def test_officer_new_writes_a_private_file_once_and_shows_how_to_enrol(
    tmp_path: Path,
) -> None:
    path = tmp_path / "owner.json"
    arguments = ["officer", "new", "--installation", "i1", "--party", "p"]
    arguments += ["--person", "jd", "--role", "owner", "--out", str(path), "--json"]
    made = CliRunner().invoke(app, arguments)
    assert made.exit_code == 0, made.output
    facts = json.loads(made.stdout)
    found = read_officer(path)
    assert (facts["login"], facts["sign"]) == (found.login.key_id, found.sign.key_id)
    assert "--public-key-sign" in facts["enrol"]
    before = path.read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 5
    assert path.read_bytes() == before


def test_a_service_that_is_away_is_exit_code_3(tmp_path: Path) -> None:
    path = tmp_path / "owner.json"
    path.write_bytes(format_file(officer()))
    path.chmod(0o600)
    arguments = ["token", "--officer", str(path), "--url", "http://127.0.0.1:1"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 3
    assert "127.0.0.1:1 does not answer" in done.output
