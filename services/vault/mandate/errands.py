# SPDX-License-Identifier: Apache-2.0
"""Work that goes on after its request was answered, and again after a crash.

An errand is named by what it does to which handover; at most one of a name runs in a
process. What it has done is in the database, so that losing one loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from services.chassis import telemetry
from services.chassis.database import DatabaseError

FIRST_PAUSE: Final = 0.2  # seconds before an errand that failed is tried again
LONGEST_PAUSE: Final = 30.0


class Errands:
    """The errands of one process."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` under `name`, unless it is running."""
        if name in self._running:
            return
        task = asyncio.create_task(self._until_done(name, work))
        self._running[name] = task
        task.add_done_callback(lambda _done: self._running.pop(name, None))

    async def settled(self) -> None:
        """Wait until no errand is running."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def stop(self) -> None:
        """Cancel all errands and wait for their end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_done(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await work()
            except DatabaseError:
                telemetry.logger().warning(
                    "errand.waiting", errand=name.split("/", maxsplit=1)[0]
                )
            except Exception as exc:  # noqa: BLE001 - logged, and tried again
                telemetry.logger().error(
                    "errand.failed",
                    errand=name.split("/", maxsplit=1)[0],
                    **telemetry.describe(exc),
                )
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
