# SPDX-License-Identifier: Apache-2.0
"""SQL of a decision: its facts, its rows, and what dropped out of it since."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.engine import Connection

from contracts.custody.decision import DecisionRow
from contracts.law.scope import Consent, FolioFacts, Objection
from services.chassis.database import Tx
from services.chassis.prepared import OneOf, Prepared
from services.vault.custody.state import FROZEN, MOVING, DropReason
from services.vault.custody.store.rights import OPT_OUT
from services.vault.custody.store.turns import is_active
from services.vault.custody.tables import (
    consent,
    custody,
    decision,
    folio,
    objection,
    scope,
    version,
)

PART = 500  # versions looked at in one query
SKEW_MS = 60_000  # clocks of processes differ, and a group's time precedes its locks


class StoredRow(NamedTuple):
    """A row of a decision with what became of it; `dropped` is '' or a reason."""

    row: DecisionRow
    dropped: str


_SAME_FOLIO = and_(
    custody.c.party == folio.c.party,
    custody.c.record == folio.c.record,
    custody.c["class"] == folio.c["class"],
    custody.c.volume == folio.c.volume,
)
_ROW = (
    decision.c.position,
    decision.c.record,
    decision.c.new_record,
    decision.c["class"],
    decision.c.volume,
    decision.c.version,
    decision.c.outcome,
    decision.c.rule,
    decision.c.reason,
)
# Literals: a partial index serves no condition with a parameter.
_MOVES = text("decision.outcome IN ('transfer', 'archive_only')")
_DROPPED = text("decision.dropped <> ''")
_STANDING = and_(
    decision.c.outcome.in_([literal(one) for one in MOVING]), decision.c.dropped == ""
)
_RECORDS: Final = OneOf("record", 100)  # as many as a slice has at most

# -- Facts ----------------------------------------------------------------------------


def next_records(
    connection: Connection, party: str, after: str, limit: int
) -> list[str]:
    """Return the ids of the party's next records that have folios, in order."""
    return list(
        connection.execute(
            select(folio.c.record)
            .where(folio.c.party == party, folio.c.record > after)
            .distinct()
            .order_by(folio.c.record)
            .limit(limit)
        ).scalars()
    )


def facts_of(
    connection: Connection,
    party: str,
    records: Sequence[str],
    *,
    handover: str,
    frozen_at: int,
) -> list[tuple[str, FolioFacts]]:
    """Return (record, facts) of the folios of `records` that a decision is about.

    Only those whose custody is active, that existed at `frozen_at` (milliseconds) and
    that another live handover does not move; by record, class, volume.
    """
    consents = _consents(connection, party, records)
    objections = _objections(connection, party, records)
    rows = [
        row
        for part in _RECORDS.parts(records)
        for row in _INVENTORY.all(
            connection, party=party, handover=handover, frozen_at=frozen_at, **part
        )
    ]
    found = []
    for row in rows:
        given, opt_outs = consents.get(row.record, ((), frozenset()))
        facts = FolioFacts(
            class_=row.class_,
            volume=row.volume,
            version=row.current_version,
            basis=row.basis,
            consents=given,
            objections=tuple(objections.get(row.record, ())),
            retention=_day(row.retention),
            last_activity=_day(row.last_activity),
            tags=frozenset(json.loads(row.tags)),
            opt_outs=opt_outs,
        )
        found.append((row.record, facts))
    return found


_ELSEWHERE = exists(
    select(decision.c.handover)
    .join(scope, scope.c.handover == decision.c.handover)
    .where(
        decision.c.record == folio.c.record,
        decision.c["class"] == folio.c["class"],
        decision.c.volume == folio.c.volume,
        decision.c.handover != bindparam("handover"),
        scope.c.party == bindparam("party"),
        scope.c.state.in_([literal(state.value) for state in FROZEN]),
        _STANDING,
    )
)
_INVENTORY = Prepared(
    select(
        folio.c.record,
        folio.c["class"].label("class_"),
        folio.c.volume,
        folio.c.current_version,
        folio.c.basis,
        folio.c.retention,
        folio.c.last_activity,
        folio.c.tags,
    )
    .join(custody, and_(_SAME_FOLIO, custody.c.version == folio.c.current_version))
    .join(version, version.c.id == folio.c.current_version)
    .where(
        folio.c.party == bindparam("party"),
        _RECORDS.holds(folio.c.record),
        version.c.created_at <= bindparam("frozen_at"),
        is_active(),
        ~_ELSEWHERE,
    )
    .order_by(folio.c.record, folio.c["class"], folio.c.volume)
)
_CONSENTS = Prepared(
    select(
        consent.c.record,
        consent.c.kind,
        consent.c.recipient,
        consent.c["class"].label("class_"),
        consent.c.given_at,
        consent.c.withdrawn_at,
    ).where(consent.c.party == bindparam("party"), _RECORDS.holds(consent.c.record))
)
_OBJECTIONS = Prepared(
    select(
        objection.c.record,
        objection.c.objected_at,
        objection.c.withdrawn_at,
        objection.c.recipient,
        objection.c.handover,
    ).where(objection.c.party == bindparam("party"), _RECORDS.holds(objection.c.record))
)


