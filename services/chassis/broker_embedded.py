# SPDX-License-Identifier: Apache-2.0
"""The embedded bus: librdkafka's mock cluster, a Kafka-protocol broker in memory.

It speaks the real protocol on loopback and has no durability at all: about 5 MB a
partition, gone with the process, on a new random port at each start. The outbox is
why losing it costs nothing (promise 3). Run as a module with a FILE: it writes
`{"bootstrap": "127.0.0.1:PORT"}` to FILE and stays until it is told to end, or
until the supervisor that started it is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from pathlib import Path

from confluent_kafka import Producer

from contracts.events.topics import TOPICS
from services.chassis import lifeline
from services.chassis.settings import ServiceSettings


class EmbeddedBroker:
    """One mock broker with 4 partitions a topic, alive as long as this object."""

    def __init__(self) -> None:
        # The handle owns the cluster: no reference, no broker.
        self._handle = Producer(
            {"test.mock.num.brokers": 1, "log_level": 0, "statistics.interval.ms": 0}
        )
        for topic in TOPICS.values():
            # Naming a topic creates it, with the mock's built-in 4 partitions.
            self._handle.list_topics(topic, timeout=10)
        brokers = self._handle.list_topics(timeout=10).brokers.values()
        self.bootstrap = next(f"{b.host}:{b.port}" for b in brokers)


def write_address(path: Path, bootstrap: str) -> None:
    """Write the broker's address atomically: readers see the old or the new one."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"bootstrap": bootstrap}), encoding="utf-8")
    draft.replace(path)


def main() -> None:
    """Run one broker until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="The embedded Kafka-protocol broker.")
    parser.add_argument("file", type=Path, help="where to write the address")
    path = parser.parse_args().file
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    lifeline.hold(ServiceSettings.from_environ(os.environ))
    broker = EmbeddedBroker()
    write_address(path, broker.bootstrap)
    stop.wait()


if __name__ == "__main__":
    main()
