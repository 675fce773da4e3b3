# SPDX-License-Identifier: Apache-2.0
"""Promise: between services a certificate is asked for, and a stolen token is nothing."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.certificates import Authority
from deploy.demo.playing import free_ports

pytestmark = pytest.mark.timeout(180)
SCOPES = ["records:read", "catalogue:read", "audit:events"]


@dataclass
class Secured:
    """An installation that serves TLS on loopback, each service with a certificate."""

    folder: Path
    environ: dict[str, str]
    authority: Authority
    ports: dict[str, int]

    def url(self, service: str) -> str:
        return f"https://127.0.0.1:{self.ports[service]}"

    def vault(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "services.vault", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self, certificate: str | None = None) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.authority.file)
        if certificate is not None:
            made = self.folder / "tls" / certificate
            context.load_cert_chain(made.with_suffix(".pem"), made.with_suffix(".key"))
        return httpx.Client(verify=context, trust_env=False, timeout=20)

    def token(self, client: str, certificate: str | None = None) -> httpx.Response:
        path = self.folder / "keys" / "clients" / f"{client}.json"
        known = json.loads(path.read_text())
        with self.client(certificate) as http:
            return http.post(
                f"{self.url('vault')}/v1/token",
                data={"grant_type": "client_credentials"},
                auth=(known["client_id"], known["client_secret"]),
            )

    def ask(
        self, url: str, token: str, certificate: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        with self.client(certificate) as http:
            answer = http.get(url, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.json()


@contextmanager
def running(environ: dict[str, str], log: Path, *module: str) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], env=environ, stdout=out, stderr=out
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "tls")
    ports = dict(zip(("vault", "transfer", "audit"), free_ports(), strict=True))
    environ = {
        **os.environ,
        "KEYTURN_STATE_DIR": str(folder / "state"),
        "KEYTURN_KEYS_DIR": str(folder / "keys"),
        "KEYTURN_TLS_CA_FILE": str(authority.file),
        "KEYTURN_TLS_CLIENT_CA_FILE": str(authority.file),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    for service, port in ports.items():
        certificate, key = authority.issue(service)
        name = service.upper()
        environ |= {
            f"KEYTURN_{name}_PORT": str(port),
            f"KEYTURN_{name}_URL": f"https://127.0.0.1:{port}",
            f"KEYTURN_{name}_TLS_CERTIFICATE": str(certificate),
            f"KEYTURN_{name}_TLS_KEY": str(key),
        }
    authority.issue("crm")
    found = Secured(folder, environ, authority, ports)
    with ExitStack() as stack:
        for service in ("vault", "audit", "transfer"):
            done = subprocess.run(
                [sys.executable, "-m", f"services.{service}", "init"],
                env=environ,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        enrol_shop(found)
        broker = ("services.chassis.broker_embedded", f"{folder}/state/broker.json")
        stack.enter_context(running(environ, folder / "broker.log", *broker))
        for service in ("audit", "vault", "transfer"):
            module = (f"services.{service}", "serve")
            stack.enter_context(running(environ, folder / f"{service}.log", *module))
        for service in ports:
            await_ready(found, service)
        yield found


def enrol_shop(house: Secured) -> None:
    where = ["--region", "DE", "--timezone", "Europe/Berlin"]
    house.vault("enrol", "party", "--id", "shop", "--name", "Shop", *where)
    for client in ("crm", "till"):
        house.vault(
            *("enrol", "client", "--id", client, "--party", "shop"),
            *("--scope", *SCOPES, "--purpose", "customer_service"),
        )


def await_ready(house: Secured, service: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with house.client() as http:
                if http.get(f"{house.url(service)}/readyz").status_code == 200:
                    return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail((house.folder / f"{service}.log").read_text()[-2000:])


def test_the_services_reach_each_other_with_their_certificates(
    secured: Secured,
) -> None:
    token = secured.token("crm").json()["access_token"]
    events = f"{secured.url('audit')}/v1/events?limit=50"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # vault → bus → audit; audit → vault's keys
        status, answer = secured.ask(events, token)
        if status == 200 and answer["items"]:
            return
        time.sleep(0.2)
    pytest.fail(f"no event reached the log: {status} {answer}")


def test_a_token_that_was_asked_for_with_a_certificate_works_with_no_other(
    secured: Secured,
) -> None:
    classes = f"{secured.url('vault')}/v1/catalogue"
    bound = secured.token("crm", "crm").json()["access_token"]
    assert secured.ask(classes, bound, "crm")[0] == 200
    for thief in (None, "transfer"):
        status, problem = secured.ask(classes, bound, thief)
        assert (status, problem["code"]) == (401, "token-invalid")
    events = f"{secured.url('audit')}/v1/events"
    assert secured.ask(events, bound, "crm")[0] == 200
    assert secured.ask(events, bound)[0] == 401  # by the other services too


def test_a_service_without_its_certificate_is_nobody(secured: Secured) -> None:
    """Who has stolen a service's secret has not stolen the service."""
    stolen = secured.token("audit").json()["access_token"]
    heads = f"{secured.url('vault')}/v1/outbox/heads"
    status, problem = secured.ask(heads, stolen)
    assert (status, problem["code"]) == (401, "token-invalid")
    own = secured.token("audit", "audit").json()["access_token"]
    assert secured.ask(heads, own, "audit")[0] == 200


def test_a_certificate_of_another_authority_is_refused(
    secured: Secured, tmp_path: Path
) -> None:
    strange = Authority(tmp_path / "strange")
    context = ssl.create_default_context(cafile=secured.authority.file)
    context.load_cert_chain(*strange.issue("crm"))
    with (
        httpx.Client(verify=context, trust_env=False) as http,
        pytest.raises(httpx.HTTPError),
    ):
        http.get(f"{secured.url('vault')}/livez")


def test_a_plain_request_gets_nothing(secured: Secured) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{secured.ports['vault']}/livez", trust_env=False)


def test_a_partys_allow_list_is_kept_by_every_service(secured: Secured) -> None:
    secured.vault("allow", "--party", "shop", "--network", "127.0.0.0/8")
    inside = secured.token("till").json()["access_token"]
    events = f"{secured.url('audit')}/v1/events"
    assert secured.ask(events, inside)[0] == 200
    secured.vault("allow", "--party", "shop", "--network", "203.0.113.0/24")
    refused = secured.token("till")
    assert (refused.status_code, refused.json()["code"]) == (401, "credentials-invalid")
    assert secured.ask(events, inside)[0] == 200  # issued before: ends by itself
    secured.vault("allow", "--party", "shop", "--anywhere")
    assert secured.token("till").status_code == 200
