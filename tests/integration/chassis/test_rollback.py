# SPDX-License-Identifier: Apache-2.0
"""Promise: only this source's own signature proves that its database is older.

What the log says is held against the database on both engines. A log that lies, that
is away, or that is behind stops nobody; one that knows more stops the start.
"""

from dataclasses import replace

import pytest
from nacl.signing import SigningKey
from sqlalchemy import update

from contracts.events.head import Head
from services.chassis.database import Fenced
from services.chassis.follower import LogUnreachable
from services.chassis.journal import Journal
from services.chassis.rollback import DatabaseRolledBack, LaneEnd, RollbackCheck
from tests.integration.chassis.conftest import SOURCE, World
from tests.integration.chassis.test_group_commit import draft

LEAF = b"l" * 32


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
        self, lane: str, seq: int, successor: str = "", key: SigningKey = SOURCE.key
    ) -> None:
        head = Head(SOURCE.installation, lane, seq, LEAF)
        self.ends[lane] = LaneEnd(head, head.sign(key), successor)


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
    assert refused.value.ends == (f"{lane}@3",)
    assert f"KEYTURN_VAULT_ACCEPT_ROLLBACK={lane}@3 " in str(refused.value)


async def test_an_unknown_successor_under_the_own_signature_refuses_the_start(
    world: World,
) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 3, successor="ab" * 16)
    log.holds("ab" * 16, 1)
    with pytest.raises(DatabaseRolledBack):
        await check(world, log).before_start()


async def test_only_the_very_end_that_is_missing_can_be_accepted(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 9)
    await check(world, log, f"{lane}@3").before_start()
    with pytest.raises(DatabaseRolledBack):
        await check(world, log, f"{lane}@2", f"{'ab' * 16}@3").before_start()


async def test_a_log_that_lies_stops_nobody(world: World) -> None:
    log, lane = Log(), await lane_of_three(world)
    log.holds(lane, 4, key=SigningKey(b"x" * 32))
    await check(world, log).before_start()
    log.holds(lane, 3, successor="ab" * 16)
    log.holds("ab" * 16, 1, key=SigningKey(b"x" * 32))
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
