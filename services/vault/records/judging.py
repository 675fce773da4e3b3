# SPDX-License-Identifier: Apache-2.0
"""Remembers what `reading.judge` said of records that are alike.

A judgement is a function of values that most records of a party share. What it
depends on is the key; a person who filed anything is judged afresh each time. Lives
with the policy, which a process reads once, and with a party's catalogue.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from services.vault.access import Access, Action, Caller
from services.vault.catalogue import Catalogue
from services.vault.records import reading
from services.vault.records.reading import Held, Refused, Shown

MOST: Final = 4_096  # judgements remembered for a party


@dataclass(frozen=True, slots=True)
class _Alike:
    """What is shown of every record of a key; `places` are of its folios."""

    classes: Sequence[str]
    places: Sequence[int]
    withheld: frozenset[str]


class Judgements:
    """Judges as `reading.judge` does, and remembers."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._of: dict[str, tuple[Catalogue, dict[Hashable, _Alike | Refused]]] = {}

    def judge(
        self,
        caller: Caller,
        action: Action,
        held: Held,
        asked: Sequence[str] | None,
        catalogue: Catalogue,
    ) -> Shown | Refused:
        """Return what `reading.judge` returns of these."""
        if held.consents or held.objections:
            return reading.judge(self._access, caller, action, held, asked, catalogue)
        known = self._known(catalogue)
        key = _key(caller, action, held, asked)
        found = known.get(key)
        if found is None:
            said = reading.judge(self._access, caller, action, held, asked, catalogue)
            if len(known) >= MOST:
                known.clear()
            found = known[key] = _alike(held, said)
        if isinstance(found, Refused):
            return found
        folios = [held.folios[place] for place in found.places]
        return Shown(held, found.classes, folios, found.withheld)

    def _known(self, catalogue: Catalogue) -> dict[Hashable, _Alike | Refused]:
        known = self._of.get(catalogue.party)
        if known is None or known[0] is not catalogue:
            known = self._of[catalogue.party] = (catalogue, {})
        return known[1]


def _key(
    caller: Caller, action: Action, held: Held, asked: Sequence[str] | None
) -> Hashable:
    return (
        caller.role,
        caller.purpose,
        action,
        held.handed_over,
        None if asked is None else tuple(asked),
        tuple(
            [
                (f.place.class_, f.state, f.terms.purposes, f.terms.denied_purposes)
                for f in held.folios
            ]
        ),
    )


def _alike(held: Held, said: Shown | Refused) -> _Alike | Refused:
    if isinstance(said, Refused):
        return said
    places = {id(folio): place for place, folio in enumerate(held.folios)}
    shown = [places[id(folio)] for folio in said.folios]
    return _Alike(said.classes, shown, said.withheld)
