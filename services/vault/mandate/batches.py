# SPDX-License-Identifier: Apache-2.0
"""Executing a batch: pending custody for the buyer, which nobody can read yet.

The same call again replays the stored result. Every item is judged again under its
record's lock: whichever comes second, an objection or the batch, sees the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.engine import Connection

from contracts.custody import mandate as law
from contracts.custody.decision import DecisionRow
from contracts.events.envelope import canonical_json
from contracts.events.vault import BatchExecuted, FolioDropped
from contracts.law.eligibility import Outcome, Terms, decide
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault.catalogue import IDENTITY
from services.vault.custody import handover as custody
from services.vault.custody.folios import CustodyTerms
from services.vault.custody.handover import (
    FrozenFolio,
    NamedRecord,
    PendingRecord,
    Scope,
)
from services.vault.custody.state import DropReason, ScopeState
from services.vault.mandate import errors, store
from services.vault.mandate.freezing import refusal
from services.vault.mandate.ground import (
    Ground,
    Standing,
    acted,
    party_lock,
    record_locks,
    standing,
    turn_lock,
)
from services.vault.mandate.releasing import checked_mandate, require_still_holding
from services.vault.mandate.rewrapping import Rewrapped, Rewrapping
from services.vault.mandate.store import StoredBatch

_REASONS: Mapping[str, DropReason] = {
    "objected": DropReason.OBJECTED,
    "consent": DropReason.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch did.

    Attributes:
        folios: Of the slice, those now pending for the buyer.
        dropped: Those that left the decision since it was made.
        unindexed: Values that the buyer will not find by: they have no normal form.
        event: None for a replay.
    """

    n: int
    digest: str
    folios: int
    dropped: int
    unindexed: int
    event: EventRef | None = None


@dataclass(frozen=True, slots=True)
class _Gathered:
    """A batch in one snapshot, with its mandate checked."""

    at: Standing
    batch: StoredBatch
    scope: Scope
    mandate: law.Mandate
    folios: Sequence[FrozenFolio]
    records: Mapping[str, NamedRecord]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch ready for its transaction."""

    gathered: _Gathered
    records: Mapping[str, PendingRecord] = field(repr=False)
    folios: Mapping[int, Rewrapped] = field(repr=False)


async def execute(
    ground: Ground, principal: Principal, handover: str, n: int, digest: str
) -> BatchResult:
    """Execute a batch, or return what it did before.

    Raises:
        BatchUnknown: The decision has none of this number.
        BatchDiffers: The digest is not this batch's.
        WrongState: There is no mandate, or the handover ended.
        MandateRefused: The mandate expired, or a signer's key was revoked; logged.
        HandoverUnknown: See `standing`.
    """
    try:
        found = await ground.changes.read(
            lambda c: _gather(c, ground, principal, handover, n, digest)
        )
        if isinstance(found, BatchResult):
            return found
        prepared = await _prepare(ground, found)
        CRASH_POINTS.reach("vault.batch.before_write")
        return await ground.changes.write(
            lambda tx: _apply(tx, ground, principal, prepared),
            [
                party_lock(found.at.seller),
                party_lock(found.at.buyer),
                turn_lock(handover),
                *record_locks(found.at.seller, found.records),
            ],
        )
    except law.MandateRefused as refused:
        at = await ground.changes.read(lambda c: standing(c, handover))
        raise await refusal(ground, principal, at, refused) from refused


# -- Before the transaction -----------------------------------------------------------


def _gather(
    connection: Connection,
    ground: Ground,
    principal: Principal,
    handover: str,
    n: int,
    digest: str,
) -> _Gathered | BatchResult:
    at = standing(connection, handover, principal)
    batch = _batch(connection, handover, n, digest)
    if batch.executed_at is not None:
        return _stored(batch)
    scope = at.frozen(ScopeState.MANDATED)
    folios = custody.frozen_folios(
        connection, handover, at.seller, batch.first_position, batch.last_position
    )
    return _Gathered(
        at=at,
        batch=batch,
        scope=scope,
        mandate=checked_mandate(connection, at, scope, ground.clock.now()),
        folios=folios,
        records=custody.named_records(
            connection, at.seller, {one.place.record for one in folios}
        ),
    )


def _batch(connection: Connection, handover: str, n: int, digest: str) -> StoredBatch:
    batch = store.find_batch(connection, handover, n)
    if batch is None:
        raise errors.BatchUnknown
    if batch.digest != digest:
        raise errors.BatchDiffers
    return batch


def _stored(batch: StoredBatch) -> BatchResult:
    return BatchResult(n=batch.n, digest=batch.digest, **json.loads(batch.result))


async def _prepare(ground: Ground, found: _Gathered) -> _Prepared:
    classes = {one.place.class_ for one in found.folios}
    rewrapping = Rewrapping(
        seller_keys=await ground.keyring.of(found.at.seller),
        buyer_keys=await ground.keyring.of(
            found.at.buyer, creating=[IDENTITY, *sorted(classes)]
        ),
        seller=await ground.catalogues.of(found.at.seller),
        buyer=await ground.catalogues.of(found.at.buyer),
        random_bytes=ground.random_bytes,
    )
    opened = rewrapping.indexed_classes(classes)
    versions = [one.version for one in found.folios if one.place.class_ in opened]
    payloads = await ground.changes.read(lambda c: custody.payloads_of(c, versions))
    folios = {
        one.position: rewrapping.folio(one, payloads.get(one.version))
        for one in found.folios
        if one.place.class_ not in opened or one.version in payloads
    }
    new_ids = {one.place.record: one.new_record for one in found.folios}
    records = {
        record: rewrapping.record(found.records[record], new_id)
        for record, new_id in new_ids.items()
    }
    return _Prepared(found, records, folios)


# -- In the transaction ---------------------------------------------------------------


def _apply(
    tx: Tx, ground: Ground, principal: Principal, prepared: _Prepared
) -> BatchResult:
    found = prepared.gathered
    handover = found.scope.handover
    batch = _batch(tx.connection, handover, found.batch.n, found.batch.digest)
    if batch.executed_at is not None:
        return _stored(batch)
    at = standing(tx.connection, handover)
    scope = at.frozen(ScopeState.MANDATED)
    require_still_holding(tx.connection, at, found.mandate, tx.now)
    rows = custody.standing_rows(
        tx.connection, handover, batch.first_position, batch.last_position
    )
    judged = _judge(tx, ground, at, scope, rows)
    _drop(tx, principal, prepared, judged.dropped)
    unindexed = _store(tx, prepared, judged.moving)
    done = {
        "folios": len(judged.moving),
        "dropped": batch.folios - len(judged.moving),
        "unindexed": unindexed,
    }
    store.mark_executed(tx, handover, batch.n, canonical_json(done).decode())
    event = BatchExecuted(
        **acted(tx, principal),
        handover=handover,
        n=batch.n,
        digest=batch.digest,
        folios=done["folios"],
        dropped=done["dropped"],
        records=_aliases(found, [row.record for row, _terms in judged.moving]),
    )
    # The seller's alone: a stream of arrivals would tell the buyer early.
    ref = outbox.append(tx, event.draft(at.seller))
    return BatchResult(n=batch.n, digest=batch.digest, **done, event=ref)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The standing rows of a slice, judged by the facts of now."""

    moving: Sequence[tuple[DecisionRow, Terms]]
    dropped: Sequence[tuple[DecisionRow, DropReason]]


