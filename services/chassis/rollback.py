# SPDX-License-Identifier: Apache-2.0
"""Refuses a database that is older than the log: one restored from an older copy.

In such a copy custody that has turned is the seller's again, and a revoked key lives
again. The log knows better: it holds heads that this source's own key has signed and
that the copy does not know. Nobody else can make such a head, so a lying log can stop
no source. Source: audit.md, Delivery (restores); ADR 0014.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sqlalchemy import or_, select
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
        missing: `<lane>@<seq>:<lane>@<seq>` each: where a lane ends here, and what the
            log holds beyond, of it or of a lane that follows it.
    """

    def __init__(self, missing: Sequence[str], variable: str) -> None:
        super().__init__(
            "the database is older than the log, which holds later events under this "
            "source's own signature: it was restored from an older copy. What happened "
            "since is missing, the turn of custody and revocations among it. Restore "
            "the newest copy. If there is none, read in the log what is missing, start "
            f"with {variable}={','.join(missing)} where nobody else can reach it, "
            "and repair it there; audit raises an alert"
        )
        self.missing = tuple(missing)


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """How far the log holds a lane.

    Attributes:
        head: The lane's last integrated event.
        signature: The source's signature over it.
        followers: Lanes that, as the log says, follow it in its slot.
    """

    head: Head
    signature: bytes = field(repr=False)
    followers: Sequence[str] = ()


class LogEnds(Protocol):
    """Says how far the log holds a lane."""

    async def lane_end(self, installation: str, lane: str) -> LaneEnd | None:
        """Return a lane's end, None if the log holds nothing of it.

        Raises:
            LogUnreachable: The log does not answer.
        """


class RollbackCheck:
    """Holds the ends of a source's lanes against the log, once in each life.

    Receipts are written after it alone, so a lane without any was never held against
    the log, however often its database was started since.
    """

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
            journals: All journals of this process, not started yet.
            log: Where the log is asked.
            accepted: The losses that the host accepts, as the refusal names them.
            variable: Name of the setting that accepts them, for the message.
        """
        # Journals that share their tables share their lanes.
        stored = {id(journal.tables): journal for journal in journals}
        self._journals = list(stored.values())
        self._log = log
        self._accepted = accepted
        self._variable = variable
        self._lanes: list[tuple[Journal, str]] = []
        self._passed = asyncio.Event()

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
        self._lanes = [
            (journal, lane)
            for journal in self._journals
            for lane in await journal.read(_unsure_lanes(journal))
        ]
        try:
            await self._compare()
        except LogUnreachable:
            return

    @property
    def has_passed(self) -> bool:
        """Whether the log has answered, and the database is not older."""
        return self._passed.is_set()

    async def passed(self) -> None:
        """Return once the log has answered, and the database is not older."""
        await self._passed.wait()

    async def run(self, stop: Callable[[str], None]) -> None:
        """Compare as soon as the log answers, and `stop` the process if it must.

        Never returns: what runs beside the requests is not expected to end.
        """
        while not self._passed.is_set():
            try:
                await self._compare()
            except DatabaseRolledBack:
                stop("the database is older than the log")
                break
            except (LogUnreachable, DatabaseError):
                await asyncio.sleep(ASK_SECONDS)
        await asyncio.Event().wait()

    async def _compare(self) -> None:
        missing = [
            what
            for journal, lane in self._lanes
            for what in await self._missing(journal, lane)
        ]
        if missing:
            raise DatabaseRolledBack(missing, self._variable)
        self._passed.set()

    async def _missing(self, journal: Journal, lane: str) -> list[str]:
        """Return what the log holds beyond a lane's end here, unless accepted.

        The log is asked first and the database after it: the log never holds what is
        not committed, so a lane that another process still writes is never behind it.
        """
        end = await self._signed_end(journal, lane)
        if end is None:
            return []
        beyond = [end.head] if end.head.seq > await _end_here(journal, lane) else []
        for follower in end.followers:
            theirs = await self._signed_end(journal, follower)
            known = [j for j in self._journals if await _end_here(j, follower)]
            if theirs is not None and not known:
                beyond.append(theirs.head)
        here = await _end_here(journal, lane)
        named = [f"{lane}@{here}:{head.lane}@{head.seq}" for head in beyond]
        return [what for what in named if what not in self._accepted]

    async def _signed_end(self, journal: Journal, lane: str) -> LaneEnd | None:
        """Return the end of a lane, if this source has signed it."""
        source = journal.source
        end = await self._log.lane_end(source.installation, lane)
        if end is None or not end.head.verifies(end.signature, source.key.verify_key):
            return None
        return end


def _unsure_lanes(journal: Journal) -> Callable[[Connection], list[str]]:
    """Return what reads the lanes that a loss could show at.

    Those that none follows, those that were never held against the log, and those
    that one of these follows.
    """
    lane = journal.tables.lane
    never = select(lane.c.id).where(lane.c.receipted_seq == 0)
    wanted = select(lane.c.id).where(
        or_(
            lane.c.successor == "",
            lane.c.receipted_seq == 0,
            lane.c.successor.in_(never),
        )
    )
    ordered = wanted.order_by(lane.c.id)
    return lambda connection: list(connection.execute(ordered).scalars())


async def _end_here(journal: Journal, lane_id: str) -> int:
    """Return a lane's last number in the database; 0 if the lane is unknown."""
    lane = journal.tables.lane
    wanted = select(lane.c.seq).where(lane.c.id == lane_id)
    return await journal.read(lambda c: c.execute(wanted).scalar() or 0)
