# SPDX-License-Identifier: Apache-2.0
"""Promise: Compose's Kafka takes whom it should, and of each what is its own.

A real broker by the very file that Compose mounts; only addresses and paths are this
host's.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.events.topics import TOPICS
from deploy import topic_rights
from deploy.kafka.broker import HERE, LIBS
from deploy.kafka.broker import _java as java
from deploy.processes import free_ports
from deploy.topic_rights import READER
from services.chassis.bus import (
    BusUnavailable,
    Message,
    Publisher,
    Subscriber,
    ensure_topics,
)
from services.chassis.settings import ServiceSettings
from services.chassis.transport import kafka_security
from tests.worlds import KAFKA_ADDRESS

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(240)]
SECONDS = 90.0
GOODBYE = 1.0  # TLS ends by an exchange; what the loop cuts off is told as a leak


@pytest.fixture
def broker(made: Path, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The ports of a broker: for the services, and for those on its loopback."""
    if KAFKA_ADDRESS is None:
        pytest.skip("no Kafka here: make test-scaled")
    port, internal, controller = free_ports(3)
    text = (made / "kafka.properties").read_text()
    for old, new in (
        ("/run/secrets", str(made)),
        ("/var/lib/kafka/data", str(tmp_path)),
        ("0.0.0.0", "127.0.0.1"),
        ("kafka:9093", "localhost:9093"),
        ("9093", str(port)),
        ("9094", str(internal)),
        ("9095", str(controller)),
    ):
        text = text.replace(old, new)
    properties = tmp_path / "kafka.properties"
    properties.write_text(text)
    classes = ["-cp", f"{LIBS}/*"]
    storage = ["kafka.tools.StorageTool", "format", "--config", properties]
    subprocess.run(
        [java(), *classes, *storage, f"@{made / 'kafka-format.args'}"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    options = ["-Xmx384m", f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"]
    with (tmp_path / "kafka.log").open("w") as log:
        process = subprocess.Popen(
            [java(), *options, *classes, "kafka.Kafka", properties],
            stdout=log,
            stderr=log,
        )
    yield port, internal
    process.terminate()
    process.wait(60)


async def test_kafka_takes_only_the_right_password_and_gives_each_its_own_topic(
    made: Path, compose: dict[str, Any], broker: tuple[int, int]
) -> None:
    port, internal = broker
    right = _user(port, made, "vault")
    end = time.monotonic() + SECONDS
    while not await _takes(port, right):
        assert time.monotonic() < end
        await asyncio.sleep(1)
    assert not await _takes(port, {**right, "sasl_plain_password": "0" * 48})
    assert not await _takes(port, {})  # in plain
    door = compose["services"]["topic-rights"]["command"][-1]
    given = ["--servers", door.replace("9094", str(internal))]
    assert topic_rights.main(given) == 0
    assert topic_rights.main(given) == 0  # as each start does it
    await _each_has_its_topic(port, made)
    await asyncio.sleep(GOODBYE)


async def _each_has_its_topic(port: int, made: Path) -> None:
    """What the services do over the bus works; what another would do is refused."""
    who = {name: _user(port, made, name) for name in TOPICS}
    address, topics = (lambda: f"localhost:{port}"), list(TOPICS.values())
    with _refused(True):
        await ensure_topics(address, topics, 1, who["vault"])
    await ensure_topics(address, topics, 1, who[READER])
    foreign = [("transfer", TOPICS["vault"]), ("audit", TOPICS["vault"])]
    for writer, topic in [*TOPICS.items(), *foreign]:
        publisher = Publisher(address, who[writer])
        with _refused((writer, topic) in foreign):
            await publisher.publish(topic, [Message(b"lane", b"written", [])])
        await publisher.abandon()
    for reader, topic in [*((READER, topic) for topic in topics), *foreign[:1]]:
        subscriber = Subscriber(address, [topic], who[reader])
        with _refused(reader != READER):
            await subscriber.seek({})
            while not await subscriber.fetch(1, 10):
                pass
        await subscriber.abandon()


def _refused(expected: bool) -> contextlib.AbstractContextManager[Any]:
    return pytest.raises(BusUnavailable) if expected else contextlib.nullcontext()


def _user(port: int, made: Path, service: str) -> Mapping[str, Any]:
    password = made / f"{service}-kafka-password"
    environ = {
        "KEYTURN_KAFKA_SERVERS": f"localhost:{port}",
        "KEYTURN_KAFKA_SECURITY": "SASL_SSL",
        "KEYTURN_KAFKA_CA_FILE": str(made / "ca.pem"),
        "KEYTURN_KAFKA_USERNAME": service,
        "KEYTURN_KAFKA_PASSWORD_FILE": str(password),
    }
    return kafka_security(ServiceSettings.from_environ(environ))


async def _takes(port: int, security: Mapping[str, Any]) -> bool:
    """Whether a client is let in."""
    producer = AIOKafkaProducer(
        bootstrap_servers=f"localhost:{port}", request_timeout_ms=5_000, **security
    )
    try:
        await producer.start()
    except KafkaError:
        return False
    else:
        return True
    finally:
        await producer.stop()
