# SPDX-License-Identifier: Apache-2.0
"""Work beside the requests: a task that dies takes the process with it.

A service whose relay or intake has silently ended would look healthy and be useless;
its supervisor starts it again, and it begins at what is durable.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterable
from typing import Any

from services.chassis import telemetry


def stop_process(why: str) -> None:
    """Ask this process to end: a lane was fenced, the disk failed, a task died."""
    telemetry.logger().error("process.stopping", reason=why.replace(" ", "-"))
    os.kill(os.getpid(), signal.SIGTERM)


class Background:
    """The tasks of one run of an application."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Start each piece of work; none of them is expected to end."""
        for coroutine in work:
            task = asyncio.create_task(coroutine)
            task.add_done_callback(_ended)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    for cause in _causes(error):
        telemetry.logger().error("task.failed", **telemetry.describe(cause))
    stop_process("a task ended")


def _causes(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [cause for item in error.exceptions for cause in _causes(item)]
    return [error] if error is not None else []
