# SPDX-License-Identifier: Apache-2.0
"""Promise: with these secrets and parcels the services start in production mode.

PostgreSQL is real and has the roles that compose gives it; only addresses and paths are
this host's.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy import secrets
from deploy.certificates import Authority
from deploy.kafka.broker import HERE
from deploy.parcels import ParcelRefused, pack
from deploy.processes import free_ports
from tests.deploy.conftest import ROOT
from tests.worlds import ON_POSTGRES, POSTGRES_URL

SECONDS = 90.0
SERVICES = ("vault", "transfer", "audit")


def test_secrets_are_made_once_and_kept_from_others(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.iterdir()}
    assert secrets.main(["--out", str(made)]) == 0
    assert before == {path: path.read_bytes() for path in made.iterdir()}
    assert made.stat().st_mode & 0o777 == 0o700
    assert (made / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_later_certificate_is_of_the_same_authority(tmp_path: Path) -> None:
    first = Authority(tmp_path)
    trusted = first.file.read_bytes()
    first.issue("one")
    Authority(tmp_path).issue("two")
    assert first.file.read_bytes() == trusted
    verify = ["openssl", "verify", "-CAfile", first.file]
    assert subprocess.run([*verify, tmp_path / "two.pem"], check=False).returncode == 0
    first.file.write_bytes(Authority(tmp_path / "other").file.read_bytes())
    Authority(tmp_path)  # the key is not that certificate's
    assert subprocess.run([*verify, tmp_path / "two.pem"], check=False).returncode != 0


def test_a_half_made_folder_is_made_again(made: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    (half / "ca.pem").write_text("half")  # a crash: the last file is not there
    assert secrets.make(half)
    assert {p.name for p in half.iterdir()} == {p.name for p in made.iterdir()}


@pytest.mark.parametrize("server", secrets.SERVERS)
def test_a_certificate_is_good_for_its_server_alone(made: Path, server: str) -> None:
    openssl = ["openssl", "verify", "-x509_strict", "-CAfile", made / "ca.pem"]
    for purpose in ("sslserver", "sslclient"):
        wanted = ["-purpose", purpose, "-verify_hostname", server]
        done = subprocess.run(
            [*openssl, *wanted, made / f"{server}.pem"],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    other = [*openssl, "-verify_hostname", "elsewhere", made / f"{server}.pem"]
    assert subprocess.run(other, capture_output=True, check=False).returncode != 0


def test_compose_names_the_kafka_that_is_tried_here(compose: dict[str, Any]) -> None:
    version = re.search(
        r"<kafka.version>(.+)</kafka.version>", (HERE / "pom.xml").read_text()
    )
    assert version is not None
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_a_parcel_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParcelRefused, match=r"root\.key"):
        pack(tmp_path, tmp_path, tmp_path / "out")


# --- PostgreSQL and the services ---------------------------------------------------


@pytest.fixture
def databases(made: Path) -> Iterator[None]:
    """The databases and roles that compose's PostgreSQL makes at its first start."""
    assert POSTGRES_URL is not None
    roles = [name.replace("-", "_") for name in secrets.DATABASES]
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        try:
            for line in (made / "postgres-init.sql").read_text().splitlines():
                server.execute(line.encode())
            yield
        finally:
            for role in roles:
                server.execute(f"DROP DATABASE IF EXISTS {role} WITH (FORCE)".encode())
                server.execute(f"DROP ROLE IF EXISTS {role}".encode())


