# SPDX-License-Identifier: Apache-2.0
"""The desk of intake: what consumer and fillers lay down for the integrator.

Owns the verdict and, in memory alone, what contradicts the log. It says each alarm
once; the database says each once for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from contracts.events.head import Head
from services.audit.intake.sources import SignedHead, SourceKeys
from services.audit.intake.verdict import MAX_PARKED_BYTES, Verdict
from services.audit.log.arrivals import Fork, Position
from services.audit.log.store import PositionRow
from services.audit.log.succession import Alarm


class Desk:
    """Shared by the loops of one intake; all on one event loop.

    Attributes:
        installation: Whose events may be integrated.
        verdict: The parked events and verified heads.
        wake: Set when the integrator has something to look at.
        drained: Set when the integrator has taken out what was ready.
    """

    def __init__(self, keys: SourceKeys) -> None:
        self._keys = keys
        self.installation = keys.installation
        self.verdict = Verdict(keys.installation, keys.verify)
        self.wake = asyncio.Event()
        self.drained = asyncio.Event()
        self._claims: list[SignedHead] = []
        self._forks: list[Fork] = []
        self._alarms: list[Alarm] = []
        self._said: set[Alarm] = set()

    def reset(self, rows: Iterable[PositionRow]) -> None:
        """Forget everything and begin at these positions."""
        verdict = Verdict(self.installation, self._keys.verify)
        verdict.dropped = self.verdict.dropped
        for row in rows:
            verdict.place(row.lane, row.service, Position(row.seq, row.leaf_hash))
        self.verdict = verdict
        self._claims, self._forks, self._alarms = [], [], []
        self._said.clear()
        self.drained.set()

    async def room(self) -> None:
        """Wait while more is parked than can come out soon.

        Bogus events never come out: the wait is bounded, and the verdict drops.
        """
        self.drained.clear()
        if self.verdict.parked_bytes > MAX_PARKED_BYTES // 2:
            self.wake.set()
            await self.drained.wait()

    def head(self, service: str, head: Head, signature: bytes) -> bool:
        """Take a head; one about what is integrated is held against the log."""
        if not self.verdict.head(service, head, signature):
            return False
        if head.seq <= self.verdict.position(head.lane).seq:
            self._claims.append(SignedHead(head, signature))
            self.wake.set()
        return True

    def claims(self) -> list[SignedHead]:
        """Take out the verified heads about what is integrated."""
        found, self._claims = self._claims, []
        return found

    def compared(self, claim: SignedHead, leaf: bytes | None) -> None:
        """State which leaf the log holds where a head claims another."""
        head = claim.head
        if leaf is not None and leaf != head.leaf:
            evidence = head.message() + claim.signature
            self._forks.append(Fork(head.lane, head.seq, evidence))

    def alarm(self, alarm: Alarm) -> None:
        """Have an alarm raised, once."""
        if alarm not in self._said:
            self._said.add(alarm)
            self._alarms.append(alarm)
            self.wake.set()

    def alarms(self) -> list[Alarm]:
        """Take out the alarms."""
        found, self._alarms = self._alarms, []
        return found

    def forks(self) -> list[Fork]:
        """Take out the forks that were not said yet."""
        found = []
        for fork in self._forks + self.verdict.forks():
            alarm = Alarm("fork", fork.lane, fork.seq)
            if alarm not in self._said:
                self._said.add(alarm)
                found.append(fork)
        self._forks = []
        return found
