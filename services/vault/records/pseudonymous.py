# SPDX-License-Identifier: Apache-2.0
"""Build the pseudonym view of a record: what it was, and not whose. Pure.

Nothing of a record's own numbers leaves: its id and the ids of its entries are
pseudonyms, its tags and its numbers in CRMs are left out, the time of an entry is its
month. What becomes of a field is its kind's, in the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.vault.access import View, show_pseudonymous
from services.vault.catalogue import IDENTITY, Catalogue, Pseudonymised
from services.vault.custody import HeldFolio
from services.vault.keys.keyring import PartyKeys
from services.vault.keys.pseudonyms import pseudonym, pseudonym_key
from services.vault.records.reading import Shown, apart


def build(
    shown: Shown,
    opened: Iterable[tuple[HeldFolio, Any]],
    catalogue: Catalogue,
    keys: PartyKeys,
    purpose: str,
) -> dict[str, Any]:
    """Return the answer of the pseudonym view.

    Args:
        shown: What may be shown of the record.
        opened: Its folios with their content.
        catalogue: The party's.
        keys: The party's, with the index key of its identities.
        purpose: Of the read; another one's pseudonyms match none of these.
    """
    key = pseudonym_key(keys.index(IDENTITY), catalogue.party, purpose)
    documents, entries = apart(opened)
    zone = ZoneInfo(catalogue.timezone)
    return {
        "pseudonym": pseudonym(key, "id", shown.held.record.id),
        "view": View.PSEUDONYM.value,
        "documents": {
            class_: _fields(shown, catalogue, class_, content, key)
            for class_, content in documents.items()
        },
        "entries": {
            class_: [
                {
                    "entry_id": pseudonym(key, "entry_id", entry.pop("entry_id")),
                    "at": month_of(entry.pop("at"), zone),
                    **_fields(shown, catalogue, class_, entry, key),
                }
                for entry in found
            ]
            for class_, found in entries.items()
        },
        "withheld": sorted(shown.withheld | _left_out(shown, catalogue)),
    }


def month_of(at: str, zone: ZoneInfo) -> str:
    """Return the calendar month of a time in a zone, as `2026-03`."""
    return datetime.fromisoformat(at).astimezone(zone).date().isoformat()[:7]


def _fields(
    shown: Shown,
    catalogue: Catalogue,
    class_: str,
    fields: Mapping[str, Any],
    key: bytes,
) -> dict[str, Any]:
    visible = {n: v for n, v in fields.items() if n not in shown.withheld}
    rules = catalogue.pseudonymised(class_)
    return show_pseudonymous(visible, rules, catalogue.masks(class_), key)


def _left_out(shown: Shown, catalogue: Catalogue) -> frozenset[str]:
    return frozenset(
        name
        for class_ in shown.classes
        for name, rule in catalogue.pseudonymised(class_).items()
        if rule is Pseudonymised.LEFT_OUT
    )
