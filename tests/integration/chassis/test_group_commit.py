# SPDX-License-Identifier: Apache-2.0
"""Many requests, one commit: nobody loses, nobody is answered early."""

import asyncio
import itertools
import threading

import pytest
from nacl.signing import VerifyKey
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from contracts.events import envelope
from contracts.events.head import Head
from contracts.events.payload import EventDraft
from contracts.log import merkle
from services.chassis import outbox
from services.chassis.by_hand import HandHeld
from services.chassis.database import CommitUnknown, Fenced, Lock, LockKind
from services.chassis.engines import Engines
from tests.integration.chassis.conftest import SOURCE, World


def draft(party: str = "p1", **data: object) -> EventDraft:
    return EventDraft("org.keyturn.thing.made.v1", "internal", (party,), data)


def all_rows(world: World, journal) -> list:
    def read(connection):
        found = {}
        for head in outbox.heads(connection, world.tables):
            found[head.lane] = (
                head,
                outbox.rows_from(connection, world.tables, head.lane, 1, 100_000),
            )
        return found

    return journal.database.read_now(read)


def check_lanes(world: World, journal) -> int:
    """Every lane runs 1..n, chained, under verified heads; returns the event count."""
    total = 0
    for head, rows in all_rows(world, journal).values():
        assert [row.seq for row in rows] == list(range(1, head.seq + 1))
        prev = b""
        pseqs: dict[str, int] = {}
        for row in rows:
            event = envelope.parse(row.event)
            assert event.prev == prev
            prev = merkle.leaf_hash(row.event)
            for party in event.parties:
                assert party.pseq == pseqs.get(party.party, 0) + 1
                pseqs[party.party] = party.pseq
            if row.head is not None:
                claim = Head(SOURCE.installation, row.lane, row.seq, prev)
                assert claim.verifies(row.head, VerifyKey(bytes(SOURCE.key.verify_key)))
        assert rows[-1].head == head.head
        assert prev == head.leaf_hash
        total += len(rows)
    return total


async def test_a_change_and_its_event_are_one_commit(world: World) -> None:
    journal = world.journal()

    def change(tx):
        tx.execute(insert(world.thing).values(id="1", name="a"))
        return outbox.append(tx, draft())

    ref = await journal.write(change)
    assert str(ref) == f"{journal.lane}/2"  # 1 is lane.opened
    assert check_lanes(world, journal) == 2


async def test_a_neighbours_violation_rolls_back_only_itself(world: World) -> None:
    journal = world.journal()

    def change(n: int):
        def fn(tx):
            ref = outbox.append(tx, draft(n=n))
            tx.execute(insert(world.thing).values(id=str(n), name=f"name-{n // 2}"))
            return ref

        return fn

    answers = await asyncio.gather(
        *(journal.write(change(n)) for n in range(64)), return_exceptions=True
    )
    good = [a for a in answers if not isinstance(a, BaseException)]
    bad = [a for a in answers if isinstance(a, BaseException)]
    assert len(good) == len(bad) == 32
    assert all(isinstance(error, IntegrityError) for error in bad)
    # The numbers of the refused requests were given back: no gap.
    assert sorted(ref.seq for ref in good) == list(range(2, 34))
    assert check_lanes(world, journal) == 33


async def test_concurrent_writers_share_commits(world: World) -> None:
    commits = itertools.count()
    journal = world.journal()
    inner = journal._committed
    journal.database._on_commit = lambda: (next(commits), inner())
    await asyncio.gather(*(journal.append(draft(n=n)) for n in range(200)))
    assert check_lanes(world, journal) == 201
    assert next(commits) < 100


def _lose_the_answer(monkeypatch, of: type) -> None:
    real = of.commit

    def commit(self, *connection):
        real(self, *connection)  # durable, and yet the answer is lost
        raise OSError("the connection broke")

    monkeypatch.setattr(of, "commit", commit)


