# SPDX-License-Identifier: Apache-2.0
"""Appends on the event loop: durable before the answer, and nobody waits for a lock."""

import asyncio
import itertools
import threading
import time

import pytest

from contracts.events.envelope import MAX_EVENT_BYTES, EventMalformed
from contracts.events.payload import EventDraft
from services.chassis import outbox
from services.chassis.by_hand import HandHeld
from services.chassis.database import CommitUnknown, DatabaseUnavailable
from tests.integration.chassis.conftest import World
from tests.integration.chassis.test_group_commit import check_lanes, draft


def durable(world: World, journal) -> int:
    """How many events a fresh connection sees."""
    return sum(
        head.seq
        for head in journal.database.read_now(lambda c: outbox.heads(c, world.tables))
    )


async def test_an_event_is_durable_when_its_append_returns(world: World) -> None:
    journal = world.journal()

    async def one(number: int) -> None:
        event = await journal.append(draft(n=number))
        assert durable(world, journal) >= event.seq

    await asyncio.gather(*(one(number) for number in range(50)))
    assert check_lanes(world, journal) == 51


async def test_appends_and_writes_share_one_lane_without_a_gap(world: World) -> None:
    journal = world.journal()

    def change(tx) -> None:
        outbox.append(tx, draft(kind="write"))

    kinds = itertools.cycle((lambda: journal.append(draft()), journal.write))
    work = [next(kinds) for _ in range(200)]
    await asyncio.gather(
        *(one(change) if one == journal.write else one() for one in work)
    )
    assert check_lanes(world, journal) == 201


async def test_a_refused_append_takes_neither_neighbours_nor_numbers(
    world: World,
) -> None:
    journal = world.journal()
    big = EventDraft("org.keyturn.thing.made.v1", "internal", ("p1",), {})
    big = EventDraft(big.type, big.classification, big.parties, {"x": "x" * 60_000})
    assert len(big.data["x"]) > MAX_EVENT_BYTES
    results = await asyncio.gather(
        journal.append(draft()),
        journal.append(draft(), big),
        journal.append(draft()),
        return_exceptions=True,
    )
    assert isinstance(results[1], EventMalformed)
    assert [results[0].seq, results[2].seq] == [2, 3]
    assert check_lanes(world, journal) == 3


async def test_the_loop_goes_on_while_another_process_holds_the_file(
    world: World,
) -> None:
    journal = world.journal()
    await journal.append(draft())
    other = world.journal(slot="other/changes")
    entered, leave = threading.Event(), threading.Event()

    def hold(_tx) -> None:
        entered.set()
        leave.wait(10)

    holding = asyncio.ensure_future(other.write(hold))
    await asyncio.to_thread(entered.wait)
    waiting = asyncio.ensure_future(journal.append(draft()))
    longest = 0.0
    for _ in range(20):
        began = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - began)
    leave.set()
    await asyncio.gather(holding, waiting)
    assert longest < 1.0  # BEGIN would have waited for the other's COMMIT
    check_lanes(world, journal)


async def test_all_of_a_group_whose_commit_failed_are_told(
    world: World, monkeypatch
) -> None:
    journal = world.journal()
    await journal.append(draft())
    if not journal.database.engines.embedded:
        pytest.skip("PostgreSQL's appends are the writer's: test_group_commit")

    def fail(_self) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(HandHeld, "commit", fail)
        told = await asyncio.gather(
            *(journal.append(draft()) for _ in range(5)), return_exceptions=True
        )
    assert [type(one) for one in told] == [CommitUnknown] * 5
    first = journal.lane
    await journal.append(draft())
    assert journal.lane != first  # no number follows one whose end is unknown
    check_lanes(world, journal)


async def test_a_caller_that_goes_away_does_not_stop_the_others(world: World) -> None:
    journal = world.journal()
    await journal.append(draft())
    gone = asyncio.ensure_future(journal.append(draft()))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(journal.append(draft()), 10)
    check_lanes(world, journal)


async def test_nothing_is_appended_after_the_close(world: World) -> None:
    journal = world.journal()
    await journal.append(draft())
    journal.database.close()
    with pytest.raises(DatabaseUnavailable):
        await journal.append(draft())


async def test_the_commit_of_an_append_is_measured_as_every_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = world.journal()
    seconds: list[float] = []
    failures: list[str] = []
    journal.database.watch.committed = seconds.append
    journal.database.watch.failed = failures.append
    await journal.append(draft())
    assert len(seconds) == 1
    if journal.database.engines.inline is None:
        return  # its commits are the writer's, which other tests break

    def broken(_held: HandHeld) -> None:
        raise OSError

    monkeypatch.setattr(HandHeld, "commit", broken)
    with pytest.raises(CommitUnknown):
        await journal.append(draft())
    assert failures == ["commit"]
