# SPDX-License-Identifier: Apache-2.0
"""Merging two records of a party: one goes on with what both held, the other ends.

Opened and sealed before the transaction, from states that must not have moved in it.
What the kept record holds afterwards is decided in `custody.merging`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from contracts.events.collisions import RecordMerged
from services.chassis import outbox
from services.chassis.database import Tx
from services.vault.catalogue import IDENTITY
from services.vault.custody import (
    EXTERNAL_ID,
    CustodyState,
    FolioFactsRow,
    FolioFrozen,
    HandedOver,
    HeldFolio,
    Place,
    SealedVersion,
    StoredRecord,
    bump_etag,
    find_record,
    frozen_volumes,
    held_folios,
    insert_folio,
    is_handed_over,
    keyed_digest,
    move_folio,
    open_folio,
    open_identity,
    retag,
    seal_folio,
    seal_identity,
)
from services.vault.custody import handover as custody
from services.vault.custody.merging import Merged, MergedFolio, Opened, merge
from services.vault.keys.keyring import KeyVersion, PartyKeys
from services.vault.mandate.errors import BothNumbered, Overtaken
from services.vault.mandate.ground import Ground
from services.vault.mandate.settling import unique_fields
from services.vault.parties import bump_epoch


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two records in the snapshot."""

    record: StoredRecord
    folios: Sequence[HeldFolio] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Written:
    """A folio of the kept record, sealed."""

    folio: MergedFolio = field(repr=False)
    version: SealedVersion


@dataclass(frozen=True, slots=True)
class Prepared:
    """A merge ready for its transaction.

    Attributes:
        values: The unique values (field, keyed hash) of either, whose locks it needs.
        numbers: The kept record's sealed numbers, own and origin; None if unchanged.
        unique: The fields whose values are unique.
    """

    kept: StoredRecord
    absorbed: StoredRecord
    classes: Sequence[str]
    merged: Merged = field(repr=False)
    written: Sequence[_Written]
    numbers: tuple[bytes | None, bytes | None] | None = field(repr=False)
    values: set[tuple[str, bytes]] = field(repr=False)
    unique: set[str]
    retagged: bool

    @property
    def aliases(self) -> dict[str, str]:
        """Record → alias, of both."""
        return {one.id: one.alias for one in (self.kept, self.absorbed)}

    def require_unmoved(self, tx: Tx) -> None:
        """Refuse what was opened before a change, a freeze or a turn.

        Raises:
            Overtaken: Either record changed.
            HandedOver, FolioFrozen: See `prepare`.
        """
        for one in (self.kept, self.absorbed):
            now = find_record(tx.connection, one.party, one.id)
            if now is None or now.etag != one.etag:
                raise Overtaken("a record changed meanwhile")
            _require_free(tx.connection, one)
        if not _values(tx.connection, self.kept, self.absorbed, self.unique) <= (
            self.values
        ):
            raise Overtaken("a record has another value meanwhile")

    def apply(self, tx: Tx, by: dict[str, str | None]) -> None:
        """Give the kept record everything, with the event that names both."""
        party, kept, absorbed = self.kept.party, self.kept.id, self.absorbed.id
        for one in self.written:
            store = move_folio if one.version.base else insert_folio
            store(tx, one.version, self._facts(one.folio), one.folio.terms)
        if self.retagged:
            retag(tx, party, kept, self.merged.tags)
        taken = set(self.merged.taken)
        if self.numbers is not None:
            custody.put_numbers(tx, self.kept, *self.numbers)
            taken.add(EXTERNAL_ID)
        custody.absorb_values(
            tx, party, kept, absorbed, taken=taken, unique=self.unique
        )
        custody.unite_rights(tx, party, kept, absorbed)
        bump_etag(tx, self.kept)
        bump_epoch(tx, party)
        self._tell(tx, by)

    def end(self, tx: Tx) -> None:
        """Delete what is left of the absorbed record."""
        custody.end_record(tx, self.absorbed)

    def _facts(self, folio: MergedFolio) -> FolioFactsRow:
        return FolioFactsRow(
            basis=folio.terms.basis,
            last_activity=folio.last_activity,
            retention=folio.terms.retention,
            tags=self.merged.tags,
            entries=folio.entries,
            size=folio.size,
        )

    def _tell(self, tx: Tx, by: dict[str, str | None]) -> None:
        event = RecordMerged.model_validate(
            {
                **by,
                "record": self.absorbed.alias,
                "into": self.kept.alias,
                "classes": list(self.classes),
                "digests": {
                    f"{one.folio.class_}/{one.folio.volume}": keyed_digest(
                        one.version.digest, self.kept.alias
                    )
                    for one in self.written
                },
            }
        )
        outbox.append(tx, event.draft(self.kept.party))


