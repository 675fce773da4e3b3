# SPDX-License-Identifier: Apache-2.0
"""The worker: looks for what the system owes, and does it, batch by batch.

Any number of workers may run, on any number of machines; leases in the database keep
them apart. Killed anywhere, a worker loses and doubles nothing: its lease runs out,
and the vault replays the stored result of a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import DatabaseError
from services.chassis.telemetry import describe, logger
from services.transfer.errors import (
    StaleHandover,
    VaultError,
    VaultRefused,
    VaultUnavailable,
)
from services.transfer.execution import store
from services.transfer.execution.driver import Driver
from services.transfer.execution.operations import Executions
from services.transfer.execution.store import Leased
from services.transfer.handovers import HandoverRow, State, VaultStep
from services.transfer.vault_client import VaultClient

T = TypeVar("T")

IDLE_SECONDS: Final = 0.2  # between two looks when nothing is owed
REFUSED_SECONDS: Final = 15.0  # a batch that the vault refused is free again after
AWAY_SECONDS: Final = 1.0  # a batch that the vault did not answer for

#: Refusals that no repetition can mend: the batch is not what was signed.
DISPUTING: Final = frozenset({"batch-digest-mismatch", "verification-failed"})

_BATCHES: Final = frozenset({VaultStep.EXECUTE, VaultStep.VERIFY})


class Worker:
    """Executes and verifies batches, and drives the steps around them."""

    def __init__(
        self,
        executions: Executions,
        vault: VaultClient,
        *,
        name: str,
        lease_seconds: float,
        parallel: int,
    ) -> None:
        """Make a worker.

        Args:
            executions: The room's writes.
            vault: The vault.
            name: Written into leases; unique among running workers.
            lease_seconds: A batch is taken over by another worker after this long.
            parallel: Batches in flight at once.
        """
        self._executions = executions
        self._vault = vault
        self._driver = Driver(executions, vault, name, lease_seconds)
        self._name = name
        self._lease_seconds = lease_seconds
        self._parallel = parallel

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; batches in flight are finished first."""
        await self._executions.resume(self._name)
        while not stopping.is_set():
            try:
                worked = await self.look(stopping)
            except DatabaseError as exc:
                logger().warning("worker.waits", **describe(exc))
                worked = False
            if not worked:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), IDLE_SECONDS)

    async def look(self, stopping: asyncio.Event | None = None) -> bool:
        """Do once what is owed now; whether there was anything to do."""
        await self._expire()
        worked = False
        for row, step in await self._executions.owed():
            if step in _BATCHES:
                worked |= await self._batches(row, stopping or asyncio.Event())
            else:
                worked |= await self._driver.drive(row, step)
        return worked

    async def _expire(self) -> None:
        with contextlib.suppress(StaleHandover):  # somebody acted just now
            await self._executions.expire()

    async def _batches(self, row: HandoverRow, stopping: asyncio.Event) -> bool:
        """Work through a handover's batches, then move it on."""
        runners = [self._runner(row, stopping) for _ in range(self._parallel)]
        done = sum(await asyncio.gather(*runners))
        try:
            moved = await self._executions.finish(row)
        except StaleHandover:
            moved = False
        return moved or done > 0

    async def _runner(self, row: HandoverRow, stopping: asyncio.Event) -> int:
        """Lease, do, store, until nothing is free; how many batches came through."""
        executing = row.state is State.EXECUTING
        wanted = store.WAITING if executing else store.EXECUTED
        work = self._execute if executing else self._verify
        done = 0
        while not stopping.is_set():
            leased = await self._executions.lease(
                row.id, wanted, self._name, self._lease_seconds
            )
            if leased is None or not await self._guarded(row, leased, work):
                break
            done += 1
        return done

    async def _guarded(
        self,
        row: HandoverRow,
        leased: Leased,
        work: Callable[[HandoverRow, Leased], Awaitable[None]],
    ) -> bool:
        """Do one batch; whether it is worth going on with the next."""
        try:
            await work(row, leased)
        except VaultRefused as refused:
            if refused.code in DISPUTING:
                with contextlib.suppress(StaleHandover):
                    await self._executions.fail(row, leased, refused.code)
                return False
            fault = refused.reason or refused.code
            await self._give_back(leased, fault, REFUSED_SECONDS)
            await self._executions.hold(row, REFUSED_SECONDS, fault)
            return False
        except VaultError as exc:
            logger().warning("batch.put_back", **describe(exc))
            await self._give_back(leased, "vault-unavailable", AWAY_SECONDS)
            return False
        return True

    async def _give_back(self, leased: Leased, fault: str, seconds: float) -> None:
        await self._executions.put_back(leased, self._name, fault, seconds)

    async def _execute(self, row: HandoverRow, leased: Leased) -> None:
        result = await _patiently(
            lambda: self._vault.execute(row.id, leased.n, leased.digest)
        )
        CRASH_POINTS.reach("transfer.batch.after_execute")
        if result.n != leased.n or result.digest != leased.digest:
            raise VaultRefused("batch-digest-mismatch", 409)
        await self._executions.executed(leased, result)

    async def _verify(self, row: HandoverRow, leased: Leased) -> None:
        result = await _patiently(lambda: self._vault.verify(row.id, leased.n))
        if result.n != leased.n or result.folios > leased.moved:
            raise VaultRefused("verification-failed", 409)
        await self._executions.verified(row, leased)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call the vault again while it is away; its refusals are final.

    Raises:
        VaultUnavailable: It stayed away.
    """
    async for attempt in stamina.retry_context(
        on=VaultUnavailable, attempts=5, timeout=20.0, wait_initial=0.1, wait_max=2.0
    ):
        with attempt:
            return await call()
    raise AssertionError
