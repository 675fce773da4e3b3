# SPDX-License-Identifier: Apache-2.0
"""SQL of the blind index: finding records, and keeping unique values unique.

What a running handover prepared answers no look-up and causes no conflict: else a
buyer could test guesses against the seller's customers and then cancel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from services.chassis.database import Lock, LockKind, Tx
from services.chassis.prepared import Prepared
from services.vault.custody.errors import HandedOver, ValueTaken
from services.vault.custody.store.folios import active_classes
from services.vault.custody.store.records import is_handed_over
from services.vault.custody.store.turns import is_visible
from services.vault.custody.tables import index_entry

EXTERNAL_ID = "external_id"


class IndexValue(NamedTuple):
    """A value of a field as the index knows it: a keyed hash, 16 bytes."""

    field: str
    value: bytes
    unique: bool


def lock_of(party: str, value: IndexValue) -> Lock:
    """Return the declared lock of one value, for writers of unique values."""
    return Lock(LockKind.INDEX, f"{party}/{value.field}/{value.value.hex()}")


# Neither sorted nor made distinct here: SQLite would walk the party's whole index in
# the order of its records instead of going to the value.
_FIND = Prepared(
    select(index_entry.c.record).where(
        index_entry.c.party == bindparam("party"),
        index_entry.c.field == bindparam("field"),
        index_entry.c.value == bindparam("value"),
        is_visible(index_entry.c.arrived_by),
    )
)
_ADD = Prepared.insert(index_entry)


def find_by_value(
    connection: Connection, party: str, field: str, value: bytes
) -> list[str]:
    """Return the ids of the party's records with that value, pending ones never."""
    rows = _FIND.all(connection, party=party, field=field, value=value)
    return sorted({row.record for row in rows})


def find_own(connection: Connection, party: str, value: bytes) -> str | None:
    """Return the id of the party's record with that external id.

    Raises:
        HandedOver: The record was handed over: it is not created again.
    """
    for found in find_by_value(connection, party, EXTERNAL_ID, value):
        if is_handed_over(connection, party, found):
            raise HandedOver
        return found
    return None


def find_active(
    connection: Connection, party: str, field: str, value: bytes, class_: str | None
) -> list[str]:
    """As `find_by_value`, only records with active custody.

    Args:
        connection: A snapshot.
        party: Whose records.
        field: The catalogue's name of the field.
        value: Its keyed hash.
        class_: The class whose custody counts; None (for external ids) if any class
            left by a handover ends the answer.
    """
    found = find_by_value(connection, party, field, value)
    if class_ is None:
        return [r for r in found if not is_handed_over(connection, party, r)]
    return [r for r in found if class_ in active_classes(connection, party, r)]


def require_free(
    tx: Tx, party: str, values: Iterable[IndexValue], own: str = ""
) -> None:
    """Refuse unique values that a visible record has and `own` has not.

    What `own` has already it keeps: alone, or beside another record by a handover
    whose collision is open or was settled so.

    Raises:
        HandedOver: It was the party's, and was handed over.
        ValueTaken: Another record has it.
    """
    for value in values:
        if not value.unique:
            continue
        found = find_by_value(tx.connection, party, value.field, value.value)
        if not found or own in found:
            continue
        # Of one that came back the party has two records: what it has again counts.
        if all(is_handed_over(tx.connection, party, record) for record in found):
            raise HandedOver
        raise ValueTaken(value.field)


def insert_values(
    tx: Tx, party: str, record: str, values: Iterable[IndexValue]
) -> None:
    """Insert a record's index entries.

    Raises:
        ValueTaken: A unique value is another record's: the constraint behind
            `require_free`.
    """
    for value in values:
        try:
            _ADD.execute(
                tx.connection,
                party=party,
                field=value.field,
                value=value.value,
                arrived_by="",
                unique_slot="" if value.unique else record,
                record=record,
            )
        except IntegrityError as exc:
            raise ValueTaken(value.field) from exc


def replace_values(
    tx: Tx,
    party: str,
    record: str,
    fields: Collection[str],
    values: Iterable[IndexValue],
) -> None:
    """Give a record the index entries of `values` for `fields`, and no others.

    Entries that stay are left as they are: they may have arrived with a handover, or
    stand beside another record's by a decision.
    """
    mine = (index_entry.c.party == party, index_entry.c.record == record)
    rows = tx.execute(
        select(index_entry.c.field, index_entry.c.value).where(
            *mine, index_entry.c.field.in_(sorted(fields))
        )
    )
    known = {(row.field, row.value) for row in rows}
    wanted = {(value.field, value.value): value for value in values}
    for field, value in sorted(known - set(wanted)):
        tx.execute(
            delete(index_entry).where(
                *mine, index_entry.c.field == field, index_entry.c.value == value
            )
        )
    insert_values(
        tx, party, record, [one for key, one in wanted.items() if key not in known]
    )
    for key, one in wanted.items():
        if key in known and one.unique:
            claim(tx, party, record, *key)


def claim(tx: Tx, party: str, record: str, field: str, value: bytes) -> None:
    """Make a record's native entry the unique one, if nobody else has the value.

    The caller holds the value's lock.
    """
    if find_by_value(tx.connection, party, field, value) != [record]:
        return
    tx.execute(
        update(index_entry)
        .where(
            index_entry.c.party == party,
            index_entry.c.field == field,
            index_entry.c.value == value,
            index_entry.c.arrived_by == "",
            index_entry.c.unique_slot == record,
        )
        .values(unique_slot="")
    )


def delete_values(tx: Tx, party: str, record: str) -> None:
    """Delete all index entries of a record."""
    tx.execute(
        delete(index_entry).where(
            index_entry.c.party == party, index_entry.c.record == record
        )
    )
