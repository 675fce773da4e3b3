# SPDX-License-Identifier: Apache-2.0
"""A customer that comes back: the record it has now takes over the number it had.

A reverse handover brings a record of its own. Without its old number the party's CRM
would be refused for good, since what was handed over is not created again. It is the
same customer if it shares a unique value and comes from whom it went to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from services.chassis.database import Tx
from services.vault.catalogue import IDENTITY
from services.vault.custody import EXTERNAL_ID, open_identity, seal_identity
from services.vault.custody import handover as custody
from services.vault.custody.handover import Entry, NamedRecord, Settlement
from services.vault.keys.keyring import KeyVersion, PartyKeys
from services.vault.mandate.ground import Ground

Pair = tuple[str, str]
"""The record that came back, and the one it had been before."""


@dataclass(frozen=True, slots=True)
class Former:
    """Records that went to whom others come back from, with their numbers.

    Attributes:
        records: Both sides of each pair, by id.
        entries: The former records' entries of their numbers, by record.
    """

    pairs: Collection[Pair]
    records: Mapping[str, NamedRecord] = field(repr=False)
    entries: Mapping[str, Entry] = field(repr=False)


def find_former(
    connection: Connection, known: Settlement, pairs: Collection[Pair]
) -> Former:
    """Return those of `pairs` in which a number is to be taken over."""
    turn = custody.find_turn(connection, known.handover)
    if not pairs or turn is None:
        return Former((), {}, {})
    ids = sorted({former for _record, former in pairs})
    went = custody.went_to(connection, known.party, turn.seller, ids)
    entries = {
        one.record: one
        for one in custody.entries_of(connection, known.party, sorted(went), "")
        if one.field == EXTERNAL_ID
    }
    chosen = [pair for pair in pairs if pair[1] in entries]
    named = custody.named_records(
        connection, known.party, sorted({id_ for pair in chosen for id_ in pair})
    )
    return Former(chosen, named, entries)


def seal_numbers(
    ground: Ground, keys: PartyKeys, former: Former
) -> dict[Pair, tuple[Entry, bytes]]:
    """Return pair → the number's index entry, and the number sealed anew.

    Raises:
        SealBroken, KeyGone: A row was altered; its key was destroyed.
    """
    found: dict[Pair, tuple[Entry, bytes]] = {}
    for record, before in former.pairs:
        new, old = former.records[record], former.records[before]
        if old.external_id_sealed is None or new.external_id_sealed is not None:
            continue
        number = open_identity(
            keys.party,
            old.id,
            old.external_id_sealed,
            key=_key(keys, old),
            column=EXTERNAL_ID,
        )
        sealed = seal_identity(
            keys.party,
            new.id,
            number,
            key=_key(keys, new),
            random_bytes=ground.random_bytes,
        )
        found[record, before] = (former.entries[before], sealed)
    return found


def _key(keys: PartyKeys, record: NamedRecord) -> KeyVersion:
    version = record.identity_key_version
    return KeyVersion(version, keys.version(IDENTITY, version))


def take_over(tx: Tx, party: str, record: str, entry: Entry, sealed: bytes) -> None:
    """Give a record the number of the one it had been; callers hold both's locks."""
    if entry not in custody.entries_of(tx.connection, party, [entry.record], ""):
        return  # another record that came back took it first
    custody.put_number(tx, party, record, sealed)
    custody.give_entry(tx, party, entry, record)
