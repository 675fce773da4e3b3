# SPDX-License-Identifier: Apache-2.0
"""What a filed consent or objection may name: nothing that is not known already.

Both stand in the log with all they name, and the log is never erased. So each name in
them is one of this installation or of the catalogues: free text never gets there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from contracts.purposes import Purpose
from services.chassis.journal import Journal
from services.vault.catalogue import Catalogue
from services.vault.custody import OPT_IN, OPT_OUT, FiledConsent, FiledObjection
from services.vault.parties import are_enrolled
from services.vault.records.errors import ContentRefused

_PURPOSES: Final = frozenset(purpose.value for purpose in Purpose)


async def require_known(
    changes: Journal,
    catalogue: Catalogue,
    consents: Iterable[FiledConsent],
    objections: Iterable[FiledObjection],
) -> None:
    """Refuse consents and objections that name what is not known.

    Args:
        changes: Where the parties are enrolled.
        catalogue: The filing party's: a consent names its classes, an opt-in or
            opt-out names purposes.
        consents: Those to be filed.
        objections: Those to be filed; without recipient they are about everybody.

    Raises:
        ContentRefused: A class, purpose or recipient is unknown; names its place, as
            `/consents/0/recipient`.
    """
    recipients = {}
    for position, objection in enumerate(objections):
        if objection.recipient:
            recipients[f"/objections/{position}/recipient"] = objection.recipient
    for position, consent in enumerate(consents):
        place = f"/consents/{position}"
        recipients[f"{place}/recipient"] = consent.recipient
        _require_names(catalogue, consent, f"{place}/classes")
    if not recipients:
        return
    strange = await changes.read(
        lambda c: [
            place
            for place, party in recipients.items()
            if not are_enrolled(c, party, ())
        ]
    )
    if strange:
        raise ContentRefused(strange[0], "unknown", "is no enrolled party")


def _require_names(catalogue: Catalogue, consent: FiledConsent, place: str) -> None:
    known: Collection[str] = catalogue.classes
    told = "names a class that is not in the catalogue"
    if consent.kind in {OPT_IN, OPT_OUT}:
        known, told = _PURPOSES, f"must be of {', '.join(sorted(_PURPOSES))}"
    if any(name not in known for name in consent.classes):
        raise ContentRefused(place, "unknown", told)
