# SPDX-License-Identifier: Apache-2.0
"""The projection: follows the published log at its own pace.

It commits in its own transactions and never holds up the sequencer. What it has lost
or what contradicts the log it builds again from the first leaf.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from contracts.log.merkle import leaf_hash
from services.audit.log.reading import Leaf, LogReadings
from services.audit.search import store
from services.audit.search.store import Progress
from services.audit.search.terms import terms_of
from services.chassis.database import Database, DatabaseError, Tx
from services.chassis.telemetry import logger

SLICE: Final = 1_000  # leaves indexed in one transaction
PAUSE_SECONDS: Final = 0.05  # gathers leaves of a busy log into one transaction
RETRY_SECONDS: Final = 1.0


class Projection:
    """Indexes what is published, and lets others wait for it."""

    def __init__(self, log: LogReadings, database: Database) -> None:
        self._log = log
        self.database = database
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self._progress = Progress()

    @property
    def size(self) -> int:
        """How many leaves can be found."""
        return self._progress.size

    async def run(self) -> None:
        """Follow until cancelled."""
        self._log.listen(self._wake.set)
        await self._begin()
        while True:
            self._wake.clear()
            try:
                more = await self._step()
            except DatabaseError:
                logger().warning("search.waiting", code="database")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not more:
                await self._wake.wait()
                await asyncio.sleep(PAUSE_SECONDS)

    async def reached(self, size: int, seconds: float) -> int:
        """Wait until `size` leaves can be found, or `seconds`; return how many can."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: self.size >= size)
        return self.size

    async def _begin(self) -> None:
        """Go on where the projection ends, unless it is another log's."""
        while True:
            try:
                found = await self.database.read(store.read_progress)
                if not await self._is_ours(found):
                    logger().warning("search.rebuilding", code="other-log")
                    await self.database.write(store.clear)
                    found = Progress()
                self._progress = found
            except DatabaseError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _is_ours(self, found: Progress) -> bool:
        if found.size == 0:
            return True
        last = await self._log.slice(found.size - 1, found.size)
        return [leaf_hash(leaf.event) for leaf in last] == [found.last]

    async def _step(self) -> bool:
        """Index one slice; whether there was one."""
        old = self._progress
        leaves = await self._log.slice(old.size, old.size + SLICE)
        if not leaves:
            return False
        last = leaf_hash(leaves[-1].event)
        if not await self.database.write(lambda tx: _index(tx, old, leaves, last)):
            await self._begin()
            return True
        async with self._moved:
            self._progress = Progress(old.size + len(leaves), last)
            self._moved.notify_all()
        return True


def _index(tx: Tx, old: Progress, leaves: list[Leaf], last: bytes) -> bool:
    # In the writer's thread: the event loop serves requests meanwhile.
    return store.add(tx, old, [terms_of(leaf.event) for leaf in leaves], last)
