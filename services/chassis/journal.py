# SPDX-License-Identifier: Apache-2.0
"""A journal: one database writer with the lane that its events stand on.

Joins `Database`, `LaneWriter` and the journal's tables, and opens and closes the
lane in good order. Events of changes ride in the change's own transaction
(`write`); events of reads change nothing else (`append`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy.engine import Connection

from contracts.events.payload import EventDraft
from services.chassis import outbox
from services.chassis.clock import Clock
from services.chassis.database import Database, Lock, Tx
from services.chassis.engines import Engines
from services.chassis.lanes import EventRef, LaneTables, LaneWriter, Source

T = TypeVar("T")


class Journal:
    """Events of one kind of one process, on a lane of their own.

    Attributes:
        tables: The journal's tables in its database.
        database: The writer and the readers.
        committed: Called in the committing thread after each commit; the relay
            listens here.
    """

    def __init__(
        self,
        engines: Engines,
        tables: LaneTables,
        source: Source,
        slot: str,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        on_fatal: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self.tables = tables
        self.source = source
        self.slot = slot
        self._listeners: list[Callable[[], None]] = []
        self._lane = LaneWriter(tables, source, slot, new_id)
        self.database = Database(
            engines,
            clock=clock,
            step=self._lane,
            on_commit=self._committed,
            on_fatal=on_fatal,
        )

    def start(self) -> None:
        """Open this process's lane; durable when it returns."""
        self.database.submit(lambda _tx: None).result()

    async def write(self, fn: Callable[[Tx], T], locks: Sequence[Lock] = ()) -> T:
        """As `Database.write`."""
        return await self.database.write(fn, locks)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """As `Database.read`."""
        return await self.database.read(fn)

    async def peek(self, fn: Callable[[Connection], T]) -> T:
        """As `Database.peek`."""
        return await self.database.peek(fn)

    async def append(self, *drafts: EventDraft) -> EventRef:
        """Append events that change nothing else; return the last, durable by then.

        Raises:
            DatabaseBusy, DatabaseUnavailable, CommitUnknown: As `Database.write`.
        """
        return await self.database.append(
            lambda tx: [outbox.append(tx, draft) for draft in drafts][-1]
        )

    @property
    def lane(self) -> str | None:
        """The open lane's id."""
        return self._lane.lane_id

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called, on the running event loop, after each commit.

        Returns:
            What ends it.
        """
        loop = asyncio.get_running_loop()
        called = threading.Event()

        def listen() -> None:
            called.clear()
            listener()

        def call() -> None:
            # Commits that the loop has not heard of yet are told in one call.
            if not called.is_set() and not loop.is_closed():
                called.set()
                loop.call_soon_threadsafe(listen)

        self._listeners.append(call)
        return lambda: self._listeners.remove(call)

    def close(self) -> None:
        """End the lane in good order and stop the writer."""

        def last(tx: Tx) -> None:
            self._lane.close(tx.now)

        try:
            self.database.submit(last).result(timeout=10)
        finally:
            self.database.close()

    def _committed(self) -> None:
        for call in tuple(self._listeners):
            call()
