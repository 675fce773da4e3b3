# SPDX-License-Identifier: Apache-2.0
"""What a record holds after it absorbed another. Pure: opened contents in and out.

Of a document the kept record wins each field it has. Entries keep their volumes, and
with them the terms under which they came; nothing of either record is lost but what
the kept record's fields replace. Source: contracts/decisions/0018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.vault.custody.folios import CustodyTerms, HeldFolio
from services.vault.custody.volumes import DOCUMENT_VOLUME, Volume, merged, order_of

MAX_ENTRY_ID: Final = 64


@dataclass(frozen=True, slots=True)
class Opened:
    """A held folio with its content: fields, or a list of entries."""

    held: HeldFolio
    content: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class MergedFolio:
    """A folio of the kept record that must be written.

    Attributes:
        base: The version it follows; empty for a new folio.
    """

    class_: str
    volume: str
    base: str
    content: Any = field(repr=False)
    terms: CustodyTerms
    last_activity: str | None
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What the kept record gets.

    Attributes:
        taken: The fields of documents whose values are the absorbed record's.
        tags: Those of both.
    """

    folios: Sequence[MergedFolio]
    taken: frozenset[str]
    tags: tuple[str, ...]


def merge(kept: Sequence[Opened], absorbed: Sequence[Opened]) -> Merged:
    """Return what `kept` holds of `absorbed` afterwards, beside what it had."""
    folios: list[MergedFolio] = []
    taken: set[str] = set()
    for class_ in sorted({one.held.place.class_ for one in absorbed}):
        mine = [one for one in kept if one.held.place.class_ == class_]
        theirs = [one for one in absorbed if one.held.place.class_ == class_]
        if theirs[0].held.place.volume == DOCUMENT_VOLUME:
            found, fields = _document(class_, mine, theirs[0])
            folios += found
            taken |= fields
        else:
            folios += _entries(class_, mine, theirs)
    tags = {tag for one in (*kept, *absorbed) for tag in one.held.tags}
    return Merged(folios, frozenset(taken), tuple(sorted(tags)))


def _document(
    class_: str, mine: Sequence[Opened], theirs: Opened
) -> tuple[list[MergedFolio], set[str]]:
    before: Mapping[str, Any] = mine[0].content if mine else {}
    taken = set(theirs.content) - set(before)
    if mine and not taken:
        return [], set()
    terms = theirs.held.terms
    folio = MergedFolio(
        class_=class_,
        volume=DOCUMENT_VOLUME,
        base=mine[0].held.version if mine else "",
        content={**theirs.content, **before},
        terms=stricter(mine[0].held.terms, terms) if mine else terms,
        last_activity=None,
        entries=0,
        size=0,
    )
    return [folio], taken


def stricter(one: CustodyTerms, other: CustodyTerms) -> CustodyTerms:
    """Return terms that allow only what both allow; the basis is the first one's."""
    lists = [t.purposes for t in (one, other) if t.purposes is not None]
    purposes = None
    if lists:
        purposes = tuple(p for p in lists[0] if all(p in named for named in lists))
    ends = [t.retention for t in (one, other) if t.retention is not None]
    return CustodyTerms(
        basis=one.basis,
        purposes=purposes,
        denied_purposes=tuple(
            dict.fromkeys((*one.denied_purposes, *other.denied_purposes))
        ),
        retention=min(ends, default=None),
    )


def _entries(
    class_: str, mine: Sequence[Opened], theirs: Sequence[Opened]
) -> list[MergedFolio]:
    """Return the absorbed record's volumes under free names, less what is the same."""
    known = {e["entry_id"]: e for e in merged(e for one in mine for e in one.content)}
    latest = merged(e for one in theirs for e in one.content)
    names = _names(known, latest)
    volumes = {one.held.place.volume for one in mine}
    folios = []
    for one in sorted(theirs, key=lambda o: order_of(o.held.place.volume)):
        volume = Volume(_free_volume(one.held.place.volume, volumes))
        for entry in one.content:
            name = names[entry["entry_id"]]
            if name is not None:
                volume.put({**entry, "entry_id": name})
        if not volume.entries:
            continue
        volumes.add(volume.name)
        folios.append(
            MergedFolio(
                class_=class_,
                volume=volume.name,
                base="",
                content=list(volume.entries.values()),
                terms=one.held.terms,
                last_activity=one.held.last_activity,
                entries=len(volume.entries),
                size=volume.size,
            )
        )
    return folios


def _names(
    known: Mapping[str, Mapping[str, Any]], latest: Sequence[Mapping[str, Any]]
) -> dict[str, str | None]:
    """Return entry id → its id afterwards; None for what the kept record has as is."""
    used = {*known, *(entry["entry_id"] for entry in latest)}
    names: dict[str, str | None] = {}
    for entry in latest:
        id_ = entry["entry_id"]
        same = known.get(id_)
        if same is None:
            names[id_] = id_
        elif all(same[n] == entry[n] for n in ("at", "fields")):
            names[id_] = None
        else:
            names[id_] = _suffixed(id_, used)
            used.add(str(names[id_]))
    return names


def _suffixed(id_: str, used: set[str]) -> str:
    number = 2
    while True:
        suffix = f"~{number}"
        name = id_[: MAX_ENTRY_ID - len(suffix)] + suffix
        if name not in used:
            return name
        number += 1


def _free_volume(name: str, used: set[str]) -> str:
    """Return the first free volume of the year of `name`."""
    year = order_of(name)[0]
    numbers = [order_of(one)[1] for one in used if order_of(one)[0] == year]
    number = max(numbers, default=0) + 1
    return year if number == 1 else f"{year}-{number}"
