# SPDX-License-Identifier: Apache-2.0
"""SQL of folios, versions and custody."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from contracts.events.envelope import canonical_json
from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.custody.errors import FolioMoved
from services.vault.custody.folios import (
    CustodyTerms,
    HeldFolio,
    Place,
    SealedVersion,
)
from services.vault.custody.state import CustodyState, custody_state
from services.vault.custody.store.turns import arrived, is_active, left
from services.vault.custody.tables import custody, folio, version


@dataclass(frozen=True, slots=True)
class FolioFactsRow:
    """What eligibility may look at, and what bounds a volume; dates are ISO."""

    basis: str
    last_activity: str | None
    retention: str | None
    tags: Sequence[str]
    entries: int
    size: int


class HistoryRow(NamedTuple):
    """One version that a party holds or held; nothing of its content."""

    class_: str
    volume: str
    version: str
    created_at: int
    current: bool
    state: CustodyState


_HELD_COLUMNS = (
    folio.c.party,
    folio.c.record,
    folio.c["class"].label("class_"),
    folio.c.volume,
    custody.c.version,
    custody.c.arrived_by,
    arrived.c.state.label("arrived_state"),
    custody.c.left_by,
    left.c.state.label("left_state"),
    custody.c.destroyed_at,
    custody.c.key_version,
    custody.c.wrap,
    version.c.payload,
    version.c.digest,
    custody.c.terms,
    folio.c.basis,
    folio.c.last_activity,
    folio.c.retention,
    folio.c.tags,
    folio.c.entries,
    version.c.created_at,
)

_SAME_FOLIO = and_(
    custody.c.party == folio.c.party,
    custody.c.record == folio.c.record,
    custody.c["class"] == folio.c["class"],
    custody.c.volume == folio.c.volume,
)

_HELD = Prepared(
    select(*_HELD_COLUMNS)
    .select_from(folio)
    .join(custody, and_(_SAME_FOLIO, custody.c.version == folio.c.current_version))
    .join(version, version.c.id == custody.c.version)
    .outerjoin(arrived, arrived.c.handover == custody.c.arrived_by)
    .outerjoin(left, left.c.handover == custody.c.left_by)
    .where(folio.c.party == bindparam("party"), folio.c.record == bindparam("record"))
    .order_by(folio.c["class"], folio.c.volume)
)


_ADD_VERSION = Prepared.insert(version)
_ADD_CUSTODY = Prepared.insert(custody)
_ADD_FOLIO = Prepared.insert(folio)


def held_folios(
    connection: Connection,
    party: str,
    record: str,
    classes: Collection[str] | None = None,
) -> list[HeldFolio]:
    """Return the current versions that the party holds of a record.

    Restricted and destroyed ones too; pending ones never.
    """
    rows = _HELD.all(connection, party=party, record=record)
    held = [_held(row) for row in rows if classes is None or row.class_ in classes]
    return [one for one in held if one.state is not CustodyState.PENDING]


def _held(row: Any) -> HeldFolio:
    return HeldFolio(
        place=Place(row.party, row.record, row.class_, row.volume),
        version=row.version,
        state=custody_state(
            row.arrived_by,
            row.arrived_state,
            row.left_by,
            row.left_state,
            row.destroyed_at,
        ),
        key_version=row.key_version,
        wrap=row.wrap,
        payload=row.payload,
        digest=row.digest,
        terms=_terms(row.terms),
        basis=row.basis,
        last_activity=row.last_activity,
        retention=row.retention,
        tags=_tags(row.tags),
        entries=row.entries,
        created_at=row.created_at,
    )


# Few texts differ, and their values cannot change: each is read once.
_terms = lru_cache(maxsize=1024)(CustodyTerms.from_json)


@lru_cache(maxsize=1024)
def _tags(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def insert_version(tx: Tx, sealed: SealedVersion) -> None:
    """Insert an immutable version."""
    values = {
        "id": sealed.id,
        "class": sealed.place.class_,
        "payload": sealed.payload,
        "digest": sealed.digest,
        "created_at": milliseconds(tx.now),
    }
    _ADD_VERSION.execute(tx.connection, **values)


def insert_custody(
    tx: Tx, sealed: SealedVersion, terms: CustodyTerms, arrived_by: str = ""
) -> None:
    """Insert the custody of a new version."""
    values = {
        **_columns(sealed.place),
        "version": sealed.id,
        "key_version": sealed.key_version,
        "wrap": sealed.wrap,
        "terms": terms.as_json(),
        "arrived_by": arrived_by,
        "left_by": "",
        "destroyed_at": None,
    }
    _ADD_CUSTODY.execute(tx.connection, **values)


def insert_folio(
    tx: Tx, sealed: SealedVersion, facts: FolioFactsRow, terms: CustodyTerms
) -> None:
    """Insert a new folio with its first version and native custody.

    Raises:
        FolioMoved: Somebody else opened this volume first.
    """
    values = {
        **_columns(sealed.place),
        "current_version": sealed.id,
        **_facts(facts),
    }
    try:
        _ADD_FOLIO.execute(tx.connection, **values)
    except IntegrityError as exc:
        raise FolioMoved("the folio is there already") from exc
    insert_version(tx, sealed)
    insert_custody(tx, sealed, terms)


def move_folio(
    tx: Tx, sealed: SealedVersion, facts: FolioFactsRow, terms: CustodyTerms
) -> None:
    """Make a new version the current one of its folio, if `base` still is.

    Raises:
        FolioMoved: Another version came in between; nothing may be lost, so the
            caller seals again from that one.
    """
    moved = tx.execute(
        update(folio)
        .where(*_at(folio, sealed.place), folio.c.current_version == sealed.base)
        .values(current_version=sealed.id, **_facts(facts))
    )
    if moved.rowcount != 1:
        raise FolioMoved("the folio has a newer version")
    insert_version(tx, sealed)
    insert_custody(tx, sealed, terms)


def retag(tx: Tx, party: str, record: str, tags: Sequence[str]) -> None:
    """Give every folio of a record the record's tags."""
    tx.execute(
        update(folio)
        .where(folio.c.party == party, folio.c.record == record)
        .values(tags=canonical_json(sorted(tags)).decode())
    )


