# SPDX-License-Identifier: Apache-2.0
"""SQL of what was prepared for a buyer: looked at, counted, or deleted again."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, func, literal, select
from sqlalchemy.engine import Connection

from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.custody.folios import Place
from services.vault.custody.state import MOVING
from services.vault.custody.store.folios import delete_orphans
from services.vault.custody.tables import (
    alias,
    consent,
    custody,
    decision,
    folio,
    index_entry,
    objection,
    record,
    version,
)


class PendingVersion(NamedTuple):
    """What the buyer's key must open; None where nothing was prepared."""

    place: Place
    version: str
    key_version: int | None
    wrap: bytes | None
    payload: bytes | None
    digest: bytes | None


_PENDING = Prepared(
    select(
        decision.c.new_record,
        decision.c["class"],
        decision.c.volume,
        decision.c.version,
        custody.c.key_version,
        custody.c.wrap,
        version.c.payload,
        version.c.digest,
    )
    .outerjoin(
        custody,
        and_(
            custody.c.party == bindparam("buyer"),
            custody.c.record == decision.c.new_record,
            custody.c["class"] == decision.c["class"],
            custody.c.volume == decision.c.volume,
            custody.c.version == decision.c.version,
            custody.c.arrived_by == bindparam("handover"),
        ),
    )
    .outerjoin(version, version.c.id == decision.c.version)
    .where(
        decision.c.handover == bindparam("handover"),
        decision.c.position.between(bindparam("first"), bindparam("last")),
        decision.c.outcome.in_([literal(one) for one in MOVING]),
        decision.c.dropped == "",
    )
    .order_by(decision.c.position)
)


def pending_versions(
    connection: Connection, handover: str, buyer: str, first: int, last: int
) -> list[PendingVersion]:
    """Return what was prepared for each standing row of a slice, in order."""
    rows = _PENDING.all(
        connection, handover=handover, buyer=buyer, first=first, last=last
    )
    return [
        PendingVersion(Place(buyer, row[0], row[1], row[2]), *row[3:]) for row in rows
    ]


def pending_counts(connection: Connection, handover: str, buyer: str) -> dict[str, int]:
    """Return class → folios that a handover brings or brought, counted row by row."""
    rows = connection.execute(
        select(custody.c["class"], func.count())
        .where(custody.c.party == buyer, custody.c.arrived_by == handover)
        .group_by(custody.c["class"])
    )
    return {row[0]: row[1] for row in rows}


def delete_pending(tx: Tx, handover: str, buyer: str, first: int, last: int) -> int:
    """Delete what a slice prepared for a handover that ended; return the folios."""
    new_records = sorted(
        set(
            tx.execute(
                select(decision.c.new_record).where(
                    decision.c.handover == handover,
                    decision.c.position.between(first, last),
                    decision.c.outcome.in_(MOVING),
                )
            ).scalars()
        )
    )
    mine = and_(
        custody.c.party == buyer,
        custody.c.record.in_(new_records),
        custody.c.arrived_by == handover,
    )
    versions = tx.execute(select(custody.c.version).where(mine)).scalars().all()
    tx.execute(delete(custody).where(mine))
    tx.execute(
        delete(folio).where(folio.c.party == buyer, folio.c.record.in_(new_records))
    )
    for table, column in ((index_entry, index_entry.c.record), (record, record.c.id)):
        tx.execute(
            delete(table).where(
                table.c.party == buyer,
                column.in_(new_records),
                table.c.arrived_by == handover,
            )
        )
    for named in (alias, consent, objection):
        tx.execute(
            delete(named).where(named.c.party == buyer, named.c.record.in_(new_records))
        )
    delete_orphans(tx, versions)
    return len(versions)
