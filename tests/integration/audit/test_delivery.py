# SPDX-License-Identifier: Apache-2.0
"""Every committed event becomes exactly one leaf, whatever bus and databases do."""

import asyncio
import base64
import random
import shutil
from pathlib import Path

import pytest

from contracts.events import envelope
from contracts.events.head import KAFKA_HEADER, Head
from contracts.log import merkle
from services.chassis import outbox
from services.chassis.bus import Message, Publisher
from services.chassis.outbox import OutboxRow
from services.chassis.relay import Relay
from tests.integration.audit.checking import INSTALLATION, TRANSFER_KEY, VAULT_KEY
from tests.integration.audit.house import House, no_broker, opened
from tests.worlds import World, embedded_broker

TOPIC = "keyturn.access.v1"


def rows_of(house: House) -> list[OutboxRow]:
    journal = house.vault.journal
    lane = journal.lane
    assert lane is not None
    return journal.database.read_now(
        lambda c: outbox.rows_from(c, journal.tables, lane, 1, 10_000)
    )


def message(raw: bytes, head: bytes | None, key: str = "x") -> Message:
    headers = [] if head is None else [(KAFKA_HEADER, head)]
    return Message(key.encode(), raw, headers)


async def send(house: House, messages: list[Message], topic: str = TOPIC) -> None:
    publisher = Publisher(house.address)
    try:
        await publisher.publish(topic, messages)
    finally:
        await publisher.abandon()


async def test_the_way_from_commit_to_trimmed_outbox(house: House) -> None:
    await house.start()
    house.task(house.follower().run())
    for _ in range(5):
        await house.vault.write(40)
        await asyncio.sleep(0.05)
    await house.until_integrated()
    await house.until(lambda: rows_of(house) == [])
    assert house.vault.alarms == []
    assert house.alerts() == []
    entries = await house.check_log()
    assert len(entries) == 200 + 1 + 1  # both lanes' openings


async def test_shuffled_and_doubled_messages_become_each_one_leaf(house: House) -> None:
    await house.vault.write(300)
    rows = rows_of(house)
    shuffled = [message(row.event, row.head, "k") for row in rows * 2]
    random.Random(7).shuffle(shuffled)
    house.vault.reachable = False
    await house.start(relay=False)
    await send(house, shuffled)
    await house.until_integrated()
    assert house.alerts() == []
    await house.check_log()


async def test_what_the_bus_lost_is_fetched_from_the_source(house: House) -> None:
    await house.vault.write(300)
    kept = [row for i, row in enumerate(rows_of(house)) if i % 7]
    await house.start(relay=False)
    await send(house, [message(row.event, row.head) for row in kept])
    await house.until_integrated()
    assert house.alerts() == []
    await house.check_log()


async def test_without_any_broker_all_is_filled(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world, no_broker) as house:
        await house.vault.write(1_200)
        await house.start()
        await house.until_integrated()
        await house.vault.write(50)
        await house.until_integrated()
        await house.check_log()


async def test_a_broker_that_died_and_came_back_empty_costs_nothing(
    tmp_path: Path,
) -> None:
    with embedded_broker() as running:
        world = World("sqlite", "embedded")
        async with opened(tmp_path, world, lambda: running.address) as house:
            house.vault.reachable = False  # everything must come over the bus
            await house.start()
            await house.vault.write(200)
            await house.until_integrated()
            house.vault.reachable = True  # what was on the dead broker is filled
            running.kill()
            await house.vault.write(100)
            running.start()
            await house.vault.write(100)
            await house.until_integrated(40)
            assert house.alerts() == []
            await house.check_log()


async def test_forged_events_reach_no_leaf(house: House) -> None:
    await house.vault.write(3)
    rows = rows_of(house)
    lane = house.vault.written[0].lane

    def forged(seq: int, prev: bytes, lane: str = lane, salt: str = "") -> bytes:
        return envelope.encode(
            source=envelope.source_urn(INSTALLATION, "vault"),
            type_="org.keyturn.record.read.v1",
            time="2026-11-24T00:00:00.000Z",
            classification="restricted",
            lane=lane,
            seq=seq,
            prev=prev,
            parties=(),
            data={"salt": salt},
        )

    bare = forged(5, merkle.leaf_hash(rows[-1].event))
    other = forged(1, b"", "ef" * 16)
    head = Head(INSTALLATION, "ef" * 16, 1, merkle.leaf_hash(other))
    await house.start()
    await send(
        house,
        [
            message(bare, None),
            message(bare, b"\x00" * 64),
            message(other, head.sign(TRANSFER_KEY)),
            message(b"no JSON", b"\x00" * 64),
            message(b'{"lane":' * 5_000, None),
            Message(b"k", rows[1].event, [("ce_id", b"another/1")]),
        ],
    )
    await house.vault.write(20)
    await house.until_integrated()
    assert house.alerts() == []
    entries = await house.check_log()
    assert bare not in entries
    assert other not in entries