def history(connection: Connection, party: str, record: str) -> list[HistoryRow]:
    """Return every version of a record in the party's custody, oldest first."""
    rows = connection.execute(
        select(
            custody.c["class"],
            custody.c.volume,
            custody.c.version,
            version.c.created_at,
            folio.c.current_version,
            custody.c.arrived_by,
            arrived.c.state.label("arrived_state"),
            custody.c.left_by,
            left.c.state.label("left_state"),
            custody.c.destroyed_at,
        )
        .select_from(custody)
        .join(version, version.c.id == custody.c.version)
        .outerjoin(folio, _SAME_FOLIO)
        .outerjoin(arrived, arrived.c.handover == custody.c.arrived_by)
        .outerjoin(left, left.c.handover == custody.c.left_by)
        .where(custody.c.party == party, custody.c.record == record)
        .order_by(version.c.created_at, custody.c["class"], custody.c.volume)
    )
    found = [
        HistoryRow(row[0], row[1], row[2], row[3], row[4] == row[2], _state(row))
        for row in rows
    ]
    return [row for row in found if row.state is not CustodyState.PENDING]


_ACTIVE = Prepared(
    select(custody.c["class"]).where(
        custody.c.party == bindparam("party"),
        custody.c.record == bindparam("record"),
        is_active(),
    )
)


def active_classes(connection: Connection, party: str, record: str) -> set[str]:
    """Return the classes of which the party has active custody."""
    return {row[0] for row in _ACTIVE.all(connection, party=party, record=record)}


def delete_custody(tx: Tx, party: str, record: str) -> int:
    """Delete all of a party's custody of a record, and payloads nobody holds then.

    Returns:
        How many versions were deleted with it.
    """
    mine = (custody.c.party == party, custody.c.record == record)
    versions = tx.execute(select(custody.c.version).where(*mine)).scalars().all()
    tx.execute(delete(custody).where(*mine))
    tx.execute(delete(folio).where(folio.c.party == party, folio.c.record == record))
    return delete_orphans(tx, versions)


def delete_orphans(tx: Tx, versions: Iterable[str]) -> int:
    """Delete those of `versions` whose last custody ended; return how many."""
    deleted = 0
    ids = sorted(set(versions))
    for start in range(0, len(ids), 100):
        gone = tx.execute(
            delete(version).where(
                version.c.id.in_(ids[start : start + 100]),
                ~exists().where(custody.c.version == version.c.id),
            )
        )
        deleted += gone.rowcount
    return deleted


def _state(row: Any) -> CustodyState:
    return custody_state(
        row.arrived_by,
        row.arrived_state,
        row.left_by,
        row.left_state,
        row.destroyed_at,
    )


def _at(table: Any, place: Place) -> tuple[Any, ...]:
    return (
        table.c.party == place.party,
        table.c.record == place.record,
        table.c["class"] == place.class_,
        table.c.volume == place.volume,
    )


def _columns(place: Place) -> dict[str, Any]:
    return {
        "party": place.party,
        "record": place.record,
        "class": place.class_,
        "volume": place.volume,
    }


def _facts(facts: FolioFactsRow) -> dict[str, Any]:
    return {
        "basis": facts.basis,
        "last_activity": facts.last_activity,
        "retention": facts.retention,
        "tags": canonical_json(sorted(facts.tags)).decode(),
        "entries": facts.entries,
        "bytes": facts.size,
    }
