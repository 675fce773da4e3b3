# SPDX-License-Identifier: Apache-2.0
"""Refuses a database that is older than the log: one restored from an older copy.

In such a copy custody that has turned is the seller's again, and a revoked key lives
again. The log knows better: it holds heads that this source's own key has signed and
that the copy does not know. Nobody else can make such a head, so a lying log can stop
no source. Source: audit.md, Delivery (restores); ADR 0014.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from nacl.signing import VerifyKey
from sqlalchemy import select
from sqlalchemy.engine import Connection

from contracts.events.head import Head
from services.chassis.database import DatabaseError
from services.chassis.follower import LogUnreachable
from services.chassis.journal import Journal
from services.chassis.settings import ServiceSettings

ASK_SECONDS: Final = 1.0  # between two tries, while the log does not answer


class DatabaseRolledBack(Exception):  # noqa: N818 - a state, not a mistake
    """The log holds more of this source's events than its database does.

    Attributes:
        ends: `<lane>@<seq>` of each lane that ends earlier here than in the log.
    """

    def __init__(self, ends: Sequence[str], variable: str) -> None:
        super().__init__(
            "the database is older than the log, which holds later events under this "
            "source's own signature: it was restored from an older copy. What happened "
            "since is missing, the turn of custody and revocations among it. Restore "
            "the newest copy. If there is none, read in the log what is missing, start "
            f"once with {variable}={','.join(ends)} where nobody else can reach it, "
            "and repair it there; audit raises an alert"
        )
        self.ends = tuple(ends)


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """How far the log holds a lane.

    Attributes:
        head: The lane's last integrated event.
        signature: The source's signature over it.
        successor: The lane that follows it in its slot; empty if none is known.
    """

    head: Head
    signature: bytes = field(repr=False)
    successor: str


class LogEnds(Protocol):
    """Says how far the log holds a lane."""

    async def lane_end(self, installation: str, lane: str) -> LaneEnd | None:
        """Return a lane's end, None if the log holds nothing of it.

        Raises:
            LogUnreachable: The log does not answer.
        """


@dataclass(frozen=True, slots=True)
class _Tail:
    journal: Journal
    lane: str


class RollbackCheck:
    """Holds the ends of a source's lanes against the log, once in each life."""

    def __init__(
        self,
        journals: Iterable[Journal],
        log: LogEnds,
        *,
        accepted: Collection[str],
        variable: str,
    ) -> None:
        """Make a check.

        Args:
            journals: The journals of this process, not started yet.
            log: Where the log is asked.
            accepted: `<lane>@<seq>`: the older ends that the host accepts.
            variable: Name of the setting that accepts one, for the message.
        """
        self._journals = list(journals)
        self._log = log
        self._accepted = accepted
        self._variable = variable
        self._tails: list[_Tail] = []

    @classmethod
    def of(
        cls, settings: ServiceSettings, journals: Iterable[Journal], log: LogEnds
    ) -> RollbackCheck:
        """Return the check of a process with these settings."""
        return cls(
            journals,
            log,
            accepted=settings.accept_rollback,
            variable=settings.variable("accept_rollback"),
        )

    async def before_start(self) -> None:
        """Compare, before a new lane follows; a log that is away is asked later.

        Raises:
            DatabaseRolledBack: The database is older than the log.
            DatabaseError: The database does not answer.
        """
        # Journals that share their tables share their lanes.
        stored = {id(journal.tables): journal for journal in self._journals}
        self._tails = [
            _Tail(journal, lane)
            for journal in stored.values()
            for lane in await journal.read(_open_lanes(journal))
        ]
        try:
            await self._compare()
        except LogUnreachable:
            return

    async def run(self, stop: Callable[[str], None]) -> None:
        """Compare as soon as the log answers, and `stop` the process if it must.

        Never returns: what runs beside the requests is not expected to end.
        """
        while self._tails:
            try:
                await self._compare()
            except DatabaseRolledBack:
                stop("the database is older than the log")
                break
            except (LogUnreachable, DatabaseError):
                await asyncio.sleep(ASK_SECONDS)
        await _for_ever()

    async def _compare(self) -> None:
        older = [end for tail in self._tails for end in await self._older(tail)]
        if older:
            raise DatabaseRolledBack(older, self._variable)
        self._tails = []

    async def _older(self, tail: _Tail) -> list[str]:
        """Return the tail's end here, if the log has a later one."""
        # The log first, the database after it: the log never holds what is not
        # committed, so a lane that another process still writes is never behind it.
        end = await self._end(tail, tail.lane)
        if end is None:
            return []
        held = await tail.journal.read(_end_of(tail.journal, tail.lane))
        older = end.head.seq > held
        if not older and end.successor:
            follower = await self._end(tail, end.successor)
            known = await tail.journal.read(_end_of(tail.journal, end.successor))
            older = follower is not None and not known
        here = f"{tail.lane}@{held}"
        return [here] if older and here not in self._accepted else []

    async def _end(self, tail: _Tail, lane: str) -> LaneEnd | None:
        """Return the end of a lane, if this source has signed it."""
        source = tail.journal.source
        end = await self._log.lane_end(source.installation, lane)
        key: VerifyKey = source.key.verify_key
        if end is None or not end.head.verifies(end.signature, key):
            return None
        return end


def _open_lanes(journal: Journal) -> Callable[[Connection], list[str]]:
    """Return what reads the lanes that none follows."""
    lane = journal.tables.lane
    wanted = select(lane.c.id).where(lane.c.successor == "").order_by(lane.c.id)
    return lambda connection: list(connection.execute(wanted).scalars())


def _end_of(journal: Journal, lane_id: str) -> Callable[[Connection], int]:
    """Return what reads a lane's last number; 0 if the lane is unknown."""
    lane = journal.tables.lane
    wanted = select(lane.c.seq).where(lane.c.id == lane_id)
    return lambda connection: connection.execute(wanted).scalar() or 0


def _for_ever() -> Awaitable[bool]:
    return asyncio.Event().wait()
