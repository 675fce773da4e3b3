# SPDX-License-Identifier: Apache-2.0
"""The filler: asks one source for its lanes' ends, and for what the bus did not bring.

Each source has its own, so that a silent one delays no other. A page at a time, and
only while the integrator keeps up: memory stays bounded however much is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from contracts.events.head import Head
from services.audit.intake.desk import Desk
from services.audit.intake.sources import (
    Sent,
    SignedHead,
    SourceClient,
    SourceUnavailable,
)
from services.audit.log import store
from services.audit.log.operations import Log
from services.audit.log.succession import Alarm
from services.chassis.database import DatabaseError

POLL_SECONDS: Final = 1.0
GAP_TRIES: Final = 10  # polls before a gap becomes an alert


class Filler:
    """Fills the gaps of one source's lanes."""

    def __init__(
        self,
        source: SourceClient,
        log: Log,
        desk: Desk,
        bus_is_up: Callable[[], bool],
    ) -> None:
        self._source = source
        self.service = source.service
        self._log = log
        self._desk = desk
        self._bus_is_up = bus_is_up
        self._before: dict[str, int] = {}
        self._tries: dict[str, tuple[int, int]] = {}  # lane -> first, times asked
        self.up = False

    async def run(self) -> None:
        """Poll until cancelled; a source that does not answer is waited for."""
        while True:
            try:
                await self._poll()
                self.up = True
            except (SourceUnavailable, DatabaseError):
                self.up = False
            await asyncio.sleep(POLL_SECONDS)

    async def _poll(self) -> None:
        """Ask for the heads, and for what was missing at the last poll already."""
        rows = await self._log.journal.read(store.positions)
        known = {row.lane: row.seq for row in rows if row.service == self.service}
        heads = await self._source.heads(self._desk.installation)
        self._compare(heads, known)
        missing = {
            lane: (first, last)
            for lane, (service, first, last) in self._desk.verdict.missing().items()
            if service == self.service
        }
        for lane, (first, last) in missing.items():
            # Still on its way over Kafka, unless nothing moved since the last poll.
            if self._before.get(lane) == first or not self._bus_is_up():
                await self._fill(lane, first, last)
        self._before = {lane: first for lane, (first, _last) in missing.items()}
        self._desk.wake.set()

    def _compare(self, heads: Sequence[SignedHead], known: dict[str, int]) -> None:
        """Hold the heads against what the log held before they were asked for.

        A source's lanes only grow: where one ends earlier than the log's, or is gone,
        its database was restored from an older copy.
        """
        ends = {}
        for signed in heads:
            if self._desk.head(self.service, signed.head, signed.signature):
                ends[signed.head.lane] = signed.head.seq
        for lane, seq in known.items():
            if ends.get(lane, 0) < seq:
                self._desk.alarm(Alarm("restore", lane, ends.get(lane, 0)))

    async def _fill(self, lane: str, first: int, last: int) -> None:
        self._count(lane, first)
        while first <= last:
            found = await self._source.events(lane, first, last)
            for sent in found:
                self._take(lane, sent)
            if not found or found[-1].seq < first:
                return
            first = found[-1].seq + 1
            self._desk.wake.set()
            await self._desk.room()

    def _take(self, lane: str, sent: Sent) -> None:
        event = self._desk.verdict.offer(self.service, sent.event)
        if event is None or event.lane != lane or sent.signature is None:
            return
        head = Head(self._desk.installation, lane, event.seq, event.leaf)
        self._desk.head(self.service, head, sent.signature)

    def _count(self, lane: str, first: int) -> None:
        """Count how often a gap was asked for in vain; report it when it stays."""
        before, tries = self._tries.get(lane, (0, 0))
        tries = tries + 1 if before == first else 1
        self._tries[lane] = (first, tries)
        if tries > GAP_TRIES:
            self._desk.alarm(Alarm("gap", lane, first))
