# SPDX-License-Identifier: Apache-2.0
"""Index entries of normal forms: keyed hashes under a party's index keys. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.vault.catalogue import IDENTITY, IndexTerm
from services.vault.custody import EXTERNAL_ID, IndexValue
from services.vault.keys.blind_index import index_value
from services.vault.keys.keyring import PartyKeys
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


def external_value(keys: PartyKeys, external_id: str) -> IndexValue:
    """Return the index entry of a record's own number in its party's CRM.

    Raises:
        FieldUnparsable: Nothing is left of it in its normal form.
    """
    normal = normalise_text(external_id, field=EXTERNAL_ID)
    value = index_value(keys.index(IDENTITY), EXTERNAL_ID, normal)
    return IndexValue(EXTERNAL_ID, value, unique=True)
