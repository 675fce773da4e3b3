# SPDX-License-Identifier: Apache-2.0
"""SQL of a batch: what the seller holds, and what is prepared for the buyer.

What is prepared carries the handover in `arrived_by`: nobody reads it, finds it or
collides with it before the turn. Callers hold the turn's lock shared and each record's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import and_, bindparam, literal, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds, random_alias
from services.chassis.database import Tx
from services.chassis.prepared import OneOf, Prepared
from services.vault.custody.folios import CustodyTerms, Place
from services.vault.custody.state import MOVING
from services.vault.custody.store.rights import OPT_OUT
from services.vault.custody.store.turns import is_active, is_gone
from services.vault.custody.tables import (
    alias,
    consent,
    custody,
    decision,
    folio,
    index_entry,
    record,
    version,
)


@dataclass(frozen=True, slots=True)
class FrozenFolio:
    """A folio of the seller that moves, at its frozen version."""

    position: int
    place: Place
    new_record: str
    version: str
    key_version: int
    wrap: bytes = field(repr=False)
    last_activity: str | None
    tags: str
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """A record with its names: alias in events, number in its party's CRM."""

    id: str
    alias: str
    identity_key_version: int
    external_id_sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class PendingFolio:
    """Custody prepared for the buyer; `place` is the buyer's."""

    place: Place
    version: str
    key_version: int
    wrap: bytes = field(repr=False)
    terms: CustodyTerms
    last_activity: str | None
    tags: str
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class PendingRecord:
    """A record prepared for the buyer, named by the seller's `origin`."""

    id: str
    origin: str
    origin_external_id_sealed: bytes | None = field(repr=False)
    identity_key_version: int
    values: Sequence[tuple[str, bytes]] = field(default=(), repr=False)


def _same_folio(one: Any, other: Any) -> Any:
    return and_(
        one.c.record == other.c.record,
        one.c["class"] == other.c["class"],
        one.c.volume == other.c.volume,
    )


# -- What the seller holds ------------------------------------------------------------


_RECORDS: Final = OneOf("record", 100)  # as many as a batch has at most
_VERSIONS: Final = OneOf("version", 100)

_FROZEN_FOLIOS = Prepared(
    select(
        decision.c.position,
        decision.c.record,
        decision.c["class"],
        decision.c.volume,
        decision.c.new_record,
        decision.c.version,
        custody.c.key_version,
        custody.c.wrap,
        folio.c.last_activity,
        folio.c.tags,
        folio.c.entries,
        folio.c.bytes,
    )
    .select_from(decision)
    .join(
        custody,
        and_(
            custody.c.party == bindparam("seller"),
            _same_folio(custody, decision),
            custody.c.version == decision.c.version,
        ),
    )
    .join(
        folio, and_(folio.c.party == bindparam("seller"), _same_folio(folio, decision))
    )
    .where(
        decision.c.handover == bindparam("handover"),
        decision.c.position.between(bindparam("first"), bindparam("last")),
        decision.c.outcome.in_([literal(one) for one in MOVING]),
        decision.c.dropped == "",
        is_active(),
    )
    .order_by(decision.c.position)
)
_PAYLOADS = Prepared(
    select(version.c.id, version.c.payload).where(_VERSIONS.holds(version.c.id))
)
_NAMED = Prepared(
    select(
        record.c.id,
        alias.c.alias,
        record.c.identity_key_version,
        record.c.external_id_sealed,
    )
    .join(alias, and_(alias.c.party == record.c.party, alias.c.record == record.c.id))
    .where(record.c.party == bindparam("party"), _RECORDS.holds(record.c.id))
)


def frozen_folios(
    connection: Connection, handover: str, seller: str, first: int, last: int
) -> list[FrozenFolio]:
    """Return the folios of a slice that still move, in order of position."""
    rows = _FROZEN_FOLIOS.all(
        connection, handover=handover, seller=seller, first=first, last=last
    )
    return [
        FrozenFolio(row[0], Place(seller, row[1], row[2], row[3]), *row[4:])
        for row in rows
    ]


def payloads_of(connection: Connection, versions: Collection[str]) -> dict[str, bytes]:
    """Return version → sealed payload."""
    return {
        row[0]: row[1]
        for part in _VERSIONS.parts(versions)
        for row in _PAYLOADS.all(connection, **part)
    }


def named_records(
    connection: Connection, party: str, ids: Collection[str]
) -> dict[str, NamedRecord]:
    """Return id → record of those of `ids` that the party has."""
    return {
        row[0]: NamedRecord(*row)
        for part in _RECORDS.parts(ids)
        for row in _NAMED.all(connection, party=party, **part)
    }


_LEAVE = Prepared(
    update(custody)
    .where(
        custody.c.party == bindparam("p"),
        custody.c.record == bindparam("r"),
        custody.c["class"] == bindparam("c"),
        custody.c.volume == bindparam("v"),
        custody.c.destroyed_at.is_(None),
        ~is_gone(custody.c.left_by),
    )
    .values(left_by=bindparam("h"))
)


