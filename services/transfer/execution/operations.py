# SPDX-License-Identifier: Apache-2.0
"""Execution: what the system does by itself, each part one transaction.

Owns the writing of what the vault has done. Calls no vault (`driver` and `worker`
do): every method here may run twice with the same answer and changes things once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from contracts.custody.decision import DecisionSummary
from contracts.events.envelope import canonical_json
from contracts.events.transfer import BatchReconciled
from services.chassis import outbox
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import Tx
from services.chassis.journal import Journal
from services.transfer.execution import store
from services.transfer.execution.reconciliation import adds_up
from services.transfer.execution.store import Leased
from services.transfer.handovers import (
    Event,
    HandoverRow,
    Kind,
    State,
    VaultStep,
    counting_documents,
    hold_drive,
    idle_in_states,
    lease_drive,
    next_vault_step,
    position_of,
    release_drives,
    stored_handover,
    system_step,
)
from services.transfer.vault_client import Backup, BatchItem, Decision, Executed, Turned

#: States in which the system may owe a step; the position says whether it does.
_DRIVEN: Final = (
    State.FREEZE,
    State.BACKUP,
    State.AWAIT_RELEASE,
    State.EXECUTING,
    State.VERIFY,
    State.RECONCILED,
    State.CANCELLING,
)
_EXPIRING: Final = (State.REVIEW, State.APPROVAL)


class Executions:
    """The room of execution."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    # --- what is to be done ------------------------------------------------------

    async def owed(self) -> list[tuple[HandoverRow, VaultStep]]:
        """Return each handover that the system owes a step, and which.

        Those whose step another worker holds, or that waits, are left out.
        """
        now = milliseconds(self._clock.now())

        def read(connection: Any) -> list[tuple[HandoverRow, VaultStep]]:
            found: list[tuple[HandoverRow, VaultStep]] = []
            for row in idle_in_states(connection, _DRIVEN, now):
                step = next_vault_step(position_of(connection, row.id))
                if step is not None:
                    found.append((row, step))
            return found

        return await self._journal.read(read)

    async def take(self, row: HandoverRow, worker: str, seconds: float) -> bool:
        """Lease the system's step of a handover; whether it was to be had."""
        return await self._journal.write(
            lambda tx: lease_drive(
                tx, row.id, worker, _now(tx), _now(tx) + _ms(seconds)
            )
        )

    async def resume(self, worker: str) -> None:
        """Free what an earlier process of this name held when it died.

        Its slot is this process's now, so nobody else works under the name.
        """

        def write(tx: Tx) -> None:
            release_drives(tx, worker)
            store.release(tx, worker)

        await self._journal.write(write)

    async def hold(self, row: HandoverRow, seconds: float, fault: str = "") -> None:
        """Try the system's step again after a while; `fault` says what stopped it."""
        await self._journal.write(
            lambda tx: hold_drive(tx, row, _now(tx) + _ms(seconds), fault[:64])
        )

    async def envelopes(self, handover: str, kind: Kind) -> list[dict[str, Any]]:
        """Return the signed envelopes of a kind that count."""
        rows = await self._journal.read(lambda c: counting_documents(c, handover, kind))
        return [json.loads(row.envelope) for row in rows]

    async def expire(self) -> None:
        """Let plans lapse whose end has come before they were approved."""
        now = milliseconds(self._clock.now())
        rows = await self._journal.read(lambda c: idle_in_states(c, _EXPIRING, now))
        for row in rows:
            if row.plan_expires_at is not None and row.plan_expires_at <= now:
                await self._step(row, Event.EXPIRE)

    # --- what the vault has done ---------------------------------------------------

    async def frozen(
        self, row: HandoverRow, decision: Decision, summary: DecisionSummary
    ) -> None:
        """Write the frozen decision that both compliance officers will sign."""
        kept = {"counts": summary.counts(), "groups": decision.counts}
        await self._step(
            row,
            Event.FROZEN,
            {
                "snapshot_id": decision.snapshot_id,
                "as_of": decision.as_of,
                "decision_root": decision.decision_root,
                "decision": canonical_json(kept).decode(),
            },
        )

    async def backed_up(self, row: HandoverRow, backup: Backup) -> None:
        """Write that the backup was made and its drill passed."""
        kept = canonical_json(backup.model_dump(mode="json")).decode()
        await self._step(row, Event.BACKED_UP, {"backup": kept})

    async def mandated(self, row: HandoverRow, items: Sequence[BatchItem]) -> None:
        """Write that the vault accepted the mandate, and its batches beside it."""

        def write(tx: Tx) -> None:
            system_step(tx, row, Event.MANDATED)
            store.add(tx, row.id, items)

        await self._journal.write(write)

    async def turned(self, row: HandoverRow, turned: Turned) -> None:
        """Write that custody has turned; a dispute follows if counts do not add up."""
        frozen = json.loads(row.decision)["counts"]
        kept = canonical_json(turned.model_dump(mode="json")).decode()

        def write(tx: Tx) -> None:
            system_step(tx, row, Event.TURNED, changes={"turned": kept})
            if not adds_up(frozen, turned.counts):
                now = stored_handover(tx, row.id)
                assert now is not None
                system_step(tx, now, Event.DISPUTE, reason="counts")

        await self._journal.write(write)

    async def withdrawn(self, row: HandoverRow) -> None:
        """Write that nothing of the handover is left at the vault."""
        await self._step(row, Event.WITHDRAWN)

    async def dispute(self, row: HandoverRow, reason: str) -> None:
        """Stop the handover: what the vault says and what was signed differ."""
        await self._step(row, Event.DISPUTE, reason=reason)

    async def _step(
        self,
        row: HandoverRow,
        event: Event,
        changes: dict[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        await self._journal.write(
            lambda tx: system_step(tx, row, event, reason=reason, changes=changes)
        )

    # --- batches -------------------------------------------------------------------

    async def lease(
        self, handover: str, state: str, worker: str, seconds: float
    ) -> Leased | None:
        """Lease the next batch in a state; None if all are held or done."""
        return await self._journal.write(
            lambda tx: store.lease(tx, handover, state, worker, _ms(seconds))
        )

    async def executed(self, leased: Leased, result: Executed) -> None:
        """Store the vault's result of a batch; the second time changes nothing."""
        await self._journal.write(lambda tx: store.set_executed(tx, leased, result))

    async def verified(self, row: HandoverRow, leased: Leased) -> None:
        """Store that a batch was verified, with its one event.

        The event names the seller only: a stream of batches would tell the buyer
        early how large the seller's business is.
        """

        def write(tx: Tx) -> None:
            if store.set_verified(tx, leased):
                outbox.append(
                    tx,
                    BatchReconciled(
                        handover=row.id,
                        n=leased.n,
                        digest=leased.digest,
                        folios=leased.moved,
                        dropped=leased.dropped,
                    ).draft(row.seller),
                )

        await self._journal.write(write)

    async def put_back(
        self, leased: Leased, worker: str, fault: str, seconds: float
    ) -> None:
        """Give a batch up for a while."""
        await self._journal.write(
            lambda tx: store.put_back(tx, leased, worker, fault[:64], _ms(seconds))
        )

    async def fail(self, row: HandoverRow, leased: Leased, fault: str) -> None:
        """Mark a batch failed and dispute its handover, in one transaction."""

        def write(tx: Tx) -> None:
            store.set_failed(tx, leased, fault[:64])
            system_step(tx, row, Event.DISPUTE, reason=fault[:64])

        await self._journal.write(write)

    async def finish(self, row: HandoverRow) -> bool:
        """Move on if no batch is left in this state; whether it did.

        Raises:
            StaleHandover: Another worker did, or people moved the handover.
        """
        executing = row.state is State.EXECUTING
        waiting = store.WAITING if executing else store.EXECUTED
        event = Event.EXECUTED if executing else Event.VERIFIED

        def write(tx: Tx) -> bool:
            if store.left(tx, row.id, waiting):
                return False
            system_step(tx, row, event)
            return True

        return await self._journal.write(write)


def _now(tx: Tx) -> int:
    return milliseconds(tx.now)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
