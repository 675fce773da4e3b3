# SPDX-License-Identifier: Apache-2.0
"""The worlds a promise is tested in: which database, which broker.

The embedded world always runs. The scaled one runs when `python -m deploy.worlds`
(or anybody else) gave KEYTURN_TEST_POSTGRES and KEYTURN_TEST_KAFKA; otherwise its
cases are shown as skipped, never silently left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import (
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
)
from psycopg import sql

from contracts.events.topics import PARTITIONS, TOPICS
from services.chassis.engines import Engines, postgres_engines, sqlite_engines

POSTGRES_URL: Final = os.environ.get("KEYTURN_TEST_POSTGRES")
KAFKA_ADDRESS: Final = os.environ.get("KEYTURN_TEST_KAFKA")

no_postgres = pytest.mark.skipif(
    POSTGRES_URL is None, reason="KEYTURN_TEST_POSTGRES is not set: make test-scaled"
)
no_kafka = pytest.mark.skipif(
    KAFKA_ADDRESS is None, reason="KEYTURN_TEST_KAFKA is not set: make test-scaled"
)

ON_POSTGRES: Final = [pytest.mark.postgres, no_postgres]
#: In one process, one after the other: there is one Kafka, and tests empty its topics.
#: Stands at the parameter, because a mark that a hook adds comes too late to group.
ON_KAFKA: Final = [pytest.mark.kafka, pytest.mark.xdist_group("kafka"), no_kafka]

#: Parameters for tests of one side.
DATABASES: Final = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgres", id="postgres", marks=ON_POSTGRES),
]
BROKERS: Final = [
    pytest.param("embedded", id="embedded"),
    pytest.param("kafka", id="kafka", marks=ON_KAFKA),
]


@dataclass(frozen=True)
class World:
    """One combination that Keyturn supports: names for `database` and `broker`."""

    database: str
    broker: str


#: Parameters for tests of both sides: the embedded default and the scaled world.
WORLDS: Final = [
    pytest.param(World("sqlite", "embedded"), id="embedded"),
    pytest.param(
        World("postgres", "kafka"),
        id="scaled",
        marks=[*ON_POSTGRES, *ON_KAFKA],
    ),
]

# The product's own broker; the pipe ends it when the tests end, however they end.
BROKER_PROGRAM: Final = """
import sys
from services.chassis.broker_embedded import EmbeddedBroker
broker = EmbeddedBroker()
print(broker.bootstrap, flush=True)
sys.stdin.buffer.read()
"""


@dataclass
class EmbeddedBrokerProcess:
    """An embedded broker in a child process; `restart` brings a new, empty one."""

    address: str = ""
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", BROKER_PROGRAM],
            stdin=subprocess.PIPE,  # its end of file ends the broker
            stdout=subprocess.PIPE,
        )
        assert self._child.stdout is not None
        self.address = self._child.stdout.readline().decode().strip()
        assert self.address.startswith("127.0.0.1:"), "the embedded broker is dead"

    def kill(self) -> None:
        """End it as a crash would: nothing is flushed, everything is lost."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def restart(self) -> None:
        """Kill it and start another one: empty, and on another port."""
        self.kill()
        self.start()


@contextlib.contextmanager
def embedded_broker() -> Iterator[EmbeddedBrokerProcess]:
    """Run an embedded broker whose topics exist (4 partitions each)."""
    running = EmbeddedBrokerProcess()
    running.start()
    try:
        yield running
    finally:
        running.kill()


@contextlib.contextmanager
def broker(kind: str) -> Iterator[str]:
    """Give the address of a broker of `kind` whose topics exist and are empty.

    The real Kafka is shared: its topics are emptied by deleting their records, so
    offsets go on rising, and two such tests must not run at the same time.
    """
    if kind == "embedded":
        with embedded_broker() as running:
            yield running.address
    else:
        if KAFKA_ADDRESS is None:
            pytest.skip("KEYTURN_TEST_KAFKA is not set")
        # In a thread of its own: the caller may be inside an event loop already.
        with ThreadPoolExecutor(1) as aside:
            aside.submit(asyncio.run, _empty_topics(KAFKA_ADDRESS)).result()
        yield KAFKA_ADDRESS


async def _empty_topics(address: str) -> None:
    topics = sorted(TOPICS.values())
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        made = await admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in topics])
        # aiokafka does not raise a topic's error; 36: it exists already.
        assert all(code in (0, 36) for _, code, *_ in made.topic_errors), made
        everything = RecordsToDelete(before_offset=-1)
        partitions = [TopicPartition(t, n) for t in topics for n in range(PARTITIONS)]
        await _delete_records(admin, dict.fromkeys(partitions, everything))
    finally:
        await admin.close()


async def _delete_records(
    admin: AIOKafkaAdminClient, wanted: dict[TopicPartition, RecordsToDelete]
) -> None:
    """Delete, with patience: a topic made a moment ago has no leader yet."""
    for attempt in range(50):
        try:
            await admin.delete_records(wanted)
        except (
            LeaderNotAvailableError,
            NotLeaderForPartitionError,
            UnknownTopicOrPartitionError,
        ):
            if attempt == 49:
                raise
            await asyncio.sleep(0.1)
        else:
            return


@contextlib.contextmanager
def postgres_database() -> Iterator[str | None]:
    """Give the URL of a fresh database, dropped afterwards; None without a server."""
    if POSTGRES_URL is None:
        yield None
        return
    name = f"keyturn_{secrets.token_hex(8)}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield POSTGRES_URL.rpartition("/")[0] + f"/{name}"
        finally:
            # FORCE: a test that died may have left connections open.
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            server.execute(drop.format(sql.Identifier(name)))


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[Engines]:
    """Give the engines of a fresh, empty database of `kind`; SQLite's in `folder`."""
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            name = f"{secrets.token_hex(8)}.db"
            engines = sqlite_engines(folder / name, secrets.token_bytes(32))
        else:
            url = stack.enter_context(postgres_database())
            if url is None:
                pytest.skip("KEYTURN_TEST_POSTGRES is not set")
            engines = postgres_engines(url)
        stack.callback(engines.dispose)
        yield engines
