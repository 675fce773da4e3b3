# SPDX-License-Identifier: Apache-2.0
"""How many distinct records an actor may be shown a day.

A stolen token must not empty the vault quietly. What counts is what the events of a
disclosure name, in the very transaction that makes them durable: exact across worker
processes and restarts. A record shown again the same day costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from contracts.events import vault as vault_events
from contracts.events.payload import EventDraft
from services.chassis import outbox
from services.chassis.clock import Clock
from services.chassis.database import DatabaseError, Lock, LockKind, Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault.access import store
from services.vault.access.errors import QuotaSpent
from services.vault.parties import Parties

REMEMBERED: Final = 200_000  # pairs of actor and record, in this process
SWEEP_SECONDS: Final = 3_600.0
KEPT_DAYS: Final = 2  # no time zone's today is so far behind UTC's

_ONE: Final = vault_events.RecordRead.TYPE
_MANY: Final = frozenset(
    {
        vault_events.RecordsLookedUp.TYPE,
        vault_events.RecordsListed.TYPE,
        vault_events.AliasesResolved.TYPE,
    }
)


class Quota:
    """The counts of all actors; the table decides, this process only remembers."""

    def __init__(self, reads: Journal, parties: Parties, clock: Clock) -> None:
        self._reads = reads
        self._parties = parties
        self._clock = clock
        self._zones: dict[str, ZoneInfo] = {}
        self._seen: dict[str, tuple[str, set[str]]] = {}

    async def append(
        self, party: str, actor: str, limit: int | None, drafts: Sequence[EventDraft]
    ) -> EventRef:
        """Append a disclosure's events to the journal of reads, and count it.

        Args:
            party: Whose time zone makes the day.
            actor: Alias of who is shown the records.
            limit: Distinct records a day; None does not count.
            drafts: The events; those that name what is not shown do not count.

        Raises:
            QuotaSpent: It would be more than `limit`; nothing is written or counted.
            DatabaseError: As `Journal.append`.
        """
        shown = disclosed(drafts)
        if limit is None or not shown:
            return await self._reads.append(*drafts)
        now = self._clock.now()
        zone = await self._zone(party)
        day = now.astimezone(zone).date().isoformat()
        seen = self._remembered(actor, day)
        if shown <= seen:
            return await self._reads.append(*drafts)

        def write(tx: Tx) -> EventRef:
            if store.count(tx, day, actor, shown, limit) is None:
                raise QuotaSpent(until_midnight(now, zone))
            return [outbox.append(tx, draft) for draft in drafts][-1]

        ref = await self._reads.write(write, [Lock(LockKind.QUOTA, actor)])
        # Only now: before the commit another request must not build on it.
        seen |= shown
        return ref

    async def sweep(self) -> None:
        """Delete what was counted on days that are over, again each hour."""
        while True:
            with contextlib.suppress(DatabaseError):  # an hour later is early enough
                await self.sweep_once()
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep_once(self) -> int:
        """Delete what was counted on days that are over; return how many rows.

        Raises:
            DatabaseError: As `Journal.write`; what is left waits for the next time.
        """
        today = self._clock.now().astimezone(UTC).date()
        before = (today - timedelta(days=KEPT_DAYS)).isoformat()
        swept = 0
        while gone := await self._reads.write(lambda tx: store.sweep(tx, before)):
            swept += gone
        return swept

    async def _zone(self, party: str) -> ZoneInfo:
        known = self._zones.get(party)
        if known is None:
            known = ZoneInfo((await self._parties.party(party)).timezone)
            self._zones[party] = known
        return known

    def _remembered(self, actor: str, day: str) -> set[str]:
        """Return what this process knows the actor was shown today."""
        known = self._seen.get(actor)
        if known is not None and known[0] == day:
            return known[1]
        if sum(len(seen) for _day, seen in self._seen.values()) >= REMEMBERED:
            self._seen.clear()
        fresh: set[str] = set()
        self._seen[actor] = (day, fresh)
        return fresh


def disclosed(drafts: Sequence[EventDraft]) -> frozenset[str]:
    """Return the aliases of the records that these events say are shown."""
    found: set[str] = set()
    for draft in drafts:
        if draft.type == _ONE:
            found.add(draft.data["record"])
        elif draft.type in _MANY:
            names: Collection[str] = draft.data["records"]
            found.update(names)
    return frozenset(found)


def until_midnight(now: datetime, zone: ZoneInfo) -> int:
    """Return the seconds until the zone's next day begins; at least 1."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    begins = datetime.combine(tomorrow, time.min, tzinfo=zone).astimezone(UTC)
    return max(1, math.ceil((begins - now).total_seconds()))
