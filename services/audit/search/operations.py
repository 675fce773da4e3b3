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
from contracts.problems import Fault, Refusal
from services.audit.errors import LeafNotFound
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
OLDEST, NEWEST = "leaf", "newest"  # a cursor belongs to its order


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    Attributes:
        leaves: In log order, or the newest first.
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
        self,
        principal: Principal,
        wanted: Wanted,
        cursor: str | None,
        limit: int,
        *,
        newest: bool = False,
    ) -> Found:
        """Return a page of the events that the caller looks for and may see.

        Args:
            principal: The caller.
            wanted: What is looked for.
            cursor: `following` of the page before, in the same order.
            limit: Most events of a page.
            newest: Whether the newest come first.

        Raises:
            Refusal: `cursor-invalid`, or `validation`: the log tells this caller
                nothing at all of the other party asked for.
            DatabaseError: The trace could not be written; nothing is shown.
        """
        kind = NEWEST if newest else OLDEST
        position = None if cursor is None else _position(cursor, kind)
        size = await self._projection.reached(self._log.size, FRESH_SECONDS)
        first, end = position or 0, size
        if newest and position is not None:
            first, end = 0, min(size, position + 1)
        find = partial(store.find, wanted=wanted, first=first, end=end, limit=limit + 1)
        indexes = await self._projection.database.read(partial(find, newest=newest))
        if not indexes:
            await self._require_heard_of(wanted, size)
        following = _cursor(indexes[limit], kind) if len(indexes) > limit else None
        page = indexes[:limit]
        leaves = await self._log.leaves(page)
        if newest:
            leaves.reverse()
        event = await self._log.trace(principal, _filters(wanted), len(leaves))
        return Found(leaves, following, size, event)

    async def event(
        self, principal: Principal, lane: str, seq: int
    ) -> tuple[Leaf, EventRef]:
        """Return one event and the event of its reading.

        Raises:
            LeafNotFound: No such event, or not the caller's to see.
            DatabaseError: The trace could not be written; nothing is shown.
        """
        leaf = await self._visible(principal, lane, seq)
        return leaf, await self._log.trace(principal, ["event"], 1)

    async def proof(self, principal: Principal, lane: str, seq: int) -> TlogProof:
        """Return the proof that the log holds an event; it shows hashes only.

        Raises:
            LeafNotFound: No such event, or not the caller's to see.
        """
        leaf = await self._visible(principal, lane, seq)
        published = self._log.published()
        if leaf.index >= published.checkpoint.size:
            raise LeafNotFound("no checkpoint covers the event yet")
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

    async def _require_heard_of(self, wanted: Wanted, size: int) -> None:
        """Refuse a party of which the caller sees no event: foreign, or a slip."""
        if wanted.party in {"", wanted.sees}:
            return
        any_ = Wanted(sees=wanted.sees, party=wanted.party)
        find = partial(store.find, wanted=any_, first=0, end=size, limit=1)
        if not await self._projection.database.read(find):
            text = "is no party of any event that you may see"
            fault = Fault("/party", "unknown_party", text, "query")
            raise Refusal(problems.VALIDATION, faults=[fault])

    async def _visible(self, principal: Principal, lane: str, seq: int) -> Leaf:
        leaf = await self._log.leaf(lane, seq)
        party = sees(principal)
        if party and party not in terms_of(leaf.event).parties:
            raise LeafNotFound("not the caller's to see")
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


def _cursor(index: int, kind: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{index}".encode()).rstrip(b"=").decode()


def _position(cursor: str, wanted: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        kind, _, digits = base64.urlsafe_b64decode(padded).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Refusal(problems.CURSOR_INVALID) from None
    if kind != wanted or not digits.isascii() or not digits.isdigit():
        raise Refusal(problems.CURSOR_INVALID)
    if len(digits) > 15 or _cursor(int(digits), kind) != cursor:
        raise Refusal(problems.CURSOR_INVALID)
    return int(digits)
