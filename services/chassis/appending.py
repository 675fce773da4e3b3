# SPDX-License-Identifier: Apache-2.0
"""Appends to a SQLite journal on the event loop; only the COMMIT is a thread's.

The loop runs BEGIN, INSERT and UPDATE, which take microseconds and would otherwise
fight the loop for the interpreter; the thread waits for the disk. Shares the group
step with the writer's thread: whoever holds the turn has it. Whatever goes wrong
before COMMIT is rolled back and given to the writer, which waits, retries and answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.chassis.by_hand import HandHeld
from services.chassis.clock import Clock
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.engines import Engines
from services.chassis.transaction import CommitUnknown, GroupStep, Tx, Watch

T = TypeVar("T")

MAX_GROUP: Final = 256  # appends that share one commit at most


@dataclass(slots=True)
class _Append:
    """One request: what it appends, and who waits for it."""

    fn: Callable[[Tx], Any]
    waiting: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None

    def answer(self) -> None:
        if self.waiting.done():
            return  # it was cancelled and waits no more
        if self.error is None:
            self.waiting.set_result(self.value)
        else:
            self.waiting.set_exception(self.error)


@dataclass(slots=True)
class _Group:
    """What one COMMIT makes durable, and the loop that waits for it."""

    held: HandHeld
    appends: list[_Append]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class Writer:
    """What an appender shares with the writer's thread of its database.

    Attributes:
        turn: Held by who runs a group, from its BEGIN to its COMMIT.
        watch: Commits are measured alike, whoever runs them.
        is_writing: Whether the writer has work waiting, which then goes first.
        give_up: Hands an append to the writer.
    """

    turn: threading.Lock
    watch: Watch
    is_writing: Callable[[], bool]
    give_up: Callable[[Callable[[Tx], Any]], Future[Any]]


class Appender:
    """Group commit for appends that touch the step alone."""

    def __init__(
        self,
        engines: Engines,
        step: GroupStep,
        writer: Writer,
        *,
        clock: Clock,
        on_commit: Callable[[], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        """Take what it works on.

        Args:
            engines: Of the journal's database.
            step: Numbers and signs; used only with the turn.
            writer: Of the same database.
            clock: Gives each group its time.
            on_commit: Called after each commit, in the committing thread.
            on_fatal: Called when this process must stop.
        """
        self._engines = engines
        self._step = step
        self._writer = writer
        self._clock = clock
        self._on_commit = on_commit
        self._on_fatal = on_fatal
        self._queue: list[_Append] = []
        self._stopped = False
        self._busy = False  # a start is scheduled, or a commit under way
        self._held: HandHeld | None = None
        self._commits: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._commit_all, name="committer", daemon=True
        )
        self._thread.start()

    async def append(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in the next group; return after its COMMIT.

        Raises:
            As `Database.append`.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Append(fn, waiting))
        if not self._busy:
            # Not at once: who comes in this very turn of the loop shares the commit.
            self._busy = True
            loop.call_soon(self._start, loop)
        return await waiting

    def close(self) -> None:
        """Finish the commit under way, then stop and close the connection.

        What is appended later goes to the writer, which has stopped and says so.
        """
        self._stopped = True
        self._commits.put(None)
        self._thread.join(timeout=30)
        self._drop()

    # --- on the event loop -------------------------------------------------------

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gather the waiting appends and send them to their COMMIT."""
        appends, self._queue = self._queue[:MAX_GROUP], self._queue[MAX_GROUP:]
        if not appends:
            self._busy = False
            return
        if (
            self._stopped
            or self._writer.is_writing()
            or not self._writer.turn.acquire(blocking=False)
        ):
            self._pass_on(appends, loop)
            return
        try:
            group = _Group(self._gather(appends), appends, loop)
        except Exception:  # noqa: BLE001 - the writer finds out what it is, and says it
            self._roll_back()
            self._writer.turn.release()
            self._pass_on(appends, loop)
            return
        self._commits.put(group)

    def _gather(self, appends: list[_Append]) -> HandHeld:
        if self._held is None:
            assert self._engines.inline is not None
            self._held = HandHeld(self._engines.inline, patient=False)
        held, step = self._held, self._step
        # It fails at once where another process writes: the loop waits for nobody.
        held.begin("BEGIN IMMEDIATE")
        now = self._clock.now()
        step.begin(held.connection, now)
        tx = Tx(held.connection, now, step)
        for append in appends:
            mark = step.mark()
            try:
                append.value = append.fn(tx)
            except Exception as exc:  # noqa: BLE001 - it is the caller's to see
                step.rewind(mark)
                append.error = exc
        step.finish(held.connection)
        return held

    def _pass_on(self, appends: list[_Append], loop: asyncio.AbstractEventLoop) -> None:
        """Let the writer do it, in its own time."""
        for append in appends:
            try:
                given = asyncio.wrap_future(self._writer.give_up(append.fn), loop=loop)
            except Exception as exc:  # noqa: BLE001 - the writer has stopped
                append.error = exc
                append.answer()
                continue
            given.add_done_callback(_relay_to(append))
        self._busy = bool(self._queue)
        if self._busy:
            loop.call_soon(self._start, loop)

    def _landed(self, group: _Group) -> None:
        for append in group.appends:
            append.answer()
        self._start(group.loop)

    def _roll_back(self) -> None:
        self._step.rolled_back()
        if self._held is None:
            return
        try:
            self._held.rollback()
        except Exception:  # noqa: BLE001 - a broken connection is replaced
            self._drop()
        else:
            if self._held.is_broken:
                self._drop()

    def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.drop()

    # --- the committing thread ------------------------------------------------------

    def _commit_all(self) -> None:
        while (group := self._commits.get()) is not None:
            self._commit(group)
            # The loop may have ended: then nobody waits for an answer.
            with contextlib.suppress(RuntimeError):
                group.loop.call_soon_threadsafe(self._landed, group)

    def _commit(self, group: _Group) -> None:
        """Commit; the turn is given back when the step knows how it went."""
        CRASH_POINTS.reach("database.before_commit")
        began = time.monotonic()
        try:
            group.held.commit()
        except Exception as exc:  # noqa: BLE001 - any failure leaves the same doubt
            self._step.unknown()
            self._drop()
            self._writer.turn.release()
            for append in group.appends:
                append.error = CommitUnknown(
                    "the commit failed; its outcome is unknown"
                )
                append.error.__cause__ = exc
            self._writer.watch.failed("commit")
            if self._engines.is_io_error(exc):
                self._on_fatal("the disk refused a commit")
            return
        self._writer.watch.committed(time.monotonic() - began)
        CRASH_POINTS.reach("database.after_commit")
        self._step.committed()
        self._writer.turn.release()
        self._on_commit()


def _relay_to(append: _Append) -> Callable[[asyncio.Future[Any]], None]:
    def done(given: asyncio.Future[Any]) -> None:
        if given.cancelled():
            append.waiting.cancel()
            return
        append.error = given.exception()
        append.value = None if append.error is not None else given.result()
        append.answer()

    return done
