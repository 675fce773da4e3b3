# SPDX-License-Identifier: Apache-2.0
"""Settlement: after a turn the arrived index entries become the buyer's own, in slices.

A value that another record of the buyer has stays with both, and the pair is listed
for a person (`collisions`). A slice is one transaction and moves the cursor; a process
killed anywhere goes on from it, and two workers on one handover only wait for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.engine import Connection

from contracts.events.collisions import CollisionFound
from services.chassis import outbox
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import Lock, Tx
from services.vault.catalogue import IDENTITY, Catalogue
from services.vault.custody import IndexValue, aliases_of, lock_of
from services.vault.custody import handover as custody
from services.vault.custody.handover import Collision, Entry, Settlement
from services.vault.custody.settlement import UNIQUE, Holder, place
from services.vault.custody.state import CollisionState, SettlementState
from services.vault.mandate import returning
from services.vault.mandate.errors import Overtaken
from services.vault.mandate.ground import Ground, party_lock, record_locks
from services.vault.mandate.returning import Former, Pair

SLICE_RECORDS: Final = 100

Numbers = Mapping[Pair, tuple[Entry, bytes]]
Key = tuple[str, bytes]
"""A field and the keyed hash of its value."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """The next records, their entries by kind, and who has the unique values."""

    known: Settlement
    records: Sequence[str]
    plain: Sequence[Entry] = field(repr=False)
    unique: Sequence[Entry] = field(repr=False)
    holders: Mapping[Key, Sequence[Entry]] = field(repr=False)

    @property
    def named(self) -> set[str]:
        """Every record that the slice is about or that holds one of its values."""
        held = {one.record for entries in self.holders.values() for one in entries}
        return {*self.records, *held}


async def settle_all(ground: Ground, handover: str) -> None:
    """Settle everything that arrived with a handover; nothing before its turn."""
    while await _settle_slice(ground, handover):
        CRASH_POINTS.reach("vault.settlement.after_slice")


async def _settle_slice(ground: Ground, handover: str) -> bool:
    """Settle the next slice; return whether there may be another."""
    known = await ground.changes.read(lambda c: custody.find_settlement(c, handover))
    if known is None or known.state is SettlementState.SETTLED:
        return False
    catalogue = await ground.catalogues.of(known.party)
    found, former = await ground.changes.read(lambda c: _gather(c, catalogue, known))
    numbers: Numbers = {}
    if former.pairs:
        keys = await ground.keyring.of(known.party, creating=[IDENTITY])
        numbers = returning.seal_numbers(ground, keys, former)
    entries = [*found.unique, *(entry for entry, _sealed in numbers.values())]
    locks = [
        party_lock(known.party),
        *record_locks(known.party, sorted(found.named)),
        *_value_locks(known.party, entries),
    ]
    try:
        await ground.changes.write(
            lambda tx: _apply(tx, catalogue, found, numbers), locks
        )
    except Overtaken:
        return True  # somebody came between the two looks: look again
    return True


def _value_locks(party: str, entries: Sequence[Entry]) -> list[Lock]:
    keys = sorted({one.key for one in entries})
    return [lock_of(party, IndexValue(*key, unique=True)) for key in keys]


def _gather(
    connection: Connection, catalogue: Catalogue, known: Settlement
) -> tuple[_Slice, Former]:
    records = custody.arrived_records(connection, known, SLICE_RECORDS)
    found = _look(connection, catalogue, known, records)
    pairs = [
        (one.record, holder.record)
        for one in found.unique
        for holder in found.holders.get(one.key, ())
        if holder.slot == UNIQUE
    ]
    return found, returning.find_former(connection, known, pairs)


def _look(
    connection: Connection,
    catalogue: Catalogue,
    known: Settlement,
    records: Sequence[str],
) -> _Slice:
    entries = custody.entries_of(connection, known.party, records, known.handover)
    names = unique_fields(catalogue)
    unique = [one for one in entries if one.field in names]
    holders: dict[Key, list[Entry]] = {}
    native = custody.native_entries(
        connection, known.party, {one.key for one in unique}
    )
    for one in native:
        holders.setdefault(one.key, []).append(one)
    plain = [one for one in entries if one.field not in names]
    return _Slice(known, records, plain, unique, holders)


def unique_fields(catalogue: Catalogue) -> set[str]:
    """Return the names of the fields whose values are unique."""
    return {one.name for one in catalogue.fields.values() if one.unique}


def _apply(tx: Tx, catalogue: Catalogue, before: _Slice, numbers: Numbers) -> None:
    """Settle one slice under its locks.

    Raises:
        Overtaken: Another worker settled it, or a record that is not locked has one of
            its values.
    """
    known = before.known
    found = _look(tx.connection, catalogue, known, before.records)
    if not found.named <= before.named:
        raise Overtaken("a value came to another record meanwhile")
    custody.settle_plain(tx, known, found.plain)
    collisions = _place_all(tx, catalogue, found, numbers)
    custody.insert_collisions(tx, collisions)
    done = known._replace(
        cursor=before.records[-1] if before.records else known.cursor,
        records=known.records + len(before.records),
        collisions=known.collisions + len(collisions),
        state=SettlementState.RUNNING if before.records else SettlementState.SETTLED,
    )
    if not custody.advance_settlement(tx, known, done):
        raise Overtaken("another worker settled the slice")
    _tell(tx, collisions)


def _place_all(
    tx: Tx, catalogue: Catalogue, found: _Slice, numbers: Numbers
) -> list[Collision]:
    """Give each unique value its entry; return who collides over it."""
    known = found.known
    active = _active(tx.connection, catalogue, found)
    holders = {key: list(entries) for key, entries in found.holders.items()}
    collisions: list[Collision] = []
    pairs: set[tuple[str, str, str | None]] = set()
    for one in found.unique:
        others = holders.setdefault(one.key, [])
        placed = place(
            one.record,
            [
                Holder(h.record, h.slot, active=(one.field, h.record) in active)
                for h in others
            ],
            active=(one.field, one.record) in active,
        )
        if placed.aside is not None:
            others[:] = [_moved_aside(tx, known, h, placed.aside) for h in others]
            number = numbers.get((one.record, placed.aside))
            if number is not None:
                returning.take_over(tx, known.party, one.record, *number)
        custody.settle_unique(tx, known, one, placed.slot)
        others.append(Entry(one.record, one.field, one.value, placed.slot))
        pair = (one.field, one.record, placed.other)
        if placed.other is not None and pair not in pairs:
            pairs.add(pair)
            collisions.append(
                Collision(
                    handover=known.handover,
                    position=known.collisions + len(collisions) + 1,
                    party=known.party,
                    field=one.field,
                    record=one.record,
                    other=placed.other,
                    state=CollisionState.OPEN,
                    decision="",
                    kept="",
                )
            )
    return collisions


def _moved_aside(tx: Tx, known: Settlement, entry: Entry, aside: str) -> Entry:
    if entry.record != aside or entry.slot != UNIQUE:
        return entry
    custody.move_slot(tx, known.party, entry, entry.record)
    return Entry(entry.record, entry.field, entry.value, entry.record)


def _active(
    connection: Connection, catalogue: Catalogue, found: _Slice
) -> set[tuple[str, str]]:
    """Return (field, record) of those whose custody of the field's class is active."""
    by_field: dict[str, set[str]] = {}
    for one in [*found.unique, *(e for h in found.holders.values() for e in h)]:
        by_field.setdefault(one.field, set()).add(one.record)
    return {
        (name, record)
        for name, records in by_field.items()
        for record in custody.records_with(
            connection, found.known.party, catalogue.fields[name].class_, records
        )
    }


def _tell(tx: Tx, collisions: Sequence[Collision]) -> None:
    """Append the event of each collision: the buyer's alone, by its aliases."""
    if not collisions:
        return
    party = collisions[0].party
    ids = {id_ for one in collisions for id_ in (one.record, one.other)}
    aliases = aliases_of(tx.connection, party, sorted(ids))
    for one in collisions:
        event = CollisionFound(
            handover=one.handover,
            position=one.position,
            field=one.field,
            record=aliases[one.record],
            other=aliases[one.other],
        )
        outbox.append(tx, event.draft(party))
