# SPDX-License-Identifier: Apache-2.0
"""Promise: the API pages work in a browser without internet under a strict policy.

On a running installation, as `keyturn up` starts it: no foreign request, no breach of
the page's policy, no error, every route is shown, and trying one out answers.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.demo.playing import free_ports
from tests.browser.chromium import assert_quiet, no_browser, serious, visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    no_browser,
]
SERVICES = ("vault", "transfer", "audit")
PROBLEM = {"path": "/problems/{code}", "method": "get", "values": {"code": "not-found"}}
SWAGGER_UIS_OWN = {"color-contrast", "nested-interactive"}
"""Rules of axe that Swagger UI's own parts break; our pages break none."""


@dataclass(frozen=True)
class Installation:
    urls: dict[str, str]
    keys: Path

    def token(self, client: str) -> str:
        stored = json.loads((self.keys / "clients" / f"{client}.json").read_text())
        form = {
            "grant_type": "client_credentials",
            "client_id": stored["client_id"],
            "client_secret": stored["client_secret"],
        }
        answer = httpx.post(f"{self.urls['vault']}/v1/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("up")
    ports = free_ports()
    command = [sys.executable, "-m", "services.cli.main", "up"]
    command += ["--state", str(folder / "state"), "--keys", str(folder / "keys")]
    for name, port in zip(SERVICES, ports, strict=True):
        command += [f"--{name}-port", str(port)]
    urls = {
        name: f"http://127.0.0.1:{port}"
        for name, port in zip(SERVICES, ports, strict=True)
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while "/docs" not in (folder / "log").read_text():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield Installation(urls, folder / "keys")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def docs(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    pictures = tmp_path_factory.mktemp("pictures")
    pages = [
        {
            "url": f"{installation.urls[name]}/docs",
            "ready": ".opblock",
            "tryOut": PROBLEM,
            "picture": str(pictures / f"{name}.png"),
        }
        for name in SERVICES
    ]
    return dict(zip(SERVICES, visit(*pages), strict=True))


@pytest.mark.parametrize("service", SERVICES)
def test_a_docs_page_asks_no_foreign_host_and_breaks_no_policy(
    service: str, docs: dict[str, dict[str, Any]]
) -> None:
    assert_quiet(docs[service])


@pytest.mark.parametrize("service", SERVICES)
def test_a_docs_page_shows_every_route_of_its_service(
    service: str, docs: dict[str, dict[str, Any]], installation: Installation
) -> None:
    shown = docs[service]["shown"]
    document = httpx.get(f"{installation.urls[service]}/openapi.json").json()
    assert shown["operations"] == sum(map(len, document["paths"].values())) > 0
    assert shown["title"] == f"Keyturn {service} · API"
    assert shown["lang"] == "en"
    assert shown["headings"][0].startswith(f"Keyturn {service}")
    assert serious(docs[service]) <= SWAGGER_UIS_OWN


@pytest.mark.parametrize("service", SERVICES)
def test_trying_a_public_route_out_answers_on_the_page(
    service: str, docs: dict[str, dict[str, Any]]
) -> None:
    answer = docs[service]["answer"]
    assert answer["status"] == "200"
    assert json.loads(answer["body"])["code"] == "not-found"


def test_a_pasted_token_opens_a_guarded_route_of_another_service(
    installation: Installation,
) -> None:
    token = installation.token("audit")
    operation = {"path": "/v1/outbox/heads", "method": "get"}
    (seen,) = visit(
        {
            "url": f"{installation.urls['transfer']}/docs",
            "ready": ".opblock",
            "authorize": {"token": token, "operation": operation},
        }
    )
    assert_quiet(seen)
    assert seen["answer"]["authorization"] == f"Bearer {token}"
    assert seen["answer"]["status"] == "200"
    assert "items" in json.loads(seen["answer"]["body"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_problem_says_what_to_do(
    scheme: str, installation: Installation
) -> None:
    page = f"{installation.urls['vault']}/problems/handed-over"
    (seen,) = visit({"url": page, "scheme": scheme, "width": 360})
    assert_quiet(seen)
    assert seen["shown"]["headings"][1] == "What to do"
    assert seen["shown"]["overflow"] == 0
    assert serious(seen) == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "heading"), [("/", "Keyturn audit"), ("/problems", "Problems")]
)
def test_the_front_door_and_the_table_of_problems_fit_a_narrow_screen(
    path: str, heading: str, scheme: str, installation: Installation
) -> None:
    page = f"{installation.urls['audit']}{path}"
    (seen,) = visit({"url": page, "scheme": scheme, "width": 360})
    assert_quiet(seen)
    assert seen["shown"]["headings"][0] == heading
    assert seen["shown"]["overflow"] == 0
    assert serious(seen) == set()
