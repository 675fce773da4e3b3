# SPDX-License-Identifier: Apache-2.0
"""Promise: production mode runs on TLS, SASL and PostgreSQL, and on nothing less."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.events.topics import TOPICS
from deploy.certificates import Authority
from deploy.demo.playing import free_ports
from deploy.worlds import KAFKA_SECURE
from services.chassis.bus import BusUnavailable, Message, Publisher, Subscriber
from services.chassis.settings import ServiceSettings
from services.chassis.transport import kafka_security
from tests.worlds import ON_KAFKA, ON_POSTGRES, broker, postgres_database

pytestmark = [*ON_POSTGRES, *ON_KAFKA, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"


def door() -> dict[str, str]:
    """Return the settings of the broker's door of TLS and SASL/SCRAM."""
    path = os.environ.get(KAFKA_SECURE)
    if path is None:
        pytest.skip(f"{KAFKA_SECURE} is not set: make test-scaled")
    found: dict[str, str] = json.loads(Path(path).read_text())
    return found


def at(settings: dict[str, str]) -> tuple[Any, Any]:
    read = ServiceSettings.from_environ(settings)
    address = str(read.kafka_servers)
    return (lambda: address), kafka_security(read)


async def test_events_go_over_tls_and_sasl() -> None:
    with broker("kafka"):
        address, security = at(door())
        publisher = Publisher(address, security)
        await publisher.publish(TOPICS["vault"], [Message(b"lane", b"secured", [])])
        await publisher.abandon()
        subscriber = Subscriber(address, [TOPICS["vault"]], security)
        await subscriber.seek({})
        found = []
        async with asyncio.timeout(20):
            while not found:
                found = await subscriber.fetch(0.5, 10)
        await subscriber.abandon()
    assert [message.value for message in found] == [b"secured"]


@pytest.mark.parametrize("wrong", ["password", "authority", "plain"])
async def test_without_the_right_key_the_broker_takes_nothing(
    wrong: str, tmp_path: Path
) -> None:
    settings = door()
    if wrong == "password":
        settings["KEYTURN_KAFKA_PASSWORD"] = secrets.token_hex(16)
    elif wrong == "authority":
        stranger = Authority(tmp_path / "stranger")
        settings["KEYTURN_KAFKA_CA_FILE"] = str(stranger.file)
    address, security = at(settings)
    publisher = Publisher(address, {} if wrong == "plain" else security)
    with pytest.raises(BusUnavailable):
        await publisher.publish(TOPICS["vault"], [Message(b"lane", b"forged", [])])
    await publisher.abandon()


@dataclass
class Production:
    """A vault in production mode, not yet served."""

    folder: Path
    environ: dict[str, str]

    def vault(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.vault", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    authority = Authority(tmp_path / "tls")
    certificate, key = authority.issue("vault")
    with ExitStack() as stack:
        records = stack.enter_context(postgres_database())
        keys = stack.enter_context(postgres_database())
        stack.enter_context(broker("kafka"))
        assert records is not None
        assert keys is not None
        environ = {
            **{n: v for n, v in os.environ.items() if not n.startswith("KEYTURN_")},
            **door(),
            "PYTHONPATH": str(ROOT),
            "KEYTURN_MODE": "production",
            "KEYTURN_STATE_DIR": str(tmp_path / "state"),
            "KEYTURN_KEYS_DIR": str(tmp_path / "keys"),
            "KEYTURN_INSTALLATION": secrets.token_hex(8),
            "KEYTURN_ALLOWED_HOSTS": HOST,
            "KEYTURN_VAULT_DATABASE_URL": records,
            "KEYTURN_VAULT_KEYS_DATABASE_URL": keys,
            "KEYTURN_VAULT_PORT": str(free_ports()[0]),
            "KEYTURN_TLS_CA_FILE": str(authority.file),
            "KEYTURN_TLS_CLIENT_CA_FILE": str(authority.file),
            "KEYTURN_TLS_CERTIFICATE": str(certificate),
            "KEYTURN_TLS_KEY": str(key),
        }
        yield Production(tmp_path, environ)


def test_production_mode_starts_once_every_party_has_an_allow_list(
    production: Production,
) -> None:
    done = production.vault("init")
    assert done.returncode == 0, done.stderr
    refused = production.vault("serve")
    assert refused.returncode == 1
    assert "allow --party ID" in refused.stderr
    assert "platform" in refused.stderr
    done = production.vault("allow", "--party", "platform", "--network", "127.0.0.0/8")
    assert done.returncode == 0, done.stderr
    log = production.folder / "vault.log"
    with log.open("wb") as out:
        serving = subprocess.Popen(
            [sys.executable, "-m", "services.vault", "serve"],
            env=production.environ,
            stdout=out,
            stderr=out,
        )
    try:
        assert asyncio.run(_published()), log.read_text()[-2000:]
    finally:
        serving.terminate()
        serving.wait(20)


async def _published() -> bool:
    """Whether an event arrives through the broker's door of TLS and SASL."""
    address, security = at(door())
    subscriber = Subscriber(address, [TOPICS["vault"]], security)
    deadline = time.monotonic() + 60
    await subscriber.seek({})
    try:
        while time.monotonic() < deadline:
            if await subscriber.fetch(0.5, 10):
                return True
    finally:
        await subscriber.abandon()
    return False
