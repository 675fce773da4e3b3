# SPDX-License-Identifier: Apache-2.0
"""The worlds themselves: what the other tests stand on is really there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text

from contracts.events.envelope import MAX_EVENT_BYTES
from contracts.events.topics import TOPICS
from services.chassis.bus import (
    BATCH_BYTES,
    BusUnavailable,
    Message,
    Publisher,
    Subscriber,
)
from tests.worlds import BROKERS, DATABASES, broker, database, embedded_broker

TOPIC = TOPICS["vault"]


async def _drain(address: str, wanted: int) -> list[tuple[bytes | None, bytes]]:
    """Return the topic's messages: `wanted` of them, or until a second of silence."""
    subscriber = Subscriber(lambda: address, [TOPIC])
    got: list[tuple[bytes | None, bytes]] = []
    try:
        await subscriber.seek({})
        silent = 0
        while len(got) < wanted and silent < 4:
            some = await subscriber.fetch(0.25, 100)
            silent = 0 if some else silent + 1
            got += [(m.key, m.value) for m in some]
    finally:
        await subscriber.abandon()
    return got


@pytest.mark.parametrize("kind", BROKERS)
async def test_a_broker_keeps_the_order_of_a_lane(kind: str) -> None:
    with broker(kind) as address:
        publisher = Publisher(lambda: address)
        sent = [
            Message(b"lane", str(n).encode(), [("n", b"%d" % n)]) for n in range(50)
        ]
        await publisher.publish(TOPIC, sent)
        await publisher.abandon()
        got = await _drain(address, len(sent))
    assert got == [(m.key, m.value) for m in sent]


@pytest.mark.parametrize("kind", BROKERS)
async def test_what_fills_many_batches_arrives_whole_and_in_order(kind: str) -> None:
    lanes = (b"one lane", b"another", b"a third")
    with broker(kind) as address:
        publisher = Publisher(lambda: address)
        sent = [
            Message(lanes[n % 3], str(n).encode().zfill(MAX_EVENT_BYTES // 48), [])
            for n in range(5 * BATCH_BYTES // (MAX_EVENT_BYTES // 48))
        ]
        sent.insert(7, Message(lanes[0], bytes(MAX_EVENT_BYTES), []))
        await publisher.publish(TOPIC, sent)
        await publisher.abandon()
        got = await _drain(address, len(sent))
    for lane in lanes:
        mine = [value for key, value in got if key == lane]
        assert mine == [m.value for m in sent if m.key == lane]


@pytest.mark.parametrize("kind", BROKERS)
async def test_a_broker_is_handed_over_empty(kind: str) -> None:
    for _ in range(2):
        with broker(kind) as address:
            publisher = Publisher(partial(str, address))
            await publisher.publish(TOPIC, [Message(b"lane", b"only one", [])])
            await publisher.abandon()
            assert await _drain(address, 2) == [(b"lane", b"only one")]


async def test_a_restarted_embedded_broker_is_another_and_empty() -> None:
    with embedded_broker() as running:
        publisher = Publisher(lambda: running.address)
        await publisher.publish(TOPIC, [Message(b"lane", b"lost", [])])
        await publisher.abandon()
        old = running.address
        running.restart()
        assert await _drain(running.address, 1) == []
        if running.address != old:
            with pytest.raises(BusUnavailable):
                await _drain(old, 1)


@pytest.mark.parametrize("kind", DATABASES)
def test_a_database_is_fresh_each_time(kind: str, tmp_path: Path) -> None:
    for _ in range(2):
        with database(kind, tmp_path) as engines:
            with engines.writer.begin() as connection:
                connection.execute(text("CREATE TABLE kept (name TEXT PRIMARY KEY)"))
                connection.execute(text("INSERT INTO kept VALUES ('a')"))
            with engines.reader.begin() as connection:
                names = connection.execute(text("SELECT name FROM kept")).scalars()
                assert list(names) == ["a"]