def _consents(
    connection: Connection, party: str, records: Sequence[str]
) -> dict[str, tuple[tuple[Consent, ...], frozenset[str]]]:
    given: dict[str, list[Consent]] = {}
    opt_outs: dict[str, set[str]] = {}
    rows = (
        row
        for part in _RECORDS.parts(records)
        for row in _CONSENTS.all(connection, party=party, **part)
    )
    for row in rows:
        if row.kind == OPT_OUT:
            if row.withdrawn_at is None:
                opt_outs.setdefault(row.record, set()).add(row.class_)
            continue
        one = Consent(
            recipient=row.recipient,
            classes=frozenset({row.class_}),
            kind=row.kind,
            given_at=_moment(row.given_at),
            withdrawn_at=_optional_moment(row.withdrawn_at),
        )
        given.setdefault(row.record, []).append(one)
    return {
        record: (tuple(given.get(record, ())), frozenset(opt_outs.get(record, ())))
        for record in {*given, *opt_outs}
    }


def _objections(
    connection: Connection, party: str, records: Sequence[str]
) -> dict[str, list[Objection]]:
    found: dict[str, list[Objection]] = {}
    rows = (
        row
        for part in _RECORDS.parts(records)
        for row in _OBJECTIONS.all(connection, party=party, **part)
    )
    for row in rows:
        one = Objection(
            objected_at=_moment(row.objected_at),
            withdrawn_at=_optional_moment(row.withdrawn_at),
            recipient=row.recipient,
            handover=row.handover,
        )
        found.setdefault(row.record, []).append(one)
    return found


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, tz=UTC)


def _optional_moment(at: int | None) -> datetime | None:
    return None if at is None else _moment(at)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


# -- Rows -----------------------------------------------------------------------------


def insert_rows(tx: Tx, handover: str, rows: Iterable[DecisionRow]) -> None:
    """Insert decided rows, in order of position."""
    values = [
        {
            "handover": handover,
            "position": row.position,
            "record": row.record,
            "new_record": row.new_record,
            "class": row.class_,
            "volume": row.volume,
            "version": row.version,
            "outcome": row.outcome,
            "rule": row.rule,
            "reason": row.reason,
            "dropped": "",
        }
        for row in rows
    ]
    if values:
        tx.execute(insert(decision), values)


def rows_after(
    connection: Connection,
    handover: str,
    after: int,
    *,
    limit: int | None = None,
    moving: bool = False,
) -> list[StoredRow]:
    """Return rows with a position beyond `after`, in order.

    Args:
        connection: A snapshot.
        handover: Whose decision.
        after: -1 for the first.
        limit: How many at most.
        moving: Only the outcomes that give the buyer custody.
    """
    chosen = select(*_ROW, decision.c.dropped).where(
        decision.c.handover == handover, decision.c.position > after
    )
    if moving:
        chosen = chosen.where(_MOVES)
    rows = connection.execute(chosen.order_by(decision.c.position).limit(limit))
    return [StoredRow(DecisionRow(*row[:9]), row[9]) for row in rows]


_STANDING_ROWS = Prepared(
    select(*_ROW)
    .where(
        decision.c.handover == bindparam("handover"),
        decision.c.position.between(bindparam("first"), bindparam("last")),
        _STANDING,
    )
    .order_by(decision.c.position)
)


def standing_rows(
    connection: Connection, handover: str, first: int, last: int
) -> list[DecisionRow]:
    """Return the rows of a slice that give the buyer custody and did not drop."""
    rows = _STANDING_ROWS.all(connection, handover=handover, first=first, last=last)
    return [DecisionRow(*row) for row in rows]


def mark_dropped(
    tx: Tx, handover: str, positions: Sequence[int], reason: DropReason
) -> None:
    """Mark rows as dropped; root and counts never change."""
    tx.execute(
        update(decision)
        .where(
            decision.c.handover == handover,
            decision.c.position.in_(positions),
            decision.c.dropped == "",
        )
        .values(dropped=reason.value)
    )


def dropped_counts(connection: Connection, handover: str) -> dict[str, dict[str, int]]:
    """Return class → reason → folios that left the decision since it was made."""
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        select(decision.c["class"], decision.c.dropped, func.count())
        .where(decision.c.handover == handover, _DROPPED)
        .group_by(decision.c["class"], decision.c.dropped)
        .order_by(decision.c["class"], decision.c.dropped)
    )
    for class_, reason, count in rows:
        found.setdefault(class_, {})[reason] = count
    return found


def inventory_of(connection: Connection, handover: str) -> dict[str, int]:
    """Return class → folios in the decision, counted row by row."""
    rows = connection.execute(
        select(decision.c["class"], func.count())
        .where(decision.c.handover == handover)
        .group_by(decision.c["class"])
    )
    return {row[0]: row[1] for row in rows}


def after_snapshot(
    connection: Connection, party: str, handover: str, frozen_at: int
) -> dict[str, int]:
    """Return class → folios that came after the freeze and stand outside it."""
    recent = connection.execute(
        select(version.c.id).where(version.c.created_at > frozen_at - SKEW_MS)
    ).scalars()
    found: Counter[str] = Counter()
    for ids in recent.partitions(PART):
        rows = connection.execute(_outside(party, handover, ids))
        found.update({row[0]: row[1] for row in rows})
    return dict(sorted(found.items()))


def _outside(party: str, handover: str, versions: Sequence[str]) -> Any:
    decided = exists().where(
        decision.c.handover == handover,
        decision.c.record == folio.c.record,
        decision.c["class"] == folio.c["class"],
        decision.c.volume == folio.c.volume,
    )
    return (
        select(folio.c["class"], func.count())
        .select_from(custody)
        .join(folio, and_(_SAME_FOLIO, folio.c.current_version == custody.c.version))
        .where(
            custody.c.version.in_(versions),
            # An expression, so that no planner begins with all that the party holds:
            # what came since is little, and the state is asked for often.
            custody.c.party.concat("") == party,
            is_active(),
            ~decided,
        )
        .group_by(folio.c["class"])
    )