def leave(tx: Tx, handover: str, places: Iterable[Place]) -> None:
    """Name the handover that takes folios away, on every version the seller holds.

    What another handover that never turned had named is overwritten; what one took
    away stays taken.
    """
    values = [
        {"p": place.party, "r": place.record, "c": place.class_, "v": place.volume}
        | {"h": handover}
        for place in places
    ]
    if values:
        _LEAVE.execute_many(tx.connection, values)


# -- What is prepared for the buyer ---------------------------------------------------


_ADD_RECORD = Prepared.insert(record)
_ADD_ALIAS = Prepared.insert(alias)
_ADD_FOLIO = Prepared.insert(folio)
_ADD_CUSTODY = Prepared.insert(custody)
_ADD_ENTRY = Prepared.insert(index_entry)
_ADD_CONSENT = Prepared.insert(consent)
_CONSENT: Final = [column.name for column in consent.columns]
_CONSENTS = Prepared(
    select(consent)
    .where(consent.c.party == bindparam("party"), _RECORDS.holds(consent.c.record))
    .order_by(consent.c.record)
)


def insert_pending(
    tx: Tx,
    handover: str,
    buyer: str,
    records: Sequence[PendingRecord],
    folios: Sequence[PendingFolio],
) -> None:
    """Insert pending records, folios, custody and index entries, in key order."""
    if not records:
        return
    _insert_records(tx, handover, buyer, records)
    # A batch has a handful of different terms.
    terms = {one: one.as_json() for one in {held.terms for held in folios}}
    _ADD_FOLIO.execute_many(tx.connection, [_folio(one) for one in folios])
    _ADD_CUSTODY.execute_many(
        tx.connection,
        [_custody(one, terms[one.terms], handover) for one in folios],
    )
    entries = [
        {
            "party": buyer,
            "field": name,
            "value": value,
            "arrived_by": handover,
            # Each in a slot of its own: two of the seller's may share what the
            # buyer calls unique, and before the turn nothing may collide.
            "unique_slot": one.id,
            "record": one.id,
        }
        for one in records
        for name, value in sorted(set(one.values))
    ]
    if entries:
        _ADD_ENTRY.execute_many(tx.connection, entries)


def _insert_records(
    tx: Tx, handover: str, buyer: str, records: Sequence[PendingRecord]
) -> None:
    now = milliseconds(tx.now)
    rows = [
        {
            "party": buyer,
            "arrived_by": handover,
            "id": one.id,
            "external_id_sealed": None,
            "origin_external_id_sealed": one.origin_external_id_sealed,
            "identity_key_version": one.identity_key_version,
            "etag": 1,
            "created_at": now,
            "updated_at": now,
        }
        for one in records
    ]
    _ADD_RECORD.execute_many(tx.connection, rows)
    names = [
        {"alias": random_alias(), "party": buyer, "record": one.id} for one in records
    ]
    _ADD_ALIAS.execute_many(tx.connection, names)


def _folio(one: PendingFolio) -> dict[str, Any]:
    return {
        **_at(one.place),
        "current_version": one.version,
        "basis": one.terms.basis,
        "last_activity": one.last_activity,
        "retention": one.terms.retention,
        "tags": one.tags,
        "entries": one.entries,
        "bytes": one.size,
    }


def _custody(one: PendingFolio, terms: str, handover: str) -> dict[str, Any]:
    return {
        **_at(one.place),
        "version": one.version,
        "key_version": one.key_version,
        "wrap": one.wrap,
        "terms": terms,
        "arrived_by": handover,
        "left_by": "",
        "destroyed_at": None,
    }


def _at(place: Place) -> dict[str, str]:
    return {
        "party": place.party,
        "record": place.record,
        "class": place.class_,
        "volume": place.volume,
    }


def carry_consents(
    tx: Tx,
    seller: str,
    buyer: str,
    moved: Mapping[str, tuple[str, Collection[str]]],
) -> None:
    """Copy what binds or entitles the buyer: opt-outs, and consents that name it.

    Args:
        tx: The transaction.
        seller: Who holds the consents.
        buyer: Who gets them.
        moved: Seller's record → (buyer's record, classes that move).
    """
    carried: dict[tuple[str, ...], dict[str, Any]] = {}
    rows = (
        dict(zip(_CONSENT, row, strict=True))
        for part in _RECORDS.parts(moved)
        for row in _CONSENTS.all(tx.connection, party=seller, **part)
    )
    for row in rows:
        new_record, classes = moved[row["record"]]
        is_opt_out = row["kind"] == OPT_OUT
        if not is_opt_out and (
            row["recipient"] != buyer or row["class"] not in classes
        ):
            continue
        # An opt-out was told to the seller; from the turn on it is told to the buyer.
        key = (new_record, row["kind"], row["class"])
        known = carried.get(key)
        if known is not None and known["withdrawn_at"] is None:
            continue
        carried[key] = {**row, "party": buyer, "record": new_record, "recipient": buyer}
    if carried:
        _ADD_CONSENT.execute_many(tx.connection, list(carried.values()))