class Site:
    """One host with the office and the services' own folders."""

    def __init__(self, made: Path, tmp_path: Path) -> None:
        assert POSTGRES_URL is not None
        self.ports = dict(zip(SERVICES, free_ports(3), strict=True))
        self.tmp_path, self._made = tmp_path, made
        self._address = POSTGRES_URL.rpartition("@")[2].rpartition("/")[0]

    def environ(self, service: str, place: str) -> dict[str, str]:
        made, urls = self._made, self.tmp_path / "urls"
        urls.mkdir(exist_ok=True)
        for name in secrets.DATABASES:
            url = (made / f"{name}-database-url").read_text().partition("?")[0]
            (urls / name).write_text(url.replace("postgres:5432", self._address))
        found = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "KEYTURN_TLS_CA_FILE": str(made / "ca.pem"),
            "KEYTURN_TLS_CLIENT_CA_FILE": str(made / "ca.pem"),
            "KEYTURN_MODE": "production",
            "KEYTURN_INSTALLATION": (made / secrets.ENV).read_text().strip()[-16:],
            "KEYTURN_STATE_DIR": str(self.tmp_path / place / "state"),
            "KEYTURN_KEYS_DIR": str(self.tmp_path / place / "keys"),
            "KEYTURN_ALLOWED_HOSTS": f"{service},localhost",
            "KEYTURN_TLS_CERTIFICATE": str(made / f"{service}.pem"),
            "KEYTURN_TLS_KEY": str(made / f"{service}.key"),
            "KEYTURN_KAFKA_SERVERS": "127.0.0.1:9",  # nobody there; it must start
            "KEYTURN_KAFKA_SECURITY": "SASL_SSL",
            "KEYTURN_KAFKA_CA_FILE": str(made / "ca.pem"),
            "KEYTURN_KAFKA_USERNAME": service,
            "KEYTURN_KAFKA_PASSWORD_FILE": str(made / f"{service}-kafka-password"),
            f"KEYTURN_{service.upper()}_DATABASE_URL_FILE": str(urls / service),
        }
        if service == "vault":
            found["KEYTURN_VAULT_KEYS_DATABASE_URL_FILE"] = str(urls / "vault-keys")
        for name, port in self.ports.items():
            found[f"KEYTURN_{name.upper()}_URL"] = f"https://localhost:{port}"
        found[f"KEYTURN_{service.upper()}_PORT"] = str(self.ports[service])
        return found

    def entry(self, service: str, place: str, *arguments: str) -> subprocess.Popen[str]:
        return self.start("deploy.entry", self.environ(service, place), *arguments)

    def start(
        self, module: str, environ: dict[str, str], *arguments: str
    ) -> subprocess.Popen[str]:
        with (self.tmp_path / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )

    @contextlib.contextmanager
    def serving(self, service: str) -> Iterator[None]:
        parcel = str(self.tmp_path / "parcels" / service)
        process = self.entry(service, service, "--parcel", parcel, service, "serve")
        try:
            end = time.monotonic() + SECONDS
            while self.start(
                "deploy.probe", self.environ(service, service), service
            ).wait(SECONDS):
                assert process.poll() is None, (self.tmp_path / "log").read_text()
                assert time.monotonic() < end, (self.tmp_path / "log").read_text()
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("world", [pytest.param("postgres", marks=ON_POSTGRES)])
def test_the_services_start_from_their_parcels_over_tls(
    made: Path, tmp_path: Path, databases: None, world: str
) -> None:
    site = Site(made, tmp_path)
    for service in SERVICES:
        code = site.entry(service, "office", service, "init").wait(SECONDS)
        assert code == 0, (tmp_path / "log").read_text()
    office = site.environ("vault", "office")
    packed = site.start(
        "deploy.entry", office, "parcels", "--out", f"{tmp_path}/parcels"
    )
    assert packed.wait(SECONDS) == 0
    # From the parcel alone, in empty folders, as the job `migrate-vault` does it.
    job = ["--parcel", f"{tmp_path}/parcels/vault", "vault", "allow"]
    job += ["--party", "platform", "--network", "127.0.0.0/8"]
    assert site.entry("vault", "job", *job).wait(SECONDS) == 0, (
        tmp_path / "log"
    ).read_text()
    with site.serving("audit"), site.serving("vault"), site.serving("transfer"):
        assert not (tmp_path / "audit/keys/root.key").exists()
        assert not (tmp_path / "transfer/keys/root.key").exists()
        ready = ssl.create_default_context(cafile=str(made / "ca.pem"))
        for service, port in site.ports.items():
            assert _ready(service, port, ready), (tmp_path / "log").read_text()


def _ready(service: str, port: int, context: ssl.SSLContext) -> bool:
    """Whether /readyz is 200 to a caller without certificate, as a kubelet is one."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            asking = http.client.HTTPConnection(service)
            asking.sock = context.wrap_socket(plain, server_hostname=service)
            asking.request("GET", "/readyz")
            status = asking.getresponse().status
            asking.close()
        if status == 200:
            return True
        time.sleep(0.5)
    return False
