# SPDX-License-Identifier: Apache-2.0
"""SQL of settlements: arrived index entries become native, and collisions are listed.

Callers hold the party's scope lock shared, the lock of each record they name and of
each unique value.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.vault.custody.settlement import UNIQUE
from services.vault.custody.state import (
    SettlementState,
    TurnState,
)
from services.vault.custody.store.turns import is_active
from services.vault.custody.tables import (
    custody,
    index_entry,
    record,
    settlement,
    turn,
)


class Settlement(NamedTuple):
    """How far a handover's index entries are settled.

    Attributes:
        cursor: The last record settled; empty before the first.
        records: How many are settled.
        collisions: How many were found.
    """

    handover: str
    party: str
    state: SettlementState
    cursor: str
    records: int
    collisions: int


class Entry(NamedTuple):
    """An index entry; `value` is a keyed hash."""

    record: str
    field: str
    value: bytes
    slot: str

    @property
    def key(self) -> tuple[str, bytes]:
        """The field and its value."""
        return self.field, self.value


# -- Progress -------------------------------------------------------------------------

_PROGRESS = tuple(settlement.c[name] for name in Settlement._fields)


def insert_settlement(tx: Tx, handover: str, party: str) -> None:
    """Begin to settle: in the transaction of the turn, so that none is forgotten."""
    begun = Settlement(handover, party, SettlementState.RUNNING, "", 0, 0)
    tx.execute(insert(settlement).values(begun._asdict()))


def find_settlement(connection: Connection, handover: str) -> Settlement | None:
    """Return how far a handover is settled; None before its turn."""
    row = connection.execute(
        select(*_PROGRESS).where(settlement.c.handover == handover)
    ).first()
    return None if row is None else _settlement(row)


def running_settlements(connection: Connection) -> list[str]:
    """Return the handovers that turned and are not settled."""
    return list(
        connection.execute(
            select(settlement.c.handover)
            .where(settlement.c.state == SettlementState.RUNNING.value)
            .order_by(settlement.c.handover)
        ).scalars()
    )


def _settlement(row: Any) -> Settlement:
    return Settlement(row[0], row[1], SettlementState(row[2]), *row[3:])


def advance_settlement(tx: Tx, known: Settlement, new: Settlement) -> bool:
    """Record a settled slice; False if another worker settled it first."""
    moved = tx.execute(
        update(settlement)
        .where(
            settlement.c.handover == known.handover,
            settlement.c.state == SettlementState.RUNNING.value,
            settlement.c.cursor == known.cursor,
        )
        .values({**new._asdict(), "state": new.state.value})
    )
    return moved.rowcount == 1


# -- Arrived entries ------------------------------------------------------------------


def arrived_records(connection: Connection, known: Settlement, limit: int) -> list[str]:
    """Return the next records that came with the handover, in order."""
    return list(
        connection.execute(
            select(record.c.id)
            .where(
                record.c.party == known.party,
                record.c.arrived_by == known.handover,
                record.c.id > known.cursor,
            )
            .order_by(record.c.id)
            .limit(limit)
        ).scalars()
    )


_ENTRY = (
    index_entry.c.record,
    index_entry.c.field,
    index_entry.c.value,
    index_entry.c.unique_slot,
)


def entries_of(
    connection: Connection,
    party: str,
    records: Collection[str],
    arrived_by: str | None = None,
) -> list[Entry]:
    """Return the index entries of records, in order; of one arrival, or all."""
    chosen = select(*_ENTRY).where(
        index_entry.c.party == party, index_entry.c.record.in_(records)
    )
    if arrived_by is not None:
        chosen = chosen.where(index_entry.c.arrived_by == arrived_by)
    rows = connection.execute(
        chosen.order_by(index_entry.c.record, index_entry.c.field, index_entry.c.value)
    )
    return [Entry(*row) for row in rows]


def native_entries(
    connection: Connection, party: str, keys: Collection[tuple[str, bytes]]
) -> list[Entry]:
    """Return the native entries of (field, value) pairs."""
    by_field: dict[str, list[bytes]] = {}
    for name, value in keys:
        by_field.setdefault(name, []).append(value)
    found = []
    for name, values in sorted(by_field.items()):
        rows = connection.execute(
            select(*_ENTRY).where(
                index_entry.c.party == party,
                index_entry.c.field == name,
                index_entry.c.value.in_(sorted(values)),
                index_entry.c.arrived_by == "",
            )
        )
        found += [Entry(*row) for row in rows]
    return found


def records_with(
    connection: Connection, party: str, class_: str, records: Collection[str]
) -> set[str]:
    """Return those of `records` of whose class the party has active custody."""
    rows = connection.execute(
        select(custody.c.record)
        .where(
            custody.c.party == party,
            custody.c.record.in_(records),
            custody.c["class"] == class_,
            is_active(),
        )
        .distinct()
    )
    return set(rows.scalars())


def settle_plain(tx: Tx, known: Settlement, entries: Sequence[Entry]) -> None:
    """Make arrived entries of fields that are not unique native ones."""
    names = sorted({one.field for one in entries})
    if not names:
        return
    tx.execute(
        update(index_entry)
        .where(
            index_entry.c.party == known.party,
            index_entry.c.record.in_(sorted({one.record for one in entries})),
            index_entry.c.field.in_(names),
            index_entry.c.arrived_by == known.handover,
        )
        .values(arrived_by="")
    )


def settle_unique(tx: Tx, known: Settlement, entry: Entry, slot: str) -> None:
    """Make an arrived entry of a unique field a native one, in `slot`."""
    tx.execute(
        update(index_entry)
        .where(_at(known.party, entry), index_entry.c.arrived_by == known.handover)
        .values(arrived_by="", unique_slot=slot)
    )


def move_slot(tx: Tx, party: str, entry: Entry, slot: str) -> None:
    """Move a native entry to another slot: the unique one, or its record's own."""
    tx.execute(
        update(index_entry)
        .where(_at(party, entry), index_entry.c.arrived_by == "")
        .values(unique_slot=slot)
    )


