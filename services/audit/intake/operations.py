# SPDX-License-Identifier: Apache-2.0
"""Intake: the loops that bring the sources' events into the log.

The consumer offers what Kafka carries; a filler for each source asks it for what is
missing; the integrator hands verified groups to the log. Any of the first two may be
without its peer for as long as it likes: nothing is lost, only later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contracts.events.head import KAFKA_HEADER, Head
from contracts.events.topics import TOPICS
from services.audit.intake.desk import Desk
from services.audit.intake.filler import Filler
from services.audit.intake.sources import SignedHead, SourceClient, SourceKeys
from services.audit.log import store
from services.audit.log.arrivals import Position
from services.audit.log.operations import Batch, Log
from services.chassis.bus import BusUnavailable, OffsetLost, Received, Subscriber
from services.chassis.database import DatabaseError
from services.chassis.telemetry import logger

GATHER_SECONDS: Final = 0.012  # an fsync for a tiny batch costs more than this wait
GATHER_FROM: Final = 16  # fewer at once are no load: they go on without waiting
FETCH_SECONDS: Final = 0.25
FETCH_LIMIT: Final = 4_000
RETRY_SECONDS: Final = 0.5

_SERVICE_OF: Final = {topic: service for service, topic in TOPICS.items()}

Offsets = dict[tuple[str, int], int]


@dataclass(slots=True)
class IntakeState:
    """What metrics show.

    Attributes:
        parked, dropped: Events.
        gaps: Lanes that are behind their signed head.
        bus: Whether it answers.
        behind: By source, events under signed heads that the log does not hold.
        unfetched: By topic, messages that the bus still has.
        sources: By source, whether it answered last.
    """

    parked: int
    dropped: int
    gaps: int
    bus: bool
    behind: dict[str, int]
    unfetched: dict[str, int]
    sources: dict[str, bool]


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
        self._subscriber = subscriber
        self._desk = Desk(keys)
        self._fillers = [
            Filler(source, log, self._desk, self._bus_is_up) for source in sources
        ]
        self._offsets: Offsets = {}
        self._seek_again = asyncio.Event()
        self._bus = False
        self._unheaded: set[str] = set()

    @property
    def state(self) -> IntakeState:
        """What metrics show."""
        verdict = self._desk.verdict
        missing = verdict.missing()
        behind = {filler.service: 0 for filler in self._fillers}
        for service, first, last in missing.values():
            behind[service] += last - first + 1
        return IntakeState(
            parked=verdict.parked,
            dropped=verdict.dropped,
            gaps=len(missing),
            bus=self._bus,
            behind=behind,
            unfetched=self._subscriber.behind(),
            sources={filler.service: filler.up for filler in self._fillers},
        )

    async def run(self) -> None:
        """Run all loops until cancelled; ends by an error only where it must stop."""
        await self._reset()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._consume())
            for filler in self._fillers:
                group.create_task(filler.run())
            group.create_task(self._integrate())

    def _bus_is_up(self) -> bool:
        return self._bus

    # --- the consumer ------------------------------------------------------------

    async def _consume(self) -> None:
        lost = False
        try:
            while True:
                try:
                    offsets = await self._log.journal.read(store.offsets)
                    if lost:
                        # The broker lost data or was replaced: begin again there, and
                        # rely on deduplication and on the sources.
                        offsets = dict.fromkeys(offsets, 0)
                    await self._subscriber.seek(offsets)
                    self._offsets = offsets if lost else {}
                    self._seek_again.clear()
                    self._bus, lost = True, False
                    await self._listen()
                except OffsetLost:
                    logger().warning("intake.bus_replaced")
                    self._bus, lost = False, True
                except (BusUnavailable, DatabaseError):
                    self._bus = False
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self._subscriber.abandon()

    async def _listen(self) -> None:
        """Take what comes, until the positions are to be read again."""
        while not self._seek_again.is_set():
            await self._desk.room()
            for message in await self._gather():
                self._arrived(message)

    async def _gather(self) -> list[Received]:
        """Fetch, and once much has come, a little longer."""
        found = await self._subscriber.fetch(FETCH_SECONDS, FETCH_LIMIT)
        if len(found) < GATHER_FROM:
            return found
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GATHER_SECONDS
        while (left := deadline - loop.time()) > 0 and len(found) < FETCH_LIMIT:
            found += await self._subscriber.fetch(left, FETCH_LIMIT)
        return found

    def _arrived(self, message: Received) -> None:
        service = _SERVICE_OF[message.topic]
        desk = self._desk
        named = message.headers.get("ce_id")
        event = desk.verdict.offer(service, message.value, named)
        # After the event: an offset is stored with what it led to, never before it.
        self._offsets[(message.topic, message.partition)] = message.offset + 1
        signature = message.headers.get(KAFKA_HEADER)
        if event is not None and signature is not None:
            head = Head(desk.installation, event.lane, event.seq, event.leaf)
            desk.head(service, head, signature)
        desk.wake.set()

    # --- the integrator ------------------------------------------------------------

    async def _integrate(self) -> None:
        while True:
            await self._desk.wake.wait()
            try:
                await self._step()
            except DatabaseError:
                # What was taken out is fetched again from the stored offsets.
                logger().warning("intake.retried", code="database")
                await asyncio.sleep(RETRY_SECONDS)
                await self._reset()
                self._seek_again.set()
                self._desk.wake.set()

    async def _step(self) -> None:
        desk = self._desk
        desk.wake.clear()
        await self._compare(desk.claims())
        groups = desk.verdict.ready()
        forks, alarms = desk.forks(), desk.alarms()
        desk.drained.set()
        if not (groups or forks or alarms):
            return
        offsets, self._offsets = self._offsets, {}
        await self._log.integrate(Batch(groups, offsets, forks, alarms))

    async def _compare(self, claims: Sequence[SignedHead]) -> None:
        """Hold heads about what is integrated against the leaves."""
        if not claims:
            return
        held = await self._log.journal.read(
            lambda c: [store.leaf_hash_at(c, s.head.lane, s.head.seq) for s in claims]
        )
        for claim, leaf in zip(claims, held, strict=True):
            self._desk.compared(claim, leaf)
        await self._complete(claims)

    async def _complete(self, claims: Sequence[SignedHead]) -> None:
        """Store heads of lanes that were replayed from the files, which hold none."""
        heads = {
            claim.head.lane: (
                Position(claim.head.seq, claim.head.leaf),
                claim.signature,
            )
            for claim in claims
            if claim.head.lane in self._unheaded
        }
        if heads:
            await self._log.journal.write(lambda tx: store.put_heads(tx, heads))
            self._unheaded -= heads.keys()

    async def _reset(self) -> None:
        """Forget everything and begin at what the database holds."""
        while True:
            try:
                rows = await self._log.journal.read(store.positions)
            except DatabaseError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._desk.reset(rows)
            self._unheaded = {row.lane for row in rows if not row.head}
            self._offsets = {}
            return
