# SPDX-License-Identifier: Apache-2.0
"""All SQL of the room of execution: leases, results, progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.transfer.execution.tables import batch
from services.transfer.handovers import Progress
from services.transfer.vault_client import BatchItem, Executed

WAITING = "waiting"
EXECUTED = "executed"
VERIFIED = "verified"
FAILED = "failed"

_MOVED = (EXECUTED, VERIFIED)
STATES = (WAITING, EXECUTED, VERIFIED, FAILED)


@dataclass(frozen=True, slots=True)
class Leased:
    """A batch that one worker may work on until its lease runs out."""

    handover: str
    n: int
    folios: int
    digest: str
    attempts: int
    moved: int
    dropped: int


def add(tx: Tx, handover: str, items: Sequence[BatchItem]) -> None:
    """Insert the batches of a handover, all waiting."""
    if not items:
        return
    tx.execute(
        insert(batch),
        [
            {
                "handover": handover,
                "n": item.n,
                "folios": item.folios,
                "digest": item.digest,
                "state": WAITING,
                "lease_until": 0,
                "leased_by": "",
                "attempts": 0,
                "moved": 0,
                "dropped": 0,
                "fault": "",
            }
            for item in items
        ],
    )


def lease(
    tx: Tx, handover: str, state: str, worker: str, lease_ms: int
) -> Leased | None:
    """Lease the first batch in a state that nobody holds; None if there is none.

    One statement. On PostgreSQL it skips rows that another worker is just taking; on
    SQLite the transaction is the only writer. A lease that ran out is taken again.
    """
    now = milliseconds(tx.now)
    free = (
        select(batch.c.n)
        .where(
            batch.c.handover == handover,
            batch.c.state == state,
            batch.c.lease_until <= now,
        )
        .order_by(batch.c.n)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    row = tx.execute(
        update(batch)
        .where(batch.c.handover == handover, batch.c.n == free)
        .values(
            lease_until=now + lease_ms,
            leased_by=worker,
            attempts=batch.c.attempts + 1,
        )
        .returning(
            batch.c.handover,
            batch.c.n,
            batch.c.folios,
            batch.c.digest,
            batch.c.attempts,
            batch.c.moved,
            batch.c.dropped,
        )
    ).first()
    return None if row is None else Leased(**row._mapping)  # noqa: SLF001


def set_executed(tx: Tx, leased: Leased, result: Executed) -> bool:
    """Store a batch's result; whether it was the first to be stored.

    A worker whose lease ran out may come second: the vault gave it the same result.
    """
    done = tx.execute(
        update(batch)
        .where(
            batch.c.handover == leased.handover,
            batch.c.n == leased.n,
            batch.c.state == WAITING,
        )
        .values(
            state=EXECUTED,
            lease_until=0,
            leased_by="",
            moved=result.folios,
            dropped=result.dropped,
            fault="",
            executed_at=milliseconds(tx.now),
        )
    )
    return done.rowcount == 1


def set_verified(tx: Tx, leased: Leased) -> bool:
    """Mark a batch verified; whether it was not before."""
    done = tx.execute(
        update(batch)
        .where(
            batch.c.handover == leased.handover,
            batch.c.n == leased.n,
            batch.c.state == EXECUTED,
        )
        .values(
            state=VERIFIED,
            lease_until=0,
            leased_by="",
            fault="",
            verified_at=milliseconds(tx.now),
        )
    )
    return done.rowcount == 1


def set_failed(tx: Tx, leased: Leased, fault: str) -> None:
    """Mark a batch failed for good, unless another worker finished it."""
    tx.execute(
        update(batch)
        .where(
            batch.c.handover == leased.handover,
            batch.c.n == leased.n,
            batch.c.state.in_([WAITING, EXECUTED]),
        )
        .values(state=FAILED, lease_until=0, leased_by="", fault=fault)
    )


def put_back(tx: Tx, leased: Leased, worker: str, fault: str, pause_ms: int) -> None:
    """Give a lease up; the batch is free again after a pause."""
    tx.execute(
        update(batch)
        .where(
            batch.c.handover == leased.handover,
            batch.c.n == leased.n,
            batch.c.leased_by == worker,
        )
        .values(lease_until=milliseconds(tx.now) + pause_ms, leased_by="", fault=fault)
    )


def release(tx: Tx, worker: str) -> None:
    """Give up every lease that an earlier process of this name has left."""
    tx.execute(update(batch).where(batch.c.leased_by == worker).values(lease_until=0))


def left(connection: Connection | Tx, handover: str, state: str) -> int:
    """Return how many batches are in a state."""
    return int(
        connection.execute(
            select(func.count()).where(
                batch.c.handover == handover, batch.c.state == state
            )
        ).scalar_one()
    )


_DONE = case((batch.c.state.in_(_MOVED), 1), else_=0)
_PROGRESS = select(
    func.count(),
    func.coalesce(func.sum(_DONE), 0),
    func.coalesce(func.sum(case((batch.c.state == VERIFIED, 1), else_=0)), 0),
    func.coalesce(func.sum(case((batch.c.state == FAILED, 1), else_=0)), 0),
    func.coalesce(func.sum(batch.c.moved), 0),
    func.coalesce(func.sum(batch.c.folios), 0),
    func.coalesce(func.sum(batch.c.dropped), 0),
    func.coalesce(func.sum(_DONE * batch.c.folios), 0),
    func.min(batch.c.executed_at),
    func.max(batch.c.executed_at),
)


def progress(connection: Connection | Tx, handover: str) -> Progress:
    """Return how far a handover's batches are, with rate and time left."""
    row = connection.execute(_PROGRESS.where(batch.c.handover == handover)).one()
    total, executed, verified, failed, moved, folios, dropped, done = map(int, row[:8])
    first, last = row[8], row[9]
    seconds = (last - first) / 1000 if first is not None else 0.0
    rate = done / seconds if seconds > 0 else 0.0
    ahead = folios - done
    eta = 0 if ahead == 0 else (round(ahead / rate) if rate else None)
    return Progress(
        batches=total,
        executed=executed,
        verified=verified,
        failed=failed,
        folios=moved,
        folios_total=folios,
        dropped=dropped,
        rate=round(rate, 1),
        eta_seconds=eta if total else None,
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """What metrics show of batches.

    Attributes:
        states: Batches of some handovers, by state.
        held, expired: Leases of these that run, and that ran out in a worker's hand.
        executed, verified: Batches of all handovers that came so far.
        folios: Folios that were moved, of all handovers.
    """

    states: dict[str, int]
    held: int
    expired: int
    executed: int
    verified: int
    folios: int


def count_batches(
    connection: Connection, handovers: Sequence[str], now_ms: int
) -> Counted:
    """Count the batches of `handovers`, and what came of those of all."""
    of_these = batch.c.handover.in_(handovers)
    states = dict.fromkeys(STATES, 0)
    for state, count in connection.execute(
        select(batch.c.state, func.count()).where(of_these).group_by(batch.c.state)
    ):
        states[state] = count
    leased = select(func.count()).where(of_these, batch.c.leased_by != "")
    held = connection.execute(leased.where(batch.c.lease_until > now_ms)).scalar_one()
    gone = connection.execute(leased.where(batch.c.lease_until <= now_ms)).scalar_one()
    done = connection.execute(
        select(
            func.count(batch.c.executed_at),
            func.count(batch.c.verified_at),
            func.coalesce(func.sum(batch.c.moved), 0),
        )
    ).one()
    return Counted(states, held, gone, *map(int, done))
