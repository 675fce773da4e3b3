# SPDX-License-Identifier: Apache-2.0
"""Promise: only this source's own signature proves that its database is older.

What the log says is held against the database on both engines. A log that lies, that
is away, or that is behind stops nobody; one that knows more stops the start.
"""

import asyncio
import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from sqlalchemy import update

from contracts.events.head import Head
from services.chassis.database import Fenced
from services.chassis.engines import sqlite_engines
from services.chassis.follower import LogUnreachable
from services.chassis.journal import Journal
from services.chassis.outbox import heads, receipt
from services.chassis.rollback import DatabaseRolledBack, LaneEnd, RollbackCheck
from tests.integration.chassis.conftest import SOURCE, World
from tests.integration.chassis.test_group_commit import draft

LEAF = b"l" * 32
LOST = "ab" * 16  # a lane that only the log remembers


class Log:
    """The ends that a log would state, as a test sets them."""

    def __init__(self) -> None:
        self.ends: dict[str, LaneEnd] = {}
        self.away = False
        self.asked = 0

    async def lane_end(self, installation: str, lane: str) -> LaneEnd | None:
        assert installation == SOURCE.installation
        self.asked += 1
        if self.away:
            raise LogUnreachable("away")
        return self.ends.get(lane)

    def holds(
        self, lane: str, seq: int, follower: str = "", key: SigningKey = SOURCE.key
    ) -> None:
        head = Head(SOURCE.installation, lane, seq, LEAF)
        followers = [follower] if follower else []
        self.ends[lane] = LaneEnd(head, head.sign(key), followers)


def check(world: World, log: Log, *accepted: str) -> RollbackCheck:
    variable = "KEYTURN_VAULT_ACCEPT_ROLLBACK"
    return RollbackCheck([world.journal()], log, accepted=accepted, variable=variable)


async def lane_of_three(world: World) -> str:
    """Leave a lane that ended without a word after three events."""
    journal: Journal = world.journal()
    journal.start()
    for _ in range(2):
        await journal.append(draft())
    assert journal.lane is not None
    return journal.lane


async def test_a_later_end_under_the_own_signature_refuses_the_start(
    world: World,
) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 4)
    with pytest.raises(DatabaseRolledBack) as refused:
        await check(world, log).before_start()
    assert refused.value.missing == (f"{lane}@3:{lane}@4",)
    named = f"KEYTURN_VAULT_ACCEPT_ROLLBACK={lane}@3:{lane}@4 "
    assert named in str(refused.value)


async def test_an_unknown_successor_under_the_own_signature_refuses_the_start(
    world: World,
) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 3, follower=LOST)
    log.holds(LOST, 1)
    with pytest.raises(DatabaseRolledBack):
        await check(world, log).before_start()


async def test_only_the_very_loss_that_was_named_can_be_accepted(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 9)
    loss = f"{lane}@3:{lane}@9"
    await check(world, log, loss).before_start()
    # The same copy, restored once more after another life: another loss.
    log.holds(lane, 9, follower=LOST)
    log.holds(LOST, 2)
    with pytest.raises(DatabaseRolledBack) as refused:
        await check(world, log, loss).before_start()
    assert refused.value.missing == (f"{lane}@3:{LOST}@2",)


async def test_lives_without_the_log_do_not_wash_a_loss_away(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    for _ in range(3):  # each opens a lane, and none of them can ask
        world.journal().start()
    log.holds(lane, 3, follower=LOST)
    log.holds(LOST, 1)
    with pytest.raises(DatabaseRolledBack):
        await check(world, log).before_start()


async def test_what_was_held_against_the_log_once_is_not_asked_again(
    world: World,
) -> None:
    log = Log()
    for _ in range(3):
        journal = world.journal()
        journal.start()
        ends = await journal.read(lambda c: heads(c, world.tables))
        every = {head.lane: head.seq for head in ends}
        await journal.write(lambda tx, seen=every: receipt(tx, world.tables, seen))
    await check(world, log).before_start()
    assert log.asked == 1


async def test_receipts_wait_until_the_log_was_asked(world: World) -> None:
    log, _lane = Log(), await lane_of_three(world)
    log.away = True
    checking = check(world, log)
    await checking.before_start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(checking.passed(), 0.05)
    log.away = False
    running = asyncio.create_task(checking.run(lambda _why: None))
    await asyncio.wait_for(checking.passed(), 5)
    running.cancel()


async def test_a_lane_of_the_other_journal_is_no_loss(
    world: World, tmp_path: Path
) -> None:
    """Both journals of a vault sign with one key; each alone knows half the lanes."""
    log, lane = Log(), await lane_of_three(world)
    key = secrets.token_bytes(32)
    second = World(lambda: sqlite_engines(tmp_path / "reads.db", key))
    reads = second.journal("w/reads")
    reads.start()
    assert reads.lane is not None
    log.holds(lane, 3, follower=reads.lane)
    log.holds(reads.lane, 1)
    both = [world.journal(), second.journal("w/reads")]
    await RollbackCheck(both, log, accepted=(), variable="V").before_start()
    with pytest.raises(DatabaseRolledBack):
        await check(world, log).before_start()
    second.close()


async def test_a_log_that_lies_stops_nobody(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 4, key=SigningKey(b"x" * 32))
    await check(world, log).before_start()
    log.holds(lane, 3, follower=LOST)
    log.holds(LOST, 1, key=SigningKey(b"x" * 32))
    await check(world, log).before_start()
    # A true signature over an earlier end, sold as one over a later.
    log.holds(lane, 2)
    old = log.ends[lane]
    log.ends[lane] = replace(old, head=replace(old.head, seq=4))
    await check(world, log).before_start()


async def test_a_log_that_is_behind_or_equal_stops_nobody(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    await check(world, log).before_start()
    for seq in (1, 3):
        log.holds(lane, seq)
        await check(world, log).before_start()


async def test_a_log_that_was_away_is_asked_until_it_answers(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.away = True
    checking = check(world, log)
    await checking.before_start()
    successor = world.journal()
    successor.start()  # the older end has a successor now, and is still remembered
    log.away = False
    log.holds(lane, 4)
    said: list[str] = []

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(why: str) -> None:
        said.append(why)
        raise Stopped

    with pytest.raises(Stopped):
        await checking.run(stop)
    assert said == ["the database is older than the log"]


async def test_a_lane_rolled_back_under_its_process_takes_no_more_events(
    world: World,
) -> None:
    journal = world.journal()
    journal.start()
    await journal.append(draft())
    lane = world.tables.lane
    engines = world.connect()
    with engines.writer.begin() as connection:
        connection.execute(update(lane).where(lane.c.id == journal.lane).values(seq=1))
    engines.dispose()
    with pytest.raises(Fenced):
        await journal.append(draft())
