# SPDX-License-Identifier: Apache-2.0
"""SQL of plans, the documents of a mandate, batches and backups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.mandate.tables import backup, batch, document, plan


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A lodged plan; `raw` are the exact bytes."""

    handover: str
    seller: str
    buyer: str
    raw: bytes = field(repr=False)
    plan_hash: str


class StoredDocument(NamedTuple):
    """An approval or a release; `role` is the handover role it was signed in."""

    kind: str
    role: str
    key_id: str
    person: str
    envelope: bytes


class StoredBatch(NamedTuple):
    """A slice of a decision; `result` is canonical JSON, empty until executed."""

    n: int
    first_position: int
    last_position: int
    folios: int
    digest: str
    result: str
    executed_at: int | None
    verified_at: int | None


class BatchTotals(NamedTuple):
    """How many batches there are, and how far they are."""

    total: int
    executed: int
    verified: int


class StoredBackup(NamedTuple):
    """A backup; state running, passed or failed. `made_at` in milliseconds."""

    state: str
    digest: str
    folios: int
    made_at: int


# -- Plans ----------------------------------------------------------------------------


_PLAN = Prepared(
    select(
        plan.c.handover,
        plan.c.seller,
        plan.c.buyer,
        plan.c.bytes,
        plan.c.plan_hash,
    ).where(plan.c.handover == bindparam("handover"))
)


def find_plan(connection: Connection, handover: str) -> StoredPlan | None:
    """Return the lodged plan of a handover."""
    row = _PLAN.first(connection, handover=handover)
    return None if row is None else StoredPlan(*row)


def put_plan(tx: Tx, new: StoredPlan) -> None:
    """Lodge a plan in place of the one before, if any."""
    tx.execute(delete(plan).where(plan.c.handover == new.handover))
    tx.execute(
        insert(plan).values(
            handover=new.handover,
            seller=new.seller,
            buyer=new.buyer,
            bytes=new.raw,
            plan_hash=new.plan_hash,
            lodged_at=milliseconds(tx.now),
        )
    )


# -- Documents ------------------------------------------------------------------------


_DOCUMENTS = Prepared(
    select(
        document.c.kind,
        document.c.role,
        document.c.key_id,
        document.c.person,
        document.c.envelope,
    )
    .where(document.c.handover == bindparam("handover"))
    .order_by(document.c.kind, document.c.role)
)


def documents_of(connection: Connection, handover: str) -> list[StoredDocument]:
    """Return the documents of a mandate, by kind and role."""
    rows = _DOCUMENTS.all(connection, handover=handover)
    return [StoredDocument(*row) for row in rows]


def put_documents(tx: Tx, handover: str, new: Iterable[StoredDocument]) -> None:
    """Store a mandate's documents in place of those before."""
    tx.execute(delete(document).where(document.c.handover == handover))
    filed_at = milliseconds(tx.now)
    rows = [
        {**one._asdict(), "handover": handover, "filed_at": filed_at} for one in new
    ]
    tx.execute(insert(document), rows)


# -- Batches --------------------------------------------------------------------------

_BATCH = tuple(batch.c[name] for name in StoredBatch._fields)
_AT = (batch.c.handover == bindparam("h"), batch.c.n == bindparam("number"))
_FIND_BATCH = Prepared(select(*_BATCH).where(*_AT))
_EXECUTED = Prepared(
    update(batch)
    .where(*_AT)
    .values(result=bindparam("done"), executed_at=bindparam("moment"))
)
_VERIFIED = Prepared(update(batch).where(*_AT).values(verified_at=bindparam("moment")))


def last_batch(connection: Connection, handover: str) -> StoredBatch | None:
    """Return the batch cut last."""
    row = connection.execute(
        select(*_BATCH)
        .where(batch.c.handover == handover)
        .order_by(batch.c.n.desc())
        .limit(1)
    ).first()
    return None if row is None else StoredBatch(*row)


def find_batch(connection: Connection, handover: str, n: int) -> StoredBatch | None:
    """Return one batch."""
    row = _FIND_BATCH.first(connection, h=handover, number=n)
    return None if row is None else StoredBatch(*row)


def batches_after(
    connection: Connection, handover: str, after: int, limit: int
) -> list[StoredBatch]:
    """Return the batches with a number beyond `after`, in order."""
    rows = connection.execute(
        select(*_BATCH)
        .where(batch.c.handover == handover, batch.c.n > after)
        .order_by(batch.c.n)
        .limit(limit)
    )
    return [StoredBatch(*row) for row in rows]


def batch_totals(connection: Connection, handover: str) -> BatchTotals:
    """Return how far a handover's batches are."""
    row = connection.execute(
        select(
            func.count(),
            func.count(batch.c.executed_at),
            func.count(batch.c.verified_at),
        ).where(batch.c.handover == handover)
    ).one()
    return BatchTotals(*row)


def insert_batches(tx: Tx, handover: str, new: Sequence[StoredBatch]) -> None:
    """Insert batches that were cut."""
    if new:
        rows = [{**one._asdict(), "handover": handover} for one in new]
        tx.execute(insert(batch), rows)


def mark_executed(tx: Tx, handover: str, n: int, result: str) -> None:
    """Store the result of a batch."""
    now = milliseconds(tx.now)
    _EXECUTED.execute(tx.connection, h=handover, number=n, done=result, moment=now)


def mark_verified(tx: Tx, handover: str, n: int) -> None:
    """Store that a batch was opened under the buyer's key."""
    _VERIFIED.execute(tx.connection, h=handover, number=n, moment=milliseconds(tx.now))


def next_executed(connection: Connection, handover: str) -> StoredBatch | None:
    """Return the first batch with something prepared."""
    row = connection.execute(
        select(*_BATCH)
        .where(batch.c.handover == handover, batch.c.executed_at.is_not(None))
        .order_by(batch.c.n)
        .limit(1)
    ).first()
    return None if row is None else StoredBatch(*row)


def unmake_batch(tx: Tx, handover: str, n: int) -> None:
    """Record that nothing of a batch remains prepared."""
    tx.execute(
        update(batch)
        .where(batch.c.handover == handover, batch.c.n == n)
        .values(result="", executed_at=None, verified_at=None)
    )


# -- Backups --------------------------------------------------------------------------


def find_backup(connection: Connection, handover: str) -> StoredBackup | None:
    """Return the backup of a handover's scope."""
    row = connection.execute(
        select(
            backup.c.state, backup.c.digest, backup.c.folios, backup.c.made_at
        ).where(backup.c.handover == handover)
    ).first()
    return None if row is None else StoredBackup(*row)


def running_backups(connection: Connection) -> list[str]:
    """Return the handovers whose backup was begun and not ended."""
    return list(
        connection.execute(
            select(backup.c.handover).where(backup.c.state == "running")
        ).scalars()
    )


def put_backup(
    tx: Tx, handover: str, state: str, digest: str = "", folios: int = 0
) -> None:
    """Store where a backup stands."""
    tx.execute(delete(backup).where(backup.c.handover == handover))
    tx.execute(
        insert(backup).values(
            handover=handover,
            state=state,
            digest=digest,
            folios=folios,
            made_at=milliseconds(tx.now),
        )
    )