async def test_a_second_event_under_a_verified_head_is_fork_evidence(
    house: House,
) -> None:
    await house.start()
    await house.vault.write(5)
    await house.until_integrated()
    rows = rows_of(house)
    lane, last = rows[-1].lane, rows[-1].seq
    second = rows[-1].event.replace(b'"crm"', b'"erp"')
    assert second != rows[-1].event
    head = Head(INSTALLATION, lane, last, merkle.leaf_hash(second))
    await send(house, [message(second, head.sign(VAULT_KEY))] * 3)
    await house.until(lambda: house.alerts() == [("fork", lane, last)])
    await house.vault.write(5)
    await house.until_integrated()
    entries = await house.check_log()
    assert second not in entries
    assert sum(b"alert.raised" in entry for entry in entries) == 1


async def test_a_chain_about_another_past_is_fork_evidence(house: House) -> None:
    await house.start()
    await house.vault.write(5)
    await house.until_integrated()
    rows = rows_of(house)
    lane, last = rows[-1].lane, rows[-1].seq
    next_ = envelope.encode(
        source=envelope.source_urn(INSTALLATION, "vault"),
        type_="org.keyturn.record.read.v1",
        time="2026-11-24T00:00:00.000Z",
        classification="restricted",
        lane=lane,
        seq=last + 1,
        prev=b"\x07" * 32,
        parties=(),
        data={},
    )
    head = Head(INSTALLATION, lane, last + 1, merkle.leaf_hash(next_))
    await send(house, [message(next_, head.sign(VAULT_KEY))])
    await house.until(lambda: house.alerts() == [("fork", lane, last + 1)])
    assert next_ not in await house.check_log()


async def test_a_source_restored_from_an_older_copy_is_noticed(
    tmp_path: Path,
) -> None:
    with embedded_broker() as running:
        world = World("sqlite", "embedded")
        async with opened(tmp_path, world, lambda: running.address) as house:
            await house.start()
            await house.vault.write(5)
            lane = house.vault.written[0].lane
            path = house.vault.database.path
            assert path is not None
            _copy(path, tmp_path / "copy")
            await house.vault.write(5)
            await house.until_integrated()
            end = house.vault.written[-1].seq
            house.vault.journal.database.close()
            _restore(tmp_path / "copy", path)
            house.vault.journal = house.vault._open()
            house.task(_relay(house))
            house.vault.written = house.vault.written[:5]
            await house.vault.write(5)
            await house.until_integrated()
            await house.until(lambda: house.alerts() != [])
            assert house.alerts() == [("restore", lane, end - 5)]
            await house.check_log("restored")


def _copy(path: Path, to: Path) -> None:
    to.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, to / file.name)


def _restore(copy: Path, path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, path.parent / file.name)


async def _relay(house: House) -> None:
    await Relay(house.vault.journal, Publisher(house.address)).run()


async def test_an_unreadable_event_under_a_head_is_a_leaf_and_an_alert(
    house: House,
) -> None:
    await house.vault.write(2)
    rows = rows_of(house)
    lane = rows[0].lane
    future = envelope.canonical_json(
        {
            "lane": lane,
            "seq": 4,
            "prev": base64.b64encode(merkle.leaf_hash(rows[-1].event)).decode(),
            "specversion": "2.0",
            "id": f"{lane}/4",
        }
    )
    head = Head(INSTALLATION, lane, 4, merkle.leaf_hash(future)).sign(VAULT_KEY)
    house.vault.reachable = False
    await house.start()
    await send(house, [message(future, head)])
    await house.until(lambda: house.integrated().get(lane, 0) == 4)
    await house.until(lambda: house.alerts() == [("unreadable", lane, 4)])
    assert future in await house.check_log("unreadable", "unheaded", "head-missing")


async def test_a_gap_that_the_source_cannot_fill_is_reported_and_others_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.audit.intake import filler

    monkeypatch.setattr(filler, "POLL_SECONDS", 0.05)
    await house.vault.write(5)
    lane = house.vault.written[0].lane
    box = house.vault.tables.outbox
    await house.vault.journal.write(
        lambda tx: tx.execute(box.delete().where(box.c.lane == lane, box.c.seq == 3))
    )
    house.vault.written.clear()
    house.vault.restart()
    await house.vault.write(5)
    await house.start(relay=False)
    await house.until_integrated()
    await house.until(lambda: "gap" in {code for code, *_ in house.alerts()})
    assert {alarmed for _, alarmed, _ in house.alerts()} == {lane}
    await house.check_log("predecessor-short")
