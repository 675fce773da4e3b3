# SPDX-License-Identifier: Apache-2.0
"""SQL of what a live handover pins, and of what the person concerned takes out of it.

Every caller holds the party's scope lock shared; a freeze and a turn take it
exclusively, so that neither comes between the test here and the write behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.engine import Connection

from services.chassis.database import Tx
from services.vault.custody.state import FROZEN, MOVING, DropReason, ScopeState
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
    scope,
    turn,
    version,
)


class LiveScope(NamedTuple):
    """A frozen scope of a party. `frozen_at` in milliseconds."""

    handover: str
    state: str
    frozen_at: int
    buyer: str


class Dropped(NamedTuple):
    """How many folios of a record left one handover's decision."""

    handover: str
    folios: int


def live_scopes(connection: Connection, party: str) -> list[LiveScope]:
    """Return the scopes of the party whose versions are pinned now."""
    rows = connection.execute(
        select(scope.c.handover, scope.c.state, scope.c.frozen_at, turn.c.buyer)
        .outerjoin(turn, turn.c.handover == scope.c.handover)
        .where(scope.c.party == party, scope.c.state.in_([s.value for s in FROZEN]))
        .order_by(scope.c.handover)
    )
    return [LiveScope(row[0], row[1], row[2], row[3] or "") for row in rows]


def frozen_volumes(
    connection: Connection, party: str, record_id: str
) -> dict[tuple[str, str], str]:
    """Return (class, volume) → handover of the record's folios that are pinned.

    Pinned is what stands in the decision of a live handover and was not dropped; and,
    while that decision is still being made, what existed at the freeze and has not
    been decided. What came after the freeze is free.
    """
    pinned: dict[tuple[str, str], str] = {}
    for live in live_scopes(connection, party):
        decided = {
            (row[0], row[1]): row.dropped
            for row in connection.execute(
                select(
                    decision.c["class"], decision.c.volume, decision.c.dropped
                ).where(
                    decision.c.handover == live.handover,
                    decision.c.record == record_id,
                )
            )
        }
        pinned |= {key: live.handover for key, gone in decided.items() if not gone}
        if live.state != ScopeState.DECIDING:
            continue
        pinned |= {
            key: live.handover
            for key in _existing(connection, party, record_id, live.frozen_at)
            if key not in decided
        }
    return pinned


def newest_version_at(connection: Connection) -> int:
    """Return when the newest version was made, milliseconds; 0 where there is none.

    Of all parties: the index gives it at once. Later than now where a clock was ahead.
    """
    return connection.execute(select(func.max(version.c.created_at))).scalar() or 0


def _existing(
    connection: Connection, party: str, record_id: str, at: int
) -> list[tuple[str, str]]:
    rows = connection.execute(
        select(folio.c["class"], folio.c.volume)
        .join(version, version.c.id == folio.c.current_version)
        .where(
            folio.c.party == party,
            folio.c.record == record_id,
            version.c.created_at <= at,
        )
    )
    return [(row[0], row[1]) for row in rows]


def drop_folios(
    tx: Tx,
    party: str,
    record_id: str,
    reason: DropReason,
    *,
    recipient: str = "",
    handover: str = "",
    classes: Collection[str] | None = None,
) -> list[Dropped]:
    """Take a record's folios out of the live handovers of its party.

    The decision's rows stay and are marked; root and counts never change. The buyer's
    pending custody goes, and what the seller holds no longer leaves. The caller holds
    the record's lock and writes `FolioDropped` for each result.

    Args:
        tx: The transaction.
        party: The seller.
        record_id: The seller's record.
        reason: Why.
        recipient: Only handovers to this party; empty for all.
        handover: Only this handover; empty for all.
        classes: Only folios of these; None for all.
    """
    dropped = []
    for live in live_scopes(tx.connection, party):
        if recipient not in ("", live.buyer) or handover not in ("", live.handover):
            continue
        count = _drop_from(tx, party, record_id, live, reason, classes)
        if count:
            dropped.append(Dropped(live.handover, count))
    return dropped


def _drop_from(
    tx: Tx,
    party: str,
    record_id: str,
    live: LiveScope,
    reason: DropReason,
    classes: Collection[str] | None,
) -> int:
    standing = and_(
        decision.c.handover == live.handover,
        decision.c.record == record_id,
        decision.c.dropped == "",
        decision.c.outcome.in_(MOVING),
    )
    chosen = (
        standing
        if classes is None
        else and_(standing, decision.c["class"].in_(sorted(classes)))
    )
    rows: Sequence[Any] = tx.execute(
        select(decision.c["class"], decision.c.volume, decision.c.new_record)
        .where(chosen)
        .order_by(decision.c.position)
    ).all()
    if not rows:
        return 0
    tx.execute(update(decision).where(chosen).values(dropped=reason.value))
    for class_, volume, new_record in rows:
        _release(tx, party, record_id, live.handover, class_, volume)
        _unprepare(tx, live, new_record, class_, volume)
    remaining = tx.execute(select(func.count()).where(standing)).scalar_one()
    if not remaining:
        _forget_prepared(tx, live, rows[0].new_record)
    return len(rows)


def _release(
    tx: Tx, party: str, record_id: str, handover: str, class_: str, volume: str
) -> None:
    """Let the seller keep a folio: else nobody could read it after the turn."""
    tx.execute(
        update(custody)
        .where(
            custody.c.party == party,
            custody.c.record == record_id,
            custody.c["class"] == class_,
            custody.c.volume == volume,
            custody.c.left_by == handover,
        )
        .values(left_by="")
    )


def _unprepare(
    tx: Tx, live: LiveScope, new_record: str, class_: str, volume: str
) -> None:
    """Delete the buyer's pending custody of one folio, if a batch made it."""
    mine = and_(
        custody.c.party == live.buyer,
        custody.c.record == new_record,
        custody.c["class"] == class_,
        custody.c.volume == volume,
        custody.c.arrived_by == live.handover,
    )
    versions = tx.execute(select(custody.c.version).where(mine)).scalars().all()
    if not versions:
        return
    tx.execute(delete(custody).where(mine))
    tx.execute(
        delete(folio).where(
            folio.c.party == live.buyer,
            folio.c.record == new_record,
            folio.c["class"] == class_,
            folio.c.volume == volume,
        )
    )
    delete_orphans(tx, versions)


def _forget_prepared(tx: Tx, live: LiveScope, new_record: str) -> None:
    """Delete what else a batch prepared of a record none of whose folios moves."""
    for table in (index_entry, record):
        column = table.c.record if table is index_entry else table.c.id
        tx.execute(
            delete(table).where(
                table.c.party == live.buyer,
                column == new_record,
                table.c.arrived_by == live.handover,
            )
        )
    for filed in (alias, consent, objection):
        tx.execute(
            delete(filed).where(
                filed.c.party == live.buyer, filed.c.record == new_record
            )
        )
