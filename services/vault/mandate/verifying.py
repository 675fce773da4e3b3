# SPDX-License-Identifier: Apache-2.0
"""Verifying a batch: what is pending opens under the buyer's key, and is the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from contracts.events.vault import BatchVerified
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault.custody import handover as custody
from services.vault.custody.handover import PendingVersion
from services.vault.custody.state import ScopeState
from services.vault.errors import SealBroken, SealFault
from services.vault.keys.keyring import PartyKeys
from services.vault.keys.sealing import (
    open_sealed,
    payload_context,
    unwrap_key,
    wrap_context,
)
from services.vault.mandate import errors, store
from services.vault.mandate.ground import Ground, Standing, acted, standing, turn_lock
from services.vault.mandate.store import StoredBatch


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified batch: how many pending folios opened. `event` None for a replay."""

    n: int
    folios: int
    event: EventRef | None


async def verify(
    ground: Ground, principal: Principal, handover: str, n: int
) -> Verified:
    """Open a batch's pending versions under the buyer's key and compare digests.

    Raises:
        WrongState: The batch was not executed, or the handover ended.
        NotReconciled: A decided folio was not prepared.
        SealBroken: One does not open, or its payload is not the one decided.
        BatchUnknown, HandoverUnknown: There is no such thing.
    """
    at, batch, pending = await ground.changes.read(
        lambda c: _gather(c, principal, handover, n)
    )
    keys = await ground.keyring.of(at.buyer)
    for one in pending:
        _open(keys, one)

    def mark(tx: Tx) -> Verified:
        standing(tx.connection, handover).frozen(ScopeState.MANDATED)
        known = store.find_batch(tx.connection, handover, n)
        if known is None or known.executed_at != batch.executed_at:
            raise errors.Overtaken("the batch was undone meanwhile")
        if known.verified_at is not None:
            return Verified(n, len(pending), None)
        store.mark_verified(tx, handover, n)
        event = BatchVerified(
            **acted(tx, principal), handover=handover, n=n, folios=len(pending)
        )
        return Verified(n, len(pending), outbox.append(tx, event.draft(at.seller)))

    return await ground.changes.write(mark, [turn_lock(handover)])


def _gather(
    connection: Connection, principal: Principal, handover: str, n: int
) -> tuple[Standing, StoredBatch, list[PendingVersion]]:
    at = standing(connection, handover, principal)
    batch = store.find_batch(connection, handover, n)
    if batch is None:
        raise errors.BatchUnknown
    at.frozen(ScopeState.MANDATED)
    if batch.executed_at is None:
        raise errors.WrongState("open")
    pending = custody.pending_versions(
        connection, handover, at.buyer, batch.first_position, batch.last_position
    )
    return at, batch, pending


def _open(keys: PartyKeys, one: PendingVersion) -> None:
    """Open one pending version as the buyer will after the turn."""
    if (
        one.key_version is None
        or one.wrap is None
        or one.payload is None
        or one.digest is None
    ):
        raise errors.NotReconciled("a decided folio was not prepared")
    class_ = one.place.class_
    context = wrap_context(*one.place, one.version, one.key_version)
    data_key = unwrap_key(keys.version(class_, one.key_version), one.wrap, context)
    if hashlib.sha256(one.payload).digest() != one.digest:
        raise SealBroken(SealFault.CIPHERTEXT)
    open_sealed(data_key, one.payload, payload_context(class_, one.version))
