# SPDX-License-Identifier: Apache-2.0
"""What the people of a handover read of it; nobody else learns that it exists."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, TypeVar

from services.chassis.auth import Principal, PrincipalKind
from services.chassis.clock import Clock, milliseconds
from services.chassis.journal import Journal
from services.transfer.errors import CursorInvalid, HandoverNotFound
from services.transfer.handovers import store, views
from services.transfer.handovers.plans import Deal
from services.transfer.handovers.roles import Sides
from services.transfer.handovers.states import ended
from services.transfer.handovers.store import HandoverRow
from services.transfer.handovers.views import ProgressOf

T = TypeVar("T")

_CURSOR: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FOLLOW_SECONDS: Final = 0.5  # how often progress is looked at


def may_see(principal: Principal, sides: Sides) -> bool:
    """Whether the caller is an officer of one of the handover's parties."""
    return principal.kind is PrincipalKind.OFFICER and sides.includes(principal.party)


def show(
    connection: Any, row: HandoverRow, deal: Deal, progress: ProgressOf
) -> dict[str, Any]:
    """Return a handover's view, read on one connection."""
    position = store.position(connection, row.id)
    scope = store.newest_scope(connection, row.id)
    wanted = views.to_sign(row, deal, scope[1] if scope else "", position)
    return views.view(row, position, progress(connection, row.id), wanted)


class Readings:
    """Reads of handovers, each in one snapshot of the database."""

    def __init__(
        self,
        journal: Journal,
        *,
        installation: str,
        rules_not_built: Sequence[str],
        clock: Clock,
        progress: ProgressOf,
    ) -> None:
        self._journal = journal
        self._installation = installation
        self._rules_not_built = tuple(rules_not_built)
        self._clock = clock
        self._progress = progress

    async def get(self, principal: Principal, handover: str) -> dict[str, Any]:
        """Return one handover.

        Raises:
            HandoverNotFound: None that the caller may know of.
        """
        return await self._read(principal, handover, self._show)

    async def page(
        self, principal: Principal, *, before: str, state: str, limit: int
    ) -> dict[str, Any]:
        """Return a page of the caller's handovers, the newest first.

        Raises:
            CursorInvalid: `before` is no `next_cursor` of an earlier page.
            HandoverNotFound: The caller is no officer.
        """
        if before and _CURSOR.fullmatch(before) is None:
            raise CursorInvalid
        if principal.kind is not PrincipalKind.OFFICER:
            raise HandoverNotFound

        def read(connection: Any) -> dict[str, Any]:
            rows = store.of_party(
                connection,
                principal.party,
                before=before,
                state=state,
                limit=limit + 1,
            )
            more = len(rows) > limit
            return {
                "items": [self._show(connection, row) for row in rows[:limit]],
                "next_cursor": rows[limit - 1].id if more else None,
                "has_more": more,
            }

        return await self._journal.read(read)

    async def history(self, principal: Principal, handover: str) -> dict[str, Any]:
        """Return the steps of a handover, in order."""

        def read(connection: Any, row: HandoverRow) -> dict[str, Any]:
            steps = store.transitions(connection, row.id)
            return {"items": [views.step_view(step) for step in steps]}

        return await self._read(principal, handover, read)

    async def documents(self, principal: Principal, handover: str) -> dict[str, Any]:
        """Return every signed document of a handover with its envelope."""

        def read(connection: Any, row: HandoverRow) -> dict[str, Any]:
            found = store.documents(connection, row.id)
            return {"items": [views.document_view(document) for document in found]}

        return await self._read(principal, handover, read)

    async def scope(self, principal: Principal, handover: str) -> bytes:
        """Return the exact bytes of the scope on the table.

        Raises:
            HandoverNotFound: None, or no scope was proposed yet.
        """

        def read(connection: Any, row: HandoverRow) -> bytes:
            found = store.newest_scope(connection, row.id)
            if found is None:
                raise HandoverNotFound
            return found[0]

        return await self._read(principal, handover, read)

    async def plan(self, principal: Principal, handover: str) -> bytes:
        """Return the exact bytes of the plan.

        Raises:
            HandoverNotFound: None, or there is no plan now.
        """

        def read(_connection: Any, row: HandoverRow) -> bytes:
            if row.plan is None:
                raise HandoverNotFound
            return row.plan

        return await self._read(principal, handover, read)

    async def report(self, principal: Principal, handover: str) -> dict[str, Any]:
        """Return the report of a handover."""
        now_ms = milliseconds(self._clock.now())

        def read(connection: Any, row: HandoverRow) -> dict[str, Any]:
            return views.report(
                row,
                store.transitions(connection, row.id),
                store.documents(connection, row.id),
                self._progress(connection, row.id),
                self._rules_not_built,
                now_ms,
            )

        return await self._read(principal, handover, read)

    async def follow(
        self, principal: Principal, handover: str, pause: Callable[[float], Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the handover whenever it has changed, until it has ended.

        Args:
            principal: Who follows; checked at each look.
            handover: Which one.
            pause: Awaited between two looks; returns true to stop following.
        """
        last: dict[str, Any] | None = None
        while True:
            row = await self._read(principal, handover, lambda _c, found: found)
            found = await self._read(principal, handover, self._show)
            seen = {
                name: found[name]
                for name in ("id", "state", "step", "waiting_for", "fault", "progress")
            }
            if seen != last:
                last = seen
                yield seen
            if ended(row.state) or await pause(FOLLOW_SECONDS):
                return

    async def _read(
        self,
        principal: Principal,
        handover: str,
        read: Callable[[Any, HandoverRow], T],
    ) -> T:
        def checked(connection: Any) -> T:
            row = store.get(connection, handover)
            if row is None or not may_see(principal, row.sides):
                raise HandoverNotFound
            return read(connection, row)

        return await self._journal.read(checked)

    def _show(self, connection: Any, row: HandoverRow) -> dict[str, Any]:
        deal = Deal(self._installation, row.id, row.sides, row.deal_type, row.path)
        return show(connection, row, deal, self._progress)
