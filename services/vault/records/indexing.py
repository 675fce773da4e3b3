# SPDX-License-Identifier: Apache-2.0
"""Index entries of normal forms: keyed hashes under a party's index keys. Pure.

An index entry is a hint and no proof: before a record is changed because its number
was found, the number sealed in it is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.vault.catalogue import IDENTITY, Catalogue, IndexTerm
from services.vault.custody import (
    EXTERNAL_ID,
    IndexValue,
    StoredRecord,
    open_identity,
)
from services.vault.errors import SealBroken, SealFault
from services.vault.keys.blind_index import index_value
from services.vault.keys.keyring import KeyVersion, PartyKeys
from services.vault.keys.normalise import normalise_text


def index_values(keys: PartyKeys, terms: Sequence[IndexTerm]) -> list[IndexValue]:
    """Return the index entries of normal forms, each once."""
    found = [
        IndexValue(
            term.field,
            index_value(keys.index(term.class_), term.field, term.normalised),
            term.unique,
        )
        for term in terms
    ]
    return list(dict.fromkeys(found))


def indexed_fields(catalogue: Catalogue, classes: set[str]) -> list[str]:
    """Return the fields of `classes` that have index entries."""
    return [
        field.name
        for class_ in classes
        for field in catalogue.fields_of(class_)
        if field.searchable
    ]


def external_value(keys: PartyKeys, external_id: str) -> IndexValue:
    """Return the index entry of a record's own number in its party's CRM.

    Raises:
        FieldUnparsable: Nothing is left of it in its normal form.
    """
    normal = normalise_text(external_id, field=EXTERNAL_ID)
    value = index_value(keys.index(IDENTITY), EXTERNAL_ID, normal)
    return IndexValue(EXTERNAL_ID, value, unique=True)


def require_number(keys: PartyKeys, record: StoredRecord, external_id: str) -> None:
    """Refuse a record that an index entry named and that has another number.

    Raises:
        SealBroken: The index entry was moved to this record, or the record altered.
    """
    sealed, version = record.external_id_sealed, record.identity_key_version
    if sealed is None:
        raise SealBroken(SealFault.COMMITMENT).at(record.id, IDENTITY)
    number = open_identity(
        record.party,
        record.id,
        sealed,
        key=KeyVersion(version, keys.version(IDENTITY, version)),
        column=EXTERNAL_ID,
    )
    if external_value(keys, number) != external_value(keys, external_id):
        raise SealBroken(SealFault.COMMITMENT).at(record.id, IDENTITY)