def _judge(
    tx: Tx, ground: Ground, at: Standing, scope: Scope, rows: Sequence[DecisionRow]
) -> _Judged:
    criteria = ground.criteria(at.plan, scope.as_of)
    facts = {
        (record, one.class_, one.volume): one
        for record, one in custody.facts_of(
            tx.connection,
            at.seller,
            sorted({row.record for row in rows}),
            handover=scope.handover,
            frozen_at=scope.frozen_at,
        )
    }
    moving: list[tuple[DecisionRow, Terms]] = []
    dropped: list[tuple[DecisionRow, DropReason]] = []
    for row in rows:
        known = facts.get((row.record, row.class_, row.volume))
        if known is None or known.version != row.version:
            dropped.append((row, DropReason.CORRECTED))
            continue
        judged = decide(criteria, known)
        terms = _terms(row, judged)
        if terms is None:
            reason = _REASONS.get(judged.reason, DropReason.CORRECTED)
            dropped.append((row, reason))
        else:
            moving.append((row, terms))
    return _Judged(moving, dropped)


def _terms(row: DecisionRow, judged: Outcome) -> Terms | None:
    """Return the terms under which a row still moves; None if it does not."""
    return judged.terms if judged.outcome == row.outcome else None


def _drop(
    tx: Tx,
    principal: Principal,
    prepared: _Prepared,
    dropped: Sequence[tuple[DecisionRow, DropReason]],
) -> None:
    found = prepared.gathered
    counts: dict[tuple[str, DropReason], int] = {}
    for row, reason in dropped:
        custody.mark_dropped(tx, found.scope.handover, [row.position], reason)
        counts[row.record, reason] = counts.get((row.record, reason), 0) + 1
    for (record, reason), count in counts.items():
        known = found.records.get(record)
        if known is None:
            continue
        event = FolioDropped(
            **acted(tx, principal),
            handover=found.scope.handover,
            record=known.alias,
            reason=reason.value,
            count=count,
        )
        outbox.append(tx, event.draft(found.at.seller))


def _store(
    tx: Tx, prepared: _Prepared, moving: Sequence[tuple[DecisionRow, Terms]]
) -> int:
    """Insert what is pending; return how many values stay unindexed."""
    found = prepared.gathered
    values: dict[str, list[tuple[str, bytes]]] = {}
    moved: dict[str, tuple[str, set[str]]] = {}
    folios = []
    unindexed = 0
    for row, terms in moving:
        wrapped = prepared.folios.get(row.position)
        if wrapped is None:
            raise errors.Overtaken("a folio came back between the two looks")
        folios.append(wrapped.pending(_custody_terms(terms)))
        values.setdefault(row.record, []).extend(wrapped.values)
        moved.setdefault(row.record, (row.new_record, set()))[1].add(row.class_)
        unindexed += wrapped.unindexed
    records = [
        replace(prepared.records[record], values=values[record]) for record in values
    ]
    handover, buyer = found.scope.handover, found.at.buyer
    custody.insert_pending(tx, handover, buyer, records, folios)
    custody.carry_consents(tx, found.at.seller, buyer, moved)
    custody.leave(
        tx, handover, [prepared.folios[row.position].folio.place for row, _ in moving]
    )
    return unindexed


def _custody_terms(terms: Terms) -> CustodyTerms:
    return CustodyTerms(
        basis=terms.basis,
        purposes=terms.purposes,
        denied_purposes=terms.denied_purposes,
        retention=None if terms.retention is None else terms.retention.isoformat(),
    )


def _aliases(found: _Gathered, records: Sequence[str]) -> list[str]:
    return [found.records[record].alias for record in dict.fromkeys(records)]
