# SPDX-License-Identifier: Apache-2.0
"""The relay: carries a journal's outbox to Kafka, in order, at least once.

Owns nothing durable: what it has sent it knows only in memory, and starts again
from the receipts. A window of unreceipted bytes in flight keeps it below what the
embedded broker can hold. Source: audit.md, Delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from sqlalchemy.engine import Connection

from contracts.events.head import KAFKA_HEADER
from contracts.events.topics import topic_of
from services.chassis import outbox
from services.chassis.bus import BusUnavailable, Message, Publisher
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import DatabaseError
from services.chassis.journal import Journal
from services.chassis.outbox import PAGE_ROWS, LaneHead, OutboxRow

WINDOW_BYTES: Final = 1_900_000  # two journals share a topic: below 4 MB together
IDLE_SECONDS: Final = 0.5  # look again without a commit of our own
RETRY_SECONDS: Final = 0.5
ROUND_SECONDS: Final = 0.02  # under load one round carries what many commits wrote
EVENT_SECONDS: Final = 0.001  # and under little load the next one begins sooner

_HEADERS: Final = (
    ("ce_specversion", b"1.0"),
    ("content-type", b"application/cloudevents+json; charset=UTF-8"),
)


class Relay:
    """Relays every lane of one journal's database.

    Should two processes relay one lane, deduplication by (lane, seq) makes it
    harmless; a lease only saves the work.
    """

    def __init__(
        self,
        journal: Journal,
        publisher: Publisher,
        *,
        on_state: Callable[[str], None] = lambda _state: None,
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._topic = topic_of(journal.source.service)
        self._on_state = on_state
        self._sent: dict[str, int] = {}
        self._flying: dict[str, deque[tuple[int, int]]] = {}
        self._flying_bytes = 0
        self._is_down = False
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled. A missing broker is waited for."""
        end = self._journal.listen(self._wake.set)
        try:
            while True:
                self._wake.clear()
                try:
                    sent = await self._round()
                    self._on_state("relaying")
                except (BusUnavailable, DatabaseError):
                    # Nothing is known of what arrived: begin again at the receipts.
                    self._is_down = True
                    self._sent.clear()
                    self._flying.clear()
                    self._flying_bytes = 0
                    self._on_state("waiting")
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if sent >= PAGE_ROWS:
                    continue  # far behind: no time for a pause
                if sent:
                    # The first commit after a quiet time never waits here.
                    await asyncio.sleep(min(ROUND_SECONDS, sent * EVENT_SECONDS))
                else:
                    # Not `wait_for`: in Python 3.11 it loses a cancellation that comes
                    # together with what it waits for, and we would relay for ever.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(IDLE_SECONDS):
                            await self._wake.wait()
        finally:
            end()
            await self._publisher.abandon()

    def behind(self, heads: Iterable[LaneHead]) -> int:
        """Return how many events neither the bus has from this relay nor the log."""
        return sum(
            head.seq - max(self._sent.get(head.lane, 0), head.receipted_seq)
            for head in heads
        )

    async def _round(self) -> int:
        """Publish the next rows of every lane; how many there were."""
        if self._is_down:
            await self._publisher.connect()  # rows that nobody takes are not read
            self._is_down = False
        rows = await self._journal.read(self._next_rows)
        if not rows:
            return 0
        CRASH_POINTS.reach("relay.before_publish")
        await self._publisher.publish(self._topic, [_message(row) for row in rows])
        CRASH_POINTS.reach("relay.after_publish")
        for row in rows:
            self._sent[row.lane] = row.seq
            flying = self._flying.setdefault(row.lane, deque())
            flying.append((row.seq, len(row.event)))
            self._flying_bytes += len(row.event)
        return len(rows)

    def _landed(self, heads: Iterable[LaneHead]) -> None:
        """Count out of the window what is receipted."""
        for head in heads:
            flying = self._flying.get(head.lane)
            while flying and flying[0][0] <= head.receipted_seq:
                self._flying_bytes -= flying.popleft()[1]
            if flying is not None and not flying:
                del self._flying[head.lane]

    def _next_rows(self, connection: Connection) -> list[OutboxRow]:
        tables = self._journal.tables
        heads = outbox.heads(connection, tables)
        self._landed(heads)
        room = WINDOW_BYTES - self._flying_bytes
        found: list[OutboxRow] = []
        for head in heads:
            first = max(self._sent.get(head.lane, 0), head.receipted_seq) + 1
            if first > head.seq or room <= 0:
                continue
            for row in outbox.rows_from(connection, tables, head.lane, first):
                found.append(row)
                room -= len(row.event)
                # Never stop inside a group: nothing of it counts before its head.
                if room <= 0 and row.head is not None:
                    break
        return found


def _message(row: OutboxRow) -> Message:
    headers = [("ce_id", f"{row.lane}/{row.seq}".encode()), *_HEADERS]
    if row.head is not None:
        headers.append((KAFKA_HEADER, row.head))
    return Message(key=row.lane.encode(), value=row.event, headers=headers)
