# SPDX-License-Identifier: Apache-2.0
"""Intake: three loops that bring the sources' events into the log.

The consumer offers what Kafka carries; the filler asks the sources for what is
missing; the integrator hands verified groups to the log. Any of the first two may be
without its peer for as long as it likes: nothing is lost, only later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contracts.events.head import KAFKA_HEADER, Head
from contracts.events.topics import TOPICS
from services.audit.intake.sources import (
    Sent,
    SignedHead,
    SourceClient,
    SourceKeys,
    SourceUnavailable,
)
from services.audit.intake.verdict import Verdict
from services.audit.log import store
from services.audit.log.arrivals import Fork, Position
from services.audit.log.operations import Batch, Log
from services.audit.log.succession import Alarm
from services.chassis.bus import BusUnavailable, OffsetLost, Received, Subscriber
from services.chassis.database import DatabaseError
from services.chassis.telemetry import logger

GATHER_SECONDS: Final = 0.012  # an fsync for a tiny batch costs more than this wait
FETCH_SECONDS: Final = 0.25
FETCH_LIMIT: Final = 4_000
POLL_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
GAP_TRIES: Final = 10  # polls before a gap becomes an alert

_SERVICE_OF: Final = {topic: service for service, topic in TOPICS.items()}


@dataclass(slots=True)
class IntakeState:
    """What metrics show: parked and dropped events, lanes behind, the bus."""

    parked: int = 0
    dropped: int = 0
    gaps: int = 0
    bus: bool = False


class Intake:
    """Brings verified events into `log`."""

    def __init__(
        self,
        log: Log,
        keys: SourceKeys,
        subscriber: Subscriber,
        sources: Sequence[SourceClient],
    ) -> None:
        self._log = log
        self._keys = keys
        self._subscriber = subscriber
        self._sources = sources
        self._verdict = Verdict(keys.installation, keys.verify)
        self._offsets: dict[tuple[str, int], int] = {}
        self._forks: list[Fork] = []
        self._alarms: list[Alarm] = []
        self._wake = asyncio.Event()
        self._seek_again = asyncio.Event()
        self._tries: dict[tuple[str, int], int] = {}
        self._bus = False

    @property
    def state(self) -> IntakeState:
        """What metrics show."""
        return IntakeState(
            self._verdict.parked,
            self._verdict.dropped,
            len(self._verdict.missing()),
            self._bus,
        )

    async def run(self) -> None:
        """Run the three loops until cancelled."""
        await self._reset()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._consume())
            group.create_task(self._fill())
            group.create_task(self._integrate())

    # --- the consumer ------------------------------------------------------------

    async def _consume(self) -> None:
        offsets = await self._log.journal.read(store.offsets)
        try:
            while True:
                try:
                    await self._subscriber.seek(offsets)
                    self._seek_again.clear()
                    self._bus = True
                    while not self._seek_again.is_set():
                        for message in await self._gather():
                            self._arrived(message)
                    offsets = await self._log.journal.read(store.offsets)
                except OffsetLost:
                    # The broker lost data or was replaced: begin again there, and
                    # rely on deduplication and on the sources.
                    offsets = {}
                    self._offsets = {}
                except (BusUnavailable, DatabaseError):
                    self._bus = False
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self._subscriber.abandon()

    async def _gather(self) -> list[Received]:
        """Fetch, and once something has come, a little longer."""
        found = await self._subscriber.fetch(FETCH_SECONDS, FETCH_LIMIT)
        if not found:
            return found
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GATHER_SECONDS
        while (left := deadline - loop.time()) > 0 and len(found) < FETCH_LIMIT:
            found += await self._subscriber.fetch(left, FETCH_LIMIT)
        return found

    def _arrived(self, message: Received) -> None:
        service = _SERVICE_OF[message.topic]
        self._offsets[(message.topic, message.partition)] = message.offset + 1
        event = self._verdict.offer(service, message.value)
        signature = message.headers.get(KAFKA_HEADER)
        named = message.headers.get("ce_id")
        if event is None or signature is None:
            self._wake.set()
            return
        if named is not None and named != f"{event.lane}/{event.seq}".encode():
            return
        head = Head(self._keys.installation, event.lane, event.seq, event.leaf)
        self._verdict.head(service, head, signature)
        self._wake.set()

    # --- the filler -----------------------------------------------------------------

    async def _fill(self) -> None:
        while True:
            for source in self._sources:
                with contextlib.suppress(SourceUnavailable, DatabaseError):
                    await self._poll(source)
            await asyncio.sleep(POLL_SECONDS)

    async def _poll(self, source: SourceClient) -> None:
        """Ask one source for its heads, and for what was missing before already."""
        before = self._verdict.missing()
        known = {
            row.lane: row.seq for row in await self._log.journal.read(store.positions)
        }
        heads = await source.heads(self._keys.installation)
        for signed in heads:
            await self._compare(source.service, signed, known)
        for lane, (service, first, last) in self._verdict.missing().items():
            if service != source.service:
                continue
            # Still on its way over Kafka, unless it was missing at the last poll.
            if lane in before or first == 1 or not self._bus:
                await self._ask(source, lane, first, last)
        self._wake.set()

    async def _compare(
        self, service: str, signed: SignedHead, known: dict[str, int]
    ) -> None:
        """Hold a head against what the log held before it was asked for."""
        head = signed.head
        if not self._verdict.head(service, head, signed.signature):
            return
        seq = known.get(head.lane, 0)
        if head.seq < seq:
            # A source's end only grows: it was restored from an older copy.
            self._alarms.append(Alarm("restore", head.lane, head.seq))
        if head.seq <= seq:
            leaf = await self._log.journal.read(
                lambda c: store.leaf_hash_at(c, head.lane, head.seq)
            )
            if leaf is not None and leaf != head.leaf:
                evidence = head.message() + signed.signature
                self._forks.append(Fork(head.lane, head.seq, evidence))

    async def _ask(
        self, source: SourceClient, lane: str, first: int, last: int
    ) -> None:
        found = await source.events(lane, first, last)
        for sent in found:
            self._filled(source.service, lane, sent)
        key = (lane, first)
        if found and found[0].seq == first:
            self._tries.pop(key, None)
            return
        self._tries[key] = self._tries.get(key, 0) + 1
        if self._tries[key] == GAP_TRIES:
            self._alarms.append(Alarm("gap", lane, first))

    def _filled(self, service: str, lane: str, sent: Sent) -> None:
        event = self._verdict.offer(service, sent.event)
        if event is None or sent.signature is None:
            return
        head = Head(self._keys.installation, lane, event.seq, event.leaf)
        self._verdict.head(service, head, sent.signature)

    # --- the integrator ---------------------------------------------------------------

    async def _integrate(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            forks, self._forks = self._forks, []
            alarms, self._alarms = self._alarms, []
            offsets, self._offsets = self._offsets, {}
            groups = self._verdict.ready()
            if not (groups or forks or alarms):
                self._offsets = {**offsets, **self._offsets}
                continue
            try:
                await self._log.integrate(
                    Batch(groups, offsets, forks=forks, alarms=alarms)
                )
            except DatabaseError:
                # What was taken out is fetched again from the stored offsets.
                logger().warning("intake.retried", code="database")
                await asyncio.sleep(RETRY_SECONDS)
                await self._reset()
                self._seek_again.set()

    async def _reset(self) -> None:
        """Forget everything and begin at what the database holds."""
        verdict = Verdict(self._keys.installation, self._keys.verify)
        for row in await self._log.journal.read(store.positions):
            verdict.place(row.lane, row.service, Position(row.seq, row.leaf_hash))
        self._verdict = verdict
        self._offsets = {}
