# SPDX-License-Identifier: Apache-2.0
"""The driver: brings a handover's next system step to the vault and writes it down.

Resumable by construction: what is owed stands in the row, each call is idempotent at
the vault, and the vault is asked first how far it is. A crash before or after a call
leaves a handover that the next look takes up again.
"""

from __future__ import annotations

from typing import Final, assert_never

import stamina

from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.telemetry import logger
from services.transfer.errors import (
    StaleHandover,
    VaultMalformed,
    VaultMismatch,
    VaultRefused,
    VaultUnavailable,
)
from services.transfer.execution.operations import Executions
from services.transfer.execution.reconciliation import checked_summary
from services.transfer.handovers import HandoverRow, Kind, VaultStep
from services.transfer.vault_client import Custody, VaultClient

POLL_SECONDS: Final = 0.3  # the vault is at work
FAULT_SECONDS: Final = 15.0  # the vault refused: people have to do something first
AWAY_SECONDS: Final = 2.0  # the vault did not answer


class Driver:
    """Drives the steps that the vault owes, one handover at a time."""

    def __init__(
        self,
        executions: Executions,
        vault: VaultClient,
        worker: str,
        lease_seconds: float,
    ) -> None:
        self._executions = executions
        self._vault = vault
        self._worker = worker
        self._lease_seconds = lease_seconds

    async def drive(self, row: HandoverRow, step: VaultStep) -> bool:
        """Bring one step as far as it goes now; whether it was this worker's.

        The vault's refusals and silence are written into the row and tried again
        later; they never end the worker.
        """
        # The lease only saves work: should two drive one step, the vault answers both
        # alike and the compare-and-swap lets one write it.
        if not await self._executions.take(row, self._worker, self._lease_seconds):
            return False
        try:
            await self._step(row, step)
        except StaleHandover:
            logger().info("handover.moved", handover=row.id)
        except VaultUnavailable:
            await self._executions.hold(row, AWAY_SECONDS, "vault-unavailable")
        except VaultMalformed:
            await self._executions.hold(row, FAULT_SECONDS, "vault-malformed")
        except VaultMismatch as mismatch:
            await self._dispute(row, step, mismatch.what)
        except VaultRefused as refused:
            fault = refused.reason or refused.code
            await self._executions.hold(row, FAULT_SECONDS, fault)
        return True

    async def _dispute(self, row: HandoverRow, step: VaultStep, what: str) -> None:
        if step is VaultStep.FREEZE:
            await self._executions.dispute(row, what)
        else:
            await self._executions.hold(row, FAULT_SECONDS, what)

    async def _step(self, row: HandoverRow, step: VaultStep) -> None:
        match step:
            case VaultStep.FREEZE:
                await self._freeze(row)
            case VaultStep.BACKUP:
                await self._back_up(row)
            case VaultStep.MANDATE:
                await self._mandate(row)
            case VaultStep.TURN:
                await self._turn(row)
            case VaultStep.CANCEL:
                await self._cancel(row)
            case VaultStep.EXECUTE | VaultStep.VERIFY:
                raise AssertionError  # the worker's, batch by batch
            case _ as never:
                assert_never(never)

    async def _freeze(self, row: HandoverRow) -> None:
        custody = await self._look(row)
        if custody is None or (
            custody.state == "planned" and custody.plan_hash != row.plan_hash
        ):
            CRASH_POINTS.reach("transfer.advance.before_vault")
            assert row.plan is not None
            if await self._vault.lodge_plan(row.id, row.plan) != row.plan_hash:
                raise VaultMismatch("plan-hash")
            custody = await self._look(row)
        if custody is None or custody.state == "planned":
            approvals = await self._executions.envelopes(row.id, Kind.APPROVAL)
            await self._vault.freeze(row.id, approvals)
            CRASH_POINTS.reach("transfer.advance.after_vault")
            await self._wait(row)
        elif custody.state == "deciding":
            await self._wait(row)
        elif custody.state == "decided":
            await self._frozen(row, custody)
        else:
            raise _over(custody)

    async def _frozen(self, row: HandoverRow, custody: Custody) -> None:
        decision = await self._vault.decision(row.id)
        summary = checked_summary(decision, custody, row.plan_hash)
        await self._executions.frozen(row, decision, summary)

    async def _back_up(self, row: HandoverRow) -> None:
        custody = await self._must(row, {"decided"})
        backup = custody.backup
        if backup is not None and backup.drill == "passed":
            await self._executions.backed_up(row, backup)
        elif backup is not None and backup.state == "running":
            await self._executions.hold(row, POLL_SECONDS, "backup-running")
        elif backup is not None and backup.drill == "failed" and row.fault != "":
            # Tried and failed: the operator must ask again, which clears the fault.
            await self._executions.hold(row, FAULT_SECONDS, "backup-failed")
        else:
            CRASH_POINTS.reach("transfer.advance.before_vault")
            await self._vault.back_up(row.id)
            CRASH_POINTS.reach("transfer.advance.after_vault")
            await self._executions.hold(row, POLL_SECONDS, "backup-running")

    async def _mandate(self, row: HandoverRow) -> None:
        custody = await self._must(row, {"decided", "mandated"})
        if custody.state == "decided":
            approvals = await self._executions.envelopes(row.id, Kind.APPROVAL)
            releases = await self._executions.envelopes(row.id, Kind.RELEASE)
            CRASH_POINTS.reach("transfer.advance.before_vault")
            await self._vault.mandate(row.id, approvals, releases)
            CRASH_POINTS.reach("transfer.advance.after_vault")
        items = [item async for page in self._vault.batches(row.id) for item in page]
        await self._executions.mandated(row, items)

    async def _turn(self, row: HandoverRow) -> None:
        CRASH_POINTS.reach("transfer.advance.before_vault")
        turned = await self._vault.turn(row.id)
        CRASH_POINTS.reach("transfer.advance.after_vault")
        await self._executions.turned(row, turned)

    async def _cancel(self, row: HandoverRow) -> None:
        custody = await self._look(row)
        if custody is None or custody.state == "cancelled":
            await self._executions.withdrawn(row)
        elif custody.state == "turned":
            await self._executions.turned(row, await self._vault.turn(row.id))
        elif custody.state == "cancelling":
            await self._wait(row)
        else:
            CRASH_POINTS.reach("transfer.advance.before_vault")
            await self._vault.cancel(row.id)
            CRASH_POINTS.reach("transfer.advance.after_vault")
            await self._wait(row)

    async def _must(self, row: HandoverRow, states: set[str]) -> Custody:
        custody = await self._look(row)
        if custody is None:
            raise VaultRefused("vault-lost", 404)
        if custody.state not in states:
            raise _over(custody)
        return custody

    async def _look(self, row: HandoverRow) -> Custody | None:
        async for attempt in stamina.retry_context(
            on=VaultUnavailable, attempts=3, wait_initial=0.1, wait_max=1.0
        ):
            with attempt:
                return await self._vault.custody(row.id)
        raise AssertionError

    async def _wait(self, row: HandoverRow) -> None:
        await self._executions.hold(row, POLL_SECONDS)


def _over(custody: Custody) -> VaultRefused:
    """Return the refusal for a vault that has left the way: people must cancel."""
    return VaultRefused(f"vault-{custody.state}", 409)