async def test_a_failed_commit_abandons_the_lane(world: World, monkeypatch) -> None:
    journal = world.journal()
    await journal.append(draft())
    first = journal.lane
    with monkeypatch.context() as patched:
        # Appends are committed by the one or the other, as the engine is.
        _lose_the_answer(patched, Engines)
        _lose_the_answer(patched, HandHeld)
        with pytest.raises(CommitUnknown):
            await journal.append(draft())
    await journal.append(draft())
    assert journal.lane != first
    lanes = all_rows(world, journal)
    opened = envelope.parse(lanes[journal.lane][1][0].event)
    # The new lane names where the old one truly ended, the lost answer included.
    assert opened.data["previous"] == first
    assert opened.data["previous_seq"] == 3
    check_lanes(world, journal)


async def test_trouble_in_telling_of_trouble_leaves_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = world.journal()
    engines = journal.database.engines
    real = type(engines).commit
    broken = {"on": True}

    def commit(self, connection):
        if broken["on"]:
            raise OSError("disk I/O error")
        real(self, connection)

    def fatal(_why: str) -> None:
        raise OSError("no space left for a line of the log")

    monkeypatch.setattr(type(engines), "commit", commit)
    monkeypatch.setattr(type(engines), "is_io_error", lambda _self, _exc: True)
    monkeypatch.setattr(journal.database, "_on_fatal", fatal)
    async with asyncio.timeout(10):
        with pytest.raises(CommitUnknown):
            await journal.database.write(lambda tx: outbox.append(tx, draft()))
        broken["on"] = False
        await journal.database.write(lambda tx: outbox.append(tx, draft()))
    check_lanes(world, journal)


async def test_a_lane_with_a_successor_is_fenced(world: World) -> None:
    stopped: list[str] = []
    paused = world.journal(on_fatal=stopped.append)
    await paused.append(draft())
    successor = world.journal()
    await successor.append(draft())
    with pytest.raises(Fenced):
        await paused.append(draft())
    assert stopped
    check_lanes(world, successor)


async def test_an_orderly_stop_closes_the_lane(world: World) -> None:
    journal = world.journal()
    journal.start()
    lane = journal.lane
    journal.close()
    again = world.journal()
    again.start()
    rows = all_rows(world, again)[lane][1]
    assert envelope.parse(rows[-1].event).type == "org.keyturn.lane.closed.v1"


async def test_an_oversized_event_is_refused_and_its_change_rolled_back(
    world: World,
) -> None:
    journal = world.journal()

    def change(tx):
        tx.execute(insert(world.thing).values(id="1", name="a"))
        outbox.append(tx, draft(blob="x" * 50_000))

    with pytest.raises(envelope.EventMalformed):
        await journal.write(change)
    assert await journal.read(lambda c: c.execute(select(world.thing)).all()) == []


@pytest.mark.postgres
async def test_an_exclusive_lock_waits_for_the_shared_one(world: World) -> None:
    """Two processes: a writer under the shared lock and a freeze under the exclusive."""
    one, two = world.journal("a/changes"), world.journal("b/changes")
    one.start()
    two.start()
    order: list[str] = []

    def slow(tx):
        import time

        time.sleep(0.3)
        order.append("write")

    def freeze(tx):
        order.append("freeze")

    writing = asyncio.create_task(
        one.write(slow, [Lock(LockKind.PARTY, "p", exclusive=False)])
    )
    await asyncio.sleep(0.1)
    await two.write(freeze, [Lock(LockKind.PARTY, "p")])
    await writing
    assert order == ["write", "freeze"]


async def test_a_caller_that_goes_away_does_not_stop_the_writer(world: World) -> None:
    journal = world.journal()
    journal.start()
    held = threading.Event()

    def slow(_tx: object) -> None:
        held.wait(5)

    callers = [asyncio.create_task(journal.write(slow)) for _ in range(3)]
    await asyncio.sleep(0.05)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    held.set()
    assert str(await journal.append(draft())) == f"{journal.lane}/2"