def forget_entry(tx: Tx, party: str, entry: Entry) -> None:
    """Delete an entry, whatever brought it."""
    tx.execute(delete(index_entry).where(_at(party, entry)))


def give_entry(tx: Tx, party: str, entry: Entry, to: str) -> None:
    """Make an entry a native one of another record; a unique one stays unique."""
    slot = UNIQUE if entry.slot == UNIQUE else to
    tx.execute(
        update(index_entry)
        .where(_at(party, entry))
        .values(record=to, arrived_by="", unique_slot=slot)
    )


def _at(party: str, entry: Entry) -> Any:
    return and_(
        index_entry.c.party == party,
        index_entry.c.field == entry.field,
        index_entry.c.value == entry.value,
        index_entry.c.record == entry.record,
    )


# -- What comes back ------------------------------------------------------------------


def went_to(
    connection: Connection, party: str, other: str, records: Collection[str]
) -> set[str]:
    """Return those of `records` of which a handover took something to `other`."""
    rows = connection.execute(
        select(custody.c.record)
        .join(turn, turn.c.handover == custody.c.left_by)
        .where(
            custody.c.party == party,
            custody.c.record.in_(records),
            turn.c.buyer == other,
            turn.c.state == TurnState.TURNED.value,
        )
        .distinct()
    )
    return set(rows.scalars())


def put_number(tx: Tx, party: str, record_id: str, sealed: bytes) -> None:
    """Store the sealed number that a record takes over; a change like any other."""
    tx.execute(
        update(record)
        .where(record.c.party == party, record.c.id == record_id)
        .values(
            external_id_sealed=sealed,
            etag=record.c.etag + 1,
            updated_at=milliseconds(tx.now),
        )
    )
