# SPDX-License-Identifier: Apache-2.0
"""The mandate room: plan, freeze, decision, mandate, batches, turn, and every end.

Each method is one step with its events. The room believes people's signatures and the
vault's own facts, never whoever carries them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from services.chassis.auth import Principal
from services.chassis.clock import milliseconds
from services.chassis.lanes import EventRef
from services.vault.custody import handover as custody
from services.vault.custody.handover import Collision, Scope
from services.vault.custody.state import ScopeState, TurnState
from services.vault.mandate import (
    backups,
    batches,
    collisions,
    ending,
    freezing,
    plans,
    releasing,
    settling,
    store,
    turning,
    verifying,
    viewing,
)
from services.vault.mandate.collisions import Choice
from services.vault.mandate.errands import Errands
from services.vault.mandate.ground import Ground
from services.vault.mandate.store import StoredBatch

WATCH_SECONDS: Final = 1.0
Envelopes = Sequence[Mapping[str, Any]]


class Mandates:
    """The mandate room."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._errands = Errands()

    # --- steps ---------------------------------------------------------------------

    async def lodge(
        self, principal: Principal, handover: str, raw: bytes
    ) -> plans.Lodged:
        """Lodge a plan; see `plans.lodge`."""
        return await plans.lodge(self._ground, principal, handover, raw)

    async def freeze(
        self, principal: Principal, handover: str, approvals: Envelopes
    ) -> Scope:
        """Raise the freeze flag and begin to decide; see `freezing.freeze`."""
        scope = await freezing.freeze(self._ground, principal, handover, approvals)
        if scope.state is ScopeState.DECIDING:
            self._decide(handover)
        return scope

    async def back_up(self, principal: Principal, handover: str) -> str:
        """Begin a backup and its drill; see `backups.begin`."""
        state = await backups.begin(self._ground, principal, handover)
        if state == backups.RUNNING:
            self._back_up(handover)
        return state

    async def accept(
        self,
        principal: Principal,
        handover: str,
        approvals: Envelopes,
        releases: Envelopes,
    ) -> EventRef | None:
        """Accept the mandate; see `releasing.accept`."""
        return await releasing.accept(
            self._ground, principal, handover, approvals, releases
        )

    async def execute(
        self, principal: Principal, handover: str, n: int, digest: str
    ) -> batches.BatchResult:
        """Execute or replay a batch; see `batches.execute`."""
        return await batches.execute(self._ground, principal, handover, n, digest)

    async def verify(
        self, principal: Principal, handover: str, n: int
    ) -> verifying.Verified:
        """Verify a batch; see `verifying.verify`."""
        return await verifying.verify(self._ground, principal, handover, n)

    async def turn(self, principal: Principal, handover: str) -> turning.Turned:
        """Turn custody, and begin to settle; see `turning.turn`."""
        turned = await turning.turn(self._ground, principal, handover)
        self._settle(handover)
        return turned

    async def settle(
        self, principal: Principal, handover: str, position: int, choice: Choice
    ) -> collisions.Settled:
        """Settle one collision; see `collisions.settle`."""
        return await collisions.settle(
            self._ground, principal, handover, position, choice
        )

    async def end(self, principal: Principal, handover: str, state: TurnState) -> str:
        """Cancel, revoke or thaw, and begin to clear; see `ending.end`."""
        found = await ending.end(self._ground, principal, handover, state)
        self._clear(handover)
        return found

    # --- views ---------------------------------------------------------------------

    async def status(self, principal: Principal, handover: str) -> viewing.Status:
        """Return where a handover stands; see `viewing.status`."""
        return await viewing.status(self._ground, principal, handover)

    async def decision(self, principal: Principal, handover: str) -> viewing.Decided:
        """Return counts and root; see `viewing.decision`."""
        return await viewing.decision(self._ground, principal, handover)

    async def rows(
        self, principal: Principal, handover: str, after: int, limit: int
    ) -> list[viewing.ShownRow]:
        """Return rows to the entitled; see `viewing.rows`."""
        return await viewing.rows(self._ground, principal, handover, after, limit)

    async def batches(
        self, principal: Principal, handover: str, after: int, limit: int
    ) -> Sequence[StoredBatch]:
        """Return batches; see `viewing.batches`."""
        return await viewing.batches(self._ground, principal, handover, after, limit)

    async def collisions(
        self, principal: Principal, handover: str, after: int, limit: int
    ) -> Sequence[Collision]:
        """Return collisions to the buyer; see `collisions.collisions`."""
        return await collisions.collisions(
            self._ground, principal, handover, after, limit
        )

    @property
    def installation(self) -> str:
        """The installation's id, as a decision names it."""
        return self._ground.installation

    # --- what goes on behind ---------------------------------------------------------

    async def resume(self) -> None:
        """Go on with everything that an earlier process left unfinished."""
        deciding, running, unsettled = await self._ground.changes.read(
            lambda c: (
                custody.scopes_in(c, ScopeState.DECIDING),
                store.running_backups(c),
                custody.running_settlements(c),
            )
        )
        for scope in deciding:
            self._decide(scope.handover)
        for handover in running:
            self._back_up(handover)
        for handover in unsettled:
            self._settle(handover)
        for handover in await ending.uncleared(self._ground):
            self._clear(handover)

    async def thaw_expired(self) -> list[str]:
        """Thaw the scopes whose time is up; return their handovers."""
        now = milliseconds(self._ground.clock.now())
        due = await self._ground.changes.read(lambda c: custody.expired_scopes(c, now))
        for scope in due:
            await ending.end(self._ground, None, scope.handover, TurnState.THAWED)
            self._clear(scope.handover)
        return [scope.handover for scope in due]

    async def watch(self) -> None:
        """Thaw what expires, for as long as the process runs."""
        while True:
            self._errands.start("thaw", self._thaw)
            await asyncio.sleep(WATCH_SECONDS)

    async def settled(self) -> None:
        """Wait until nothing of this room goes on behind; for tests and drains."""
        await self._errands.settled()

    async def close(self) -> None:
        """Stop what goes on behind; `resume` continues it."""
        await self._errands.stop()

    async def _thaw(self) -> None:
        await self.thaw_expired()

    def _decide(self, handover: str) -> None:
        self._start("decide", handover, freezing.decide_all)

    def _back_up(self, handover: str) -> None:
        self._start("back_up", handover, backups.make)

    def _clear(self, handover: str) -> None:
        self._start("clear", handover, ending.clear)

    def _settle(self, handover: str) -> None:
        self._start("settle", handover, settling.settle_all)

    def _start(
        self, what: str, handover: str, work: Callable[[Ground, str], Awaitable[None]]
    ) -> None:
        self._errands.start(f"{what}/{handover}", lambda: work(self._ground, handover))
