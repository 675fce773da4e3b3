# SPDX-License-Identifier: Apache-2.0
"""Searching, proving, following: what callers may see of the log, and no more.

A party sees the events that concern it; the installation's own people see all. Each
search leaves an event in the log before its answer leaves this service. Everything
shown lies under the published checkpoint.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from contracts import problems
from contracts.log.proof import TlogProof
from contracts.problems import Refusal
from services.audit.errors import EventNotFound
from services.audit.log.reading import Leaf, LogReadings, sees_all
from services.audit.search import store
from services.audit.search.projection import Projection
from services.audit.search.store import Wanted
from services.audit.search.terms import terms_of
from services.chassis.auth import Principal
from services.chassis.lanes import EventRef

FRESH_SECONDS: Final = 2.0  # a search waits so long for what is published already
LOOK_SECONDS: Final = 0.25  # how often a stream looks for new leaves
STREAM_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    Attributes:
        leaves: In log order.
        following: The cursor of the next page; None at the end.
        size: How many leaves were searched: the answer is complete up to there.
        event: The search's own event.
    """

    leaves: Sequence[Leaf]
    following: str | None
    size: int
    event: EventRef


def sees(principal: Principal) -> str:
    """Return the party whose events the caller may see; empty for every party's."""
    return "" if sees_all(principal) else principal.party


class Searches:
    """Reads of the log on behalf of a caller."""

    def __init__(self, log: LogReadings, projection: Projection) -> None:
        self._log = log
        self._projection = projection

    async def find(
        self, principal: Principal, wanted: Wanted, cursor: str | None, limit: int
    ) -> Found:
        """Return a page of the events that the caller looks for and may see.

        Raises:
            Refusal: `cursor-invalid`.
            DatabaseError: The trace could not be written; nothing is shown.
        """
        first = _position(cursor)
        size = await self._projection.reached(self._log.size, FRESH_SECONDS)
        indexes = await self._projection.database.read(
            lambda c: store.find(c, wanted, first, size, limit + 1)
        )
        following = _cursor(indexes[limit]) if len(indexes) > limit else None
        page = indexes[:limit]
        leaves = await self._log.leaves(page)
        event = await self._log.trace(principal, _filters(wanted), len(leaves))
        return Found(leaves, following, size, event)

    async def event(
        self, principal: Principal, lane: str, seq: int
    ) -> tuple[Leaf, EventRef]:
        """Return one event and the event of its reading.

        Raises:
            EventNotFound: No such event, or not the caller's to see.
            DatabaseError: The trace could not be written; nothing is shown.
        """
        leaf = await self._visible(principal, lane, seq)
        return leaf, await self._log.trace(principal, ["event"], 1)

    async def proof(self, principal: Principal, lane: str, seq: int) -> TlogProof:
        """Return the proof that the log holds an event; it shows hashes only.

        Raises:
            EventNotFound: No such event, or not the caller's to see.
        """
        leaf = await self._visible(principal, lane, seq)
        published = self._log.published()
        if leaf.index >= published.checkpoint.size:
            raise EventNotFound("no checkpoint covers the event yet")
        return await asyncio.to_thread(self._log.proof, leaf.index, published)

    async def begin(self, principal: Principal, start: int | None) -> int:
        """Record that a stream begins; return the index of its first leaf.

        Args:
            principal: The caller.
            start: Index to begin at; None for what comes from now on.

        Raises:
            DatabaseError: The trace could not be written; nothing is shown.
        """
        first = self._log.size if start is None else start
        await self._log.trace(principal, ["stream"], 0)
        return first

    async def follow(
        self,
        principal: Principal,
        first: int,
        pause: Callable[[float], Awaitable[bool]],
    ) -> AsyncGenerator[Leaf, None]:
        """Yield the caller's events from an index on, as they are published.

        Args:
            principal: The caller.
            first: What `begin` returned.
            pause: Waits so many seconds; True ends the stream.
        """
        wanted = Wanted(sees=sees(principal))
        while True:
            size = self._projection.size
            if size <= first:
                if await pause(LOOK_SECONDS):
                    return
                continue
            find = partial(
                store.find, wanted=wanted, first=first, end=size, limit=STREAM_PAGE
            )
            indexes = await self._projection.database.read(find)
            for leaf in await self._log.leaves(indexes):
                yield leaf
            # A full page may have more behind it; else all below `size` was seen.
            first = indexes[-1] + 1 if len(indexes) == STREAM_PAGE else size

    async def _visible(self, principal: Principal, lane: str, seq: int) -> Leaf:
        leaf = await self._log.leaf(lane, seq)
        party = sees(principal)
        if party and party not in terms_of(leaf.event).parties:
            raise EventNotFound("not the caller's to see")
        return leaf


def _filters(wanted: Wanted) -> list[str]:
    """Name the filters used, never their values."""
    used = {
        "party": wanted.party,
        "handover": wanted.handover,
        "alias": wanted.alias,
        "actor": wanted.actor,
        "type": wanted.type,
        "from": wanted.since is not None,
        "to": wanted.until is not None,
    }
    return [name for name, value in used.items() if value]


def _cursor(index: int) -> str:
    return base64.urlsafe_b64encode(f"leaf:{index}".encode()).rstrip(b"=").decode()


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        kind, _, digits = base64.urlsafe_b64decode(padded).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Refusal(problems.CURSOR_INVALID) from None
    if kind != "leaf" or not digits.isascii() or not digits.isdigit():
        raise Refusal(problems.CURSOR_INVALID)
    if len(digits) > 15 or _cursor(int(digits)) != cursor:
        raise Refusal(problems.CURSOR_INVALID)
    return int(digits)
