# SPDX-License-Identifier: Apache-2.0
"""The broker killed and wiped, frozen, answering errors, slow, and flooded."""

from __future__ import annotations

import json
import random
import time
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.events.topics import PARTITIONS, TOPICS
from tests.crash.cycles.house import House, Houses
from tests.crash.cycles.killing import freeze
from tests.crash.faults.mock_broker import (
    FETCH,
    LIST_OFFSETS,
    METADATA,
    PRODUCE,
    mock_broker,
)
from tests.crash.faults.scenario import Came, Scale, Skipped, judged_house

#: Kafka's own error codes that a broker in trouble answers; -195 is librdkafka's for
#: a connection that breaks instead of an answer.
BROKEN: Final = -195
ERRORS: Final = {
    PRODUCE: (2, 3, 5, 6, 7, 10, 19, 20, BROKEN),
    FETCH: (1, 3, 6, 9, BROKEN),
    LIST_OFFSETS: (3, 6, BROKEN),
    METADATA: (5, 7, BROKEN),
}
#: More than the 5 MB that the embedded broker keeps of a partition.
FLOOD_BYTES: Final = 7 * 2**20
MESSAGE_BYTES: Final = 128 * 1024


def broker_killed_and_wiped(houses: Houses, scale: Scale, came: Came) -> None:
    """Kill the broker: the next one is empty, and on another port."""
    _embedded(houses)
    with judged_house(houses, came, deals=True) as house:
        for _ in range(scale.times):
            time.sleep(1.0)
            house.supervisor.kill("broker")
            came.did["kills"] += 1
            house.settle()


def broker_frozen(houses: Houses, scale: Scale, came: Came) -> None:
    """Stop the broker so that it neither answers nor refuses, and thaw it."""
    _embedded(houses)
    with judged_house(houses, came, deals=True) as house:
        time.sleep(1.0)
        freeze(house.supervisor.pid("broker"), scale.frozen_seconds)
        came.did[f"freezes of {scale.frozen_seconds:g} s"] += 1
        time.sleep(1.0)


def broker_answers_errors(houses: Houses, scale: Scale, came: Came) -> None:
    """Have the broker answer errors, break connections, and take its time."""
    _embedded(houses)
    chance = random.Random(came.seed)
    with mock_broker() as broker:
        environ = {"KEYTURN_KAFKA_SERVERS": broker.address}
        with judged_house(houses, came, environ, deals=True) as house:
            for _ in range(scale.times):
                for api, codes in ERRORS.items():
                    errors = chance.choices(codes, k=chance.randrange(1, 6))
                    broker.answer_errors(api, errors)
                    came.did["errors"] += len(errors)
                time.sleep(1.0)
                broker.answer_after(chance.choice((0, 200, 2_000)))
                came.did["delays"] += 1
                time.sleep(1.0)
            broker.answer_after(0)
            left = broker.errors_left()
            came.must(left < came.did["errors"], "no request met an error")
            came.did["errors not met"] = left
            came.must(house.supervisor.failure is None, "the supervisor gave up")


def broker_overflows(houses: Houses, scale: Scale, came: Came) -> None:
    """Flood the topics while audit is away: what the log lacks is gone from the bus."""
    _embedded(houses)
    with judged_house(houses, came, deals=False) as house:
        house.supervisor.halt("audit")
        time.sleep(3.0)
        came.did["megabytes"] = _flood(_address(house)) >> 20
        lowest = _lowest(_address(house))
        came.must(lowest > 0, "the broker kept everything")
        came.did["messages dropped"] = lowest
        house.supervisor.resume("audit")
        time.sleep(2.0)


def _flood(address: str) -> int:
    producer = Producer({"bootstrap.servers": address, "message.max.bytes": 2**20})
    sent = 0
    for partition in range(PARTITIONS):
        for _ in range(FLOOD_BYTES // MESSAGE_BYTES):
            producer.produce(TOPICS["vault"], bytes(MESSAGE_BYTES), partition=partition)
            sent += MESSAGE_BYTES
            producer.poll(0)
    producer.flush(30)
    return sent


def _lowest(address: str) -> int:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "looking"})
    try:
        ends = [
            consumer.get_watermark_offsets(TopicPartition(TOPICS["vault"], n), 10)
            for n in range(PARTITIONS)
        ]
    finally:
        consumer.close()
    return sum(low for low, _high in ends)


def _address(house: House) -> str:
    path = house.stage.place.state / "broker.json"
    return str(json.loads(path.read_text(encoding="utf-8"))["bootstrap"])


def _embedded(houses: Houses) -> None:
    if houses.engine != "sqlite":
        raise Skipped("the cluster is shared: its faults are the embedded broker's")
