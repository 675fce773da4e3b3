# SPDX-License-Identifier: Apache-2.0
"""Gather in one snapshot what a decision about records needs; opens nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.vault import custody
from services.vault.access import Access, Action, Caller
from services.vault.catalogue import IDENTITY, Catalogue
from services.vault.parties import epoch
from services.vault.records import reading
from services.vault.records.reading import Held, Refused


@dataclass(frozen=True, slots=True)
class Resolved:
    """Pairs of record and alias, in the order of the questions.

    Attributes:
        epoch: The party's, in the snapshot.
        aliases: Those disclosed.
        refused: Alias → why it is not resolved.
    """

    epoch: int
    answers: Sequence[tuple[str | None, str | None]]
    aliases: Sequence[str]
    refused: Mapping[str, Refused]


def held(
    connection: Any,
    party: str,
    id_: str,
    classes: Sequence[str] | None = None,
    *,
    folios: bool = True,
) -> Held | None:
    """Return a record with what a decision needs; None if it is not the party's.

    Args:
        connection: Of the snapshot.
        party: Whose record.
        id_: The record.
        classes: Of which folios are wanted; None for all.
        folios: False for a decision about the record's identity alone.
    """
    found = custody.find_with_facts(connection, party, id_)
    if found is None:
        return None
    filed = found.has_rights
    return Held(
        found.record,
        custody.held_folios(connection, party, id_, classes) if folios else (),
        custody.consents_of(connection, party, id_) if filed else (),
        custody.objections_of(connection, party, id_) if filed else (),
        found.handed_over,
        epoch(connection, party),
    )


def resolve(
    connection: Any,
    access: Access,
    caller: Caller,
    catalogue: Catalogue,
    records: Sequence[str],
    aliases: Sequence[str],
) -> Resolved:
    """Return the pairs for records, then aliases; each is judged by its own state."""
    by_record = custody.aliases_of(connection, caller.party, records)
    by_alias = custody.records_of(connection, caller.party, aliases)
    found = {**by_record, **{record: alias for alias, record in by_alias.items()}}
    refused: dict[str, Refused] = {}
    for record, alias in found.items():
        one = held(connection, caller.party, record, folios=False)
        if one is None:
            continue
        judged = reading.judge(
            access, caller, Action.RESOLVE, one, [IDENTITY], catalogue
        )
        if isinstance(judged, Refused):
            refused[alias] = judged
    told = {record: a for record, a in found.items() if a not in refused}
    known = {alias: record for record, alias in told.items()}
    pairs: list[tuple[str | None, str | None]] = [
        *((record, told.get(record)) for record in records),
        *((known.get(alias), alias) for alias in aliases),
    ]
    return Resolved(
        epoch(connection, caller.party), pairs, sorted(known), refused=refused
    )