async def prepare(ground: Ground, party: str, kept: str, absorbed: str) -> Prepared:
    """Open both records and seal what the kept one will hold.

    Raises:
        Overtaken: One of them was erased meanwhile.
        HandedOver: A handover took anything of either away.
        FolioFrozen: A live handover pinned anything of either.
        BothNumbered: Both have a number of their own, and one would be lost.
        SealBroken, KeyGone: A row was altered; its key was destroyed.
    """
    unique = unique_fields(await ground.catalogues.of(party))
    sides, values = await ground.changes.read(
        lambda c: _gather(c, party, kept, absorbed, unique)
    )
    mine, theirs = sides
    keys = await ground.keyring.of(party, creating=[IDENTITY])
    merged = merge(_opened(keys, mine), _opened(keys, theirs))
    return Prepared(
        kept=mine.record,
        absorbed=theirs.record,
        classes=sorted({one.place.class_ for one in theirs.folios}),
        merged=merged,
        written=[_sealed(ground, keys, kept, one) for one in merged.folios],
        numbers=_numbers(ground, keys, mine.record, theirs.record),
        values=values,
        unique=unique,
        retagged=any(set(f.tags) != set(merged.tags) for f in mine.folios),
    )


def _gather(
    connection: Connection, party: str, kept: str, absorbed: str, unique: set[str]
) -> tuple[tuple[_Side, _Side], set[tuple[str, bytes]]]:
    mine, theirs = (_side(connection, party, id_) for id_ in (kept, absorbed))
    return (mine, theirs), _values(connection, mine.record, theirs.record, unique)


def _side(connection: Connection, party: str, id_: str) -> _Side:
    record = find_record(connection, party, id_)
    if record is None:
        raise Overtaken("a record was erased meanwhile")
    _require_free(connection, record)
    return _Side(record, held_folios(connection, party, id_))


def _require_free(connection: Connection, record: StoredRecord) -> None:
    if is_handed_over(connection, record.party, record.id):
        raise HandedOver
    for handover in frozen_volumes(connection, record.party, record.id).values():
        raise FolioFrozen(handover)


def _values(
    connection: Connection, one: StoredRecord, other: StoredRecord, unique: set[str]
) -> set[tuple[str, bytes]]:
    entries = custody.entries_of(connection, one.party, [one.id, other.id])
    return {e.key for e in entries if e.field in unique or e.field == EXTERNAL_ID}


def _opened(keys: PartyKeys, side: _Side) -> list[Opened]:
    return [
        Opened(one, open_folio(one, keys.version(one.place.class_, one.key_version)))
        for one in side.folios
        if one.state is CustodyState.ACTIVE
    ]


def _sealed(ground: Ground, keys: PartyKeys, kept: str, one: MergedFolio) -> _Written:
    sealed = seal_folio(
        Place(keys.party, kept, one.class_, one.volume),
        one.content,
        version=ground.new_id(),
        base=one.base,
        key=keys.primary(one.class_),
        random_bytes=ground.random_bytes,
    )
    return _Written(one, sealed)


def _numbers(
    ground: Ground, keys: PartyKeys, kept: StoredRecord, absorbed: StoredRecord
) -> tuple[bytes | None, bytes | None] | None:
    """Return the kept record's numbers with those that it gets; None if none.

    Raises:
        BothNumbered: Both have a number of their own.
    """
    if kept.external_id_sealed and absorbed.external_id_sealed:
        raise BothNumbered
    found: dict[str, Any] = {}
    for column in (EXTERNAL_ID, "origin_external_id"):
        own = getattr(kept, f"{column}_sealed")
        theirs = getattr(absorbed, f"{column}_sealed")
        found[column] = own
        if own is None and theirs is not None:
            number = open_identity(
                absorbed.party,
                absorbed.id,
                theirs,
                key=_identity_key(keys, absorbed),
                column=column,
            )
            found[column] = seal_identity(
                kept.party,
                kept.id,
                number,
                key=_identity_key(keys, kept),
                random_bytes=ground.random_bytes,
                column=column,
            )
    own_numbers = (kept.external_id_sealed, kept.origin_external_id_sealed)
    numbers = (found[EXTERNAL_ID], found["origin_external_id"])
    return None if numbers == own_numbers else numbers


def _identity_key(keys: PartyKeys, record: StoredRecord) -> KeyVersion:
    version = record.identity_key_version
    return KeyVersion(version, keys.version(IDENTITY, version))
