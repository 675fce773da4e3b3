# SPDX-License-Identifier: Apache-2.0
"""The writer of a database: group commit with a savepoint per request.

Owns transactions. Many requests share one COMMIT; each runs in its own savepoint,
and nobody is answered before the commit. Knows no lanes: the step that numbers and
signs events is given to it (`GroupStep`). SQLite and PostgreSQL behave alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from services.chassis.appending import MAX_GROUP, Appender, Writer
from services.chassis.by_hand import InlineReader
from services.chassis.clock import Clock
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.engines import Engines
from services.chassis.transaction import (
    CommitUnknown,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    Fenced,
    GroupStep,
    Lock,
    LockKind,
    Tx,
    Watch,
    translated,
)

__all__ = [
    "CommitUnknown",
    "Database",
    "DatabaseBusy",
    "DatabaseError",
    "DatabaseUnavailable",
    "Fenced",
    "GroupStep",
    "Lock",
    "LockKind",
    "Tx",
    "Watch",
]

T = TypeVar("T")

GROUP_SECONDS: Final = 0.02  # a group stops taking requests after this much work
READERS: Final = 8  # threads for reads on PostgreSQL


@dataclass(slots=True)
class _Request(Generic[T]):
    fn: Callable[[Tx], T]
    locks: Sequence[Lock]
    bare: bool = False
    future: Future[T] = field(default_factory=Future)


_ADVISORY = text(
    "SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k"
)
_ADVISORY_SHARED = text(
    "SELECT pg_advisory_xact_lock_shared(k) FROM unnest(CAST(:keys AS bigint[])) AS k"
)


class Database:
    """One database with one writer thread and many readers."""

    def __init__(
        self,
        engines: Engines,
        *,
        clock: Clock,
        step: GroupStep | None = None,
        on_commit: Callable[[], None] = lambda: None,
        on_fatal: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self.engines = engines
        self.step = step
        self.watch = Watch()
        self._clock = clock
        self._on_commit = on_commit
        self._on_fatal = on_fatal
        self._queue: deque[_Request[Any]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
        self._turn = threading.Lock()  # held by who runs a group
        self._connection: Connection | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._appender: Appender | None = None
        if engines.inline is None:
            self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        else:
            self._inline = InlineReader(engines.inline)
        self._thread.start()

    async def write(self, fn: Callable[[Tx], T], locks: Sequence[Lock] = ()) -> T:
        """Run `fn` in a savepoint of the next group; return after its COMMIT.

        Raises:
            DatabaseBusy, DatabaseUnavailable: Nothing was written.
            CommitUnknown: The outcome is unknown.
            Exception: Whatever `fn` raised; its changes are rolled back.
        """
        return await asyncio.wrap_future(self.submit(fn, locks))

    async def append(self, fn: Callable[[Tx], T]) -> T:
        """As `write`, for what touches the group's step alone and not the database.

        It runs without a savepoint: there is nothing that one could roll back. On
        SQLite on the event loop, where only the COMMIT takes a thread (`appending`).
        """
        if self.engines.inline is None or self.step is None or self._stopping:
            return await asyncio.wrap_future(self._bare(fn))
        if self._appender is None:
            self._appender = Appender(
                self.engines,
                self.step,
                Writer(self._turn, self.watch, lambda: bool(self._queue), self._bare),
                clock=self._clock,
                on_commit=self._on_commit,
                on_fatal=self._on_fatal,
            )
        return await self._appender.append(fn)

    def _bare(self, fn: Callable[[Tx], T]) -> Future[T]:
        return self._enqueue(_Request(fn, (), bare=True))

    def submit(self, fn: Callable[[Tx], T], locks: Sequence[Lock] = ()) -> Future[T]:
        """As `write`, for callers without an event loop."""
        return self._enqueue(_Request(fn, tuple(locks)))

    def _enqueue(self, request: _Request[T]) -> Future[T]:
        with self._wake:
            if self._stopping:
                raise DatabaseUnavailable("the writer is stopping")
            self._queue.append(request)
            self._wake.notify()
        return request.future

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a reader's connection, in one snapshot.

        On SQLite inline on the event loop (an executor costs half the rate); on
        PostgreSQL in a small thread pool.

        Raises:
            DatabaseUnavailable: The database does not answer.
        """
        if self._pool is None:
            return self._inline.read(fn)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.read_now, fn)

    async def peek(self, fn: Callable[[Connection], T]) -> T:
        """As `read`, for exactly one statement, which is a snapshot by itself."""
        if self._pool is None:
            return self._inline.read(fn, whole=False)
        return await self.read(fn)

    def read_now(self, fn: Callable[[Connection], T]) -> T:
        """As `read`, on the calling thread."""
        try:
            with self.engines.reader.connect() as connection, connection.begin():
                return fn(connection)
        except OperationalError as exc:
            raise DatabaseUnavailable("the database does not answer") from exc

    def close(self) -> None:
        """Finish what is queued, then stop the writer and close all connections."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout=30)
        if self._appender is not None:
            self._appender.close()
        if self._pool is not None:
            self._pool.shutdown()
        else:
            self._inline.close()
        self.engines.dispose()

    # --- the writer thread -------------------------------------------------

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if not self._queue:
                    break
                size = min(len(self._queue), MAX_GROUP)
                group = [self._queue.popleft() for _ in range(size)]
            try:
                with self._turn:
                    self._run(group, more=True)
            except Exception as exc:  # noqa: BLE001 - without this thread all would wait
                self._leave_in_doubt(group, exc)
        self._drop_connection()

    def _run(self, group: list[_Request[Any]], *, more: bool) -> None:
        """Run one group to its commit and answer everyone in it."""
        outcomes: list[tuple[_Request[Any], Any, BaseException | None]] = []
        try:
            changed = self._gather(group, outcomes, more=more)
        except Exception as exc:  # noqa: BLE001 - the group failed before COMMIT
            self._roll_back()
            self._after_failure(group, exc)
            return
        if not changed:
            self._roll_back()
        elif not self._commit(group):
            return
        for request, value, error in outcomes:
            _answer(request, value, error)
        if changed:
            self._on_commit()

    def _gather(
        self,
        group: list[_Request[Any]],
        outcomes: list[tuple[_Request[Any], Any, BaseException | None]],
        *,
        more: bool,
    ) -> bool:
        connection = self._open()
        now = self._clock.now()
        self._lock(connection, [lock for r in group for lock in r.locks])
        if self.step is not None:
            self.step.begin(connection, now)
        tx = Tx(connection, now, self.step)
        deadline = time.monotonic() + GROUP_SECONDS
        while len(outcomes) < len(group):
            outcomes.append(self._savepoint(tx, group[len(outcomes)]))
            if not more:
                continue
            if time.monotonic() >= deadline:
                self._put_back(group, len(outcomes))
            elif len(outcomes) == len(group) < MAX_GROUP:
                # Joined before it runs: should the group fail, it is retried too.
                group.extend(self._joining())
        appended = self.step.finish(connection) if self.step is not None else False
        return appended or any(error is None for _r, _v, error in outcomes)

    def _put_back(self, group: list[_Request[Any]], done: int) -> None:
        """Return what the group has no time for to the head of the queue."""
        with self._wake:
            self._queue.extendleft(reversed(group[done:]))
        del group[done:]

    def _joining(self) -> list[_Request[Any]]:
        """The next queued request, if it may still join the running group.

        On PostgreSQL a request with locks waits for the next group: taking its
        locks after another's would break their order.
        """
        with self._wake:
            if not self._queue or (self._queue[0].locks and not self.engines.embedded):
                return []
            return [self._queue.popleft()]

    def _savepoint(
        self, tx: Tx, request: _Request[Any]
    ) -> tuple[_Request[Any], Any, BaseException | None]:
        mark = self.step.mark() if self.step is not None else None
        if not request.bare:
            tx.connection.exec_driver_sql("SAVEPOINT request")
        try:
            value = request.fn(tx)
        except Exception as exc:  # noqa: BLE001 - it is the caller's to see
            if not request.bare:
                tx.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT request")
                tx.connection.exec_driver_sql("RELEASE SAVEPOINT request")
            if self.step is not None:
                self.step.rewind(mark)
            return request, None, translated(exc)
        if not request.bare:
            tx.connection.exec_driver_sql("RELEASE SAVEPOINT request")
        return request, value, None

    def _lock(self, connection: Connection, locks: Sequence[Lock]) -> None:
        if self.engines.embedded or not locks:
            return  # BEGIN IMMEDIATE made this the only writer
        wanted: dict[tuple[LockKind, str], Lock] = {}
        for lock in locks:
            known = wanted.get((lock.kind, lock.key))
            if known is None or (lock.exclusive and not known.exclusive):
                wanted[(lock.kind, lock.key)] = lock
        for kind in LockKind:
            for exclusive, statement in ((False, _ADVISORY_SHARED), (True, _ADVISORY)):
                keys = sorted(
                    lock.number()
                    for lock in wanted.values()
                    if lock.kind is kind and lock.exclusive is exclusive
                )
                if keys:
                    connection.execute(statement, {"keys": keys})

    def _commit(self, group: list[_Request[Any]]) -> bool:
        CRASH_POINTS.reach("database.before_commit")
        began = time.monotonic()
        try:
            self.engines.commit(self._open_connection())
        except Exception as exc:  # noqa: BLE001 - any failure leaves the same doubt
            self._leave_in_doubt(group, exc)
            self.watch.failed("commit")
            if self.engines.is_io_error(exc):
                self._on_fatal("the disk refused a commit")
            return False
        self.watch.committed(time.monotonic() - began)
        CRASH_POINTS.reach("database.after_commit")
        if self.step is not None:
            self.step.committed()
        return True

    def _leave_in_doubt(self, group: list[_Request[Any]], exc: Exception) -> None:
        """Tell everyone who has no answer yet that the outcome is unknown."""
        if self.step is not None:
            self.step.unknown()
        self._drop_connection()
        for request in group:
            error = CommitUnknown("the commit failed; its outcome is unknown")
            error.__cause__ = exc
            _answer(request, None, error)

    def _after_failure(self, group: list[_Request[Any]], exc: Exception) -> None:
        """Retry a failed group one request at a time; answer a failed single."""
        if isinstance(exc, Fenced):
            self.watch.failed("fenced")
            self._on_fatal("another process has taken this lane")
            for request in group:
                _answer(request, None, exc)
            return
        if len(group) > 1:
            for request in group:
                self._run([request], more=False)
            return
        self.watch.failed("refused")
        _answer(group[0], None, translated(exc))

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self.engines.writer.connect()
        self.engines.begin(self._connection)
        return self._connection

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise DatabaseUnavailable("no connection")
        return self._connection

    def _roll_back(self) -> None:
        if self.step is not None:
            self.step.rolled_back()
        if self._connection is None:
            return
        try:
            self.engines.rollback(self._connection)
        except Exception:  # noqa: BLE001 - a broken connection is replaced
            self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
            connection.close()
        except DBAPIError:
            return  # it is gone, which is what was wanted


def _answer(request: _Request[Any], value: Any, error: BaseException | None) -> None:
    """Tell the caller, unless it was cancelled and waits no more."""
    with contextlib.suppress(InvalidStateError):
        if error is None:
            request.future.set_result(value)
        else:
            request.future.set_exception(error)
