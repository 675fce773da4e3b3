# SPDX-License-Identifier: Apache-2.0
"""Writers of read events beside a vault that is down: `python -m deploy.bench.writers`.

A process of its own with the vault's own journal, relay and follower, so that the
way of events is measured without what comes before it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import uvloop

from contracts.events.payload import EventDraft
from contracts.events.vault import RecordRead
from services.chassis import installation
from services.chassis.bus import Publisher
from services.chassis.clock import SystemClock, random_alias
from services.chassis.follower import Follower
from services.chassis.journal import Journal
from services.chassis.log_reader import HttpLog
from services.chassis.relay import Relay
from services.chassis.slots import hold_slot
from services.chassis.upkeep import broker_address
from services.vault.opening import open_vault
from services.vault.settings import VaultSettings

SLOT: Final = "bench/reads"
POLL_SECONDS: Final = 0.002
QUIET_SECONDS: Final = 2.0
BOUND_SECONDS: Final = 120.0
KEEP_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Waited:
    """What the writers saw.

    Attributes:
        events: Committed and found in a signed checkpoint.
        committed: Events committed per second.
        integrated: Events per second from the first commit to the last checkpoint.
        p50, p99: Milliseconds from the commit of an event to a checkpoint over it.
    """

    events: int
    committed: float
    integrated: float
    p50: float
    p99: float


async def measure(writers: int, seconds: float, pace: float) -> Waited:
    """Append with that many writers for some seconds; wait for the last checkpoint.

    Args:
        writers: Tasks that each append one event after the other.
        seconds: How long.
        pace: Events per second of all of them together; 0 is as many as they can.
    """
    settings = VaultSettings.from_environ(os.environ)
    note = settings.state_dir / "audit" / "log" / "checkpoint"
    async with _journal(settings) as journal:
        base = await _settled(note)
        sizes: list[tuple[int, float]] = []
        watching = asyncio.create_task(_watch(note, sizes))
        commits: list[float] = []
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(writers):
                wait = writers / pace if pace else 0.0
                group.create_task(_write(journal, commits, started + seconds, wait))
        wrote = time.perf_counter() - started
        await _reached(sizes, base + len(commits))
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    waits = _waits(base, commits, sizes)
    return Waited(
        events=len(commits),
        committed=len(commits) / wrote,
        integrated=len(commits) / (_when(sizes, base + len(commits)) - started),
        p50=waits[len(waits) // 2],
        p99=waits[len(waits) * 99 // 100],
    )


def _waits(
    base: int, commits: Sequence[float], sizes: Sequence[tuple[int, float]]
) -> list[float]:
    """Return each event's wait in ms, sorted: a lane's order is the log's order."""
    found = (
        (_when(sizes, base + number) - at) * 1e3
        for number, at in enumerate(sorted(commits), 1)
    )
    return sorted(max(0.0, wait) for wait in found)


def _when(sizes: Sequence[tuple[int, float]], size: int) -> float:
    return sizes[bisect.bisect_left(sizes, size, key=lambda seen: seen[0])][1]


async def _write(
    journal: Journal, commits: list[float], until: float, wait: float
) -> None:
    draft = _draft()
    while (now := time.perf_counter()) < until:
        await journal.append(draft)
        commits.append(time.perf_counter())
        if wait:
            await asyncio.sleep(max(0.0, now + wait - time.perf_counter()))


def _draft() -> EventDraft:
    event = RecordRead(
        actor=random_alias(),
        client="bench",
        purpose="customer_service",
        record=random_alias(),
        classes=["basic", "habits", "purchases"],
        view="full",
        policy="0" * 16,
    )
    return event.draft("bench")


# -- The log ------------------------------------------------------------------------


async def _watch(note: Path, sizes: list[tuple[int, float]]) -> None:
    """Note when the published checkpoint grew, from the file that audit writes."""
    while True:
        size, now = _size(note), time.perf_counter()
        if not sizes or size > sizes[-1][0]:
            sizes.append((size, now))
        await asyncio.sleep(POLL_SECONDS)


def _size(note: Path) -> int:
    return int(note.read_text(encoding="utf-8").split("\n", 2)[1])


async def _settled(note: Path) -> int:
    size, since = _size(note), time.perf_counter()
    while time.perf_counter() - since < QUIET_SECONDS:
        await asyncio.sleep(0.05)
        if (now := _size(note)) != size:
            size, since = now, time.perf_counter()
    return size


async def _reached(sizes: Sequence[tuple[int, float]], size: int) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not sizes or sizes[-1][0] < size:  # noqa: ASYNC110 - a file grows
            await asyncio.sleep(POLL_SECONDS)


# -- The source ---------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _journal(settings: VaultSettings) -> AsyncIterator[Journal]:
    """Open the journal of reads with its relay and its follower, as the vault does."""
    clock = SystemClock()
    journal = open_vault(settings).reads(clock, SLOT)
    slot = hold_slot(journal.database.engines, settings.state_dir, SLOT)
    verifier = installation.log_verifier(settings.state_dir)
    assert verifier is not None
    log = HttpLog(settings.audit_url)
    journal.start()
    follower = Follower(
        journal, log, verifier, clock=clock, horizon_seconds=KEEP_SECONDS
    )
    relay = Relay(journal, Publisher(lambda: broker_address(settings)))
    tasks = [asyncio.create_task(one.run()) for one in (relay, follower)]
    try:
        yield journal
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.close()
        journal.close()
        slot.release()


def main() -> int:
    """Measure once; print what was seen as JSON."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bench.writers")
    parser.add_argument("--writers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pace", type=float, default=0.0)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(measure(asked.writers, asked.seconds, asked.pace))
    print(json.dumps(asdict(seen)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
