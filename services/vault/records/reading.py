# SPDX-License-Identifier: Apache-2.0
"""Decide what one read shows, and build the answer. Pure: no I/O, no clock.

Source: vault.md, Reading. A class is shown in so far as its folios may be: restricted
volumes beside an active one are left out, a class of which nothing may be shown is a
denial. Fields of a grade the caller is not cleared for are withheld.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.purposes import RESTRICTED, Purpose
from services.vault import custody
from services.vault.access import (
    Access,
    Action,
    Allowed,
    Attributes,
    Caller,
    Denied,
    Gap,
    View,
    show_fields,
)
from services.vault.catalogue import IDENTITY, Catalogue, Grade
from services.vault.custody import (
    CustodyState,
    FiledConsent,
    FiledObjection,
    HeldFolio,
    StoredRecord,
)
from services.vault.keys.keyring import PartyKeys
from services.vault.records.content import shown_entries

UNMASKED = "none"
PURPOSE_NOT_AGREED = "purpose-not-agreed"


@dataclass(frozen=True, slots=True)
class Held:
    """A record and all that a decision about it needs, in one snapshot."""

    record: StoredRecord
    folios: Sequence[HeldFolio] = field(repr=False)
    consents: Sequence[FiledConsent]
    objections: Sequence[FiledObjection]
    handed_over: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be shown of a record.

    Attributes:
        classes: Those disclosed.
        folios: Their folios that may be opened.
        withheld: Fields of a grade that the caller is not cleared for.
    """

    held: Held
    classes: Sequence[str]
    folios: Sequence[HeldFolio] = field(repr=False)
    withheld: frozenset[str]

    @property
    def epoch(self) -> int:
        """The epoch of the snapshot."""
        return self.held.epoch


@dataclass(frozen=True, slots=True)
class Refused:
    """A read that is not allowed, and the classes it was about."""

    outcome: Denied | Gap
    classes: Sequence[str]


def judge(
    access: Access,
    caller: Caller,
    action: Action,
    held: Held,
    asked: Sequence[str] | None,
    catalogue: Catalogue,
) -> Shown | Refused:
    """Return what of a record may be shown; the first class with nothing refuses.

    Args:
        access: The rules.
        caller: Who asks, and why.
        action: Read, or history.
        held: The record.
        asked: The classes asked for; None for all that the party holds.
        catalogue: The party's.
    """
    classes = sorted({f.place.class_ for f in held.folios} if asked is None else asked)
    shown: list[HeldFolio] = []
    withheld: set[str] = set()
    for class_ in classes or [IDENTITY]:
        mine = [f for f in held.folios if f.place.class_ == class_]
        found = _judge_class(access, caller, action, held, class_, mine)
        if isinstance(found, Refused):
            return Refused(found.outcome, classes)
        shown += found
        withheld |= _withheld(access, caller, action, held, class_, catalogue)
    return Shown(held, classes, shown, frozenset(withheld))


def _judge_class(
    access: Access,
    caller: Caller,
    action: Action,
    held: Held,
    class_: str,
    folios: Sequence[HeldFolio],
) -> list[HeldFolio] | Refused:
    allowed: list[HeldFolio] = []
    refusal: Denied | Gap | None = None
    bare = CustodyState.RESTRICTED if held.handed_over else CustodyState.ACTIVE
    for state in sorted({f.state for f in folios} or {bare}):
        outcome = access.decide([_attributes(caller, action, held, class_, state)])
        if not isinstance(outcome, Allowed):
            refusal = outcome
            continue
        agreed = [f for f in folios if f.state is state and _agreed(caller, held, f)]
        if agreed or not folios:
            allowed += agreed
            if not folios:
                return []
        else:
            refusal = Denied(PURPOSE_NOT_AGREED)
    if not allowed and refusal is not None:
        return Refused(refusal, [class_])
    return allowed


def _attributes(
    caller: Caller,
    action: Action,
    held: Held,
    class_: str,
    state: CustodyState,
    grade: Grade = Grade.GENERAL,
) -> Attributes:
    purpose = caller.why()
    return Attributes(
        role=caller.role,
        action=action,
        class_=class_,
        purpose=purpose,
        grade=grade,
        custody=state,
        opted_in=opted(held, purpose, custody.OPT_IN),
        objected=opted(held, purpose, custody.OPT_OUT)
        or any(
            o.recipient == caller.party and not o.handover and o.withdrawn_at is None
            for o in held.objections
        ),
    )


def opted(held: Held, purpose: Purpose, kind: str) -> bool:
    """Whether the person's opt-in (or opt-out) to this very purpose stands."""
    return any(
        c.kind == kind and purpose.value in c.classes and c.withdrawn_at is None
        for c in held.consents
    )


def _agreed(caller: Caller, held: Held, folio: HeldFolio) -> bool:
    """Whether the terms that came with the custody allow the purpose."""
    purpose = caller.why()
    if purpose in RESTRICTED:
        return True  # what a law or the person demands needs no agreement
    if opted(held, purpose, custody.OPT_IN):
        return True
    terms = folio.terms
    if purpose.value in terms.denied_purposes:
        return False
    return terms.purposes is None or purpose.value in terms.purposes


def _withheld(
    access: Access,
    caller: Caller,
    action: Action,
    held: Held,
    class_: str,
    catalogue: Catalogue,
) -> set[str]:
    hidden: set[str] = set()
    for grade in sorted(catalogue.grades(class_) - {Grade.GENERAL}):
        state = CustodyState.ACTIVE  # the class itself is allowed already
        asked = _attributes(caller, action, held, class_, state, grade)
        if not isinstance(access.decide([asked]), Allowed):
            hidden |= {f.name for f in catalogue.fields_of(class_) if f.grade is grade}
    return hidden


def open_held(keys: PartyKeys, held: HeldFolio) -> Any:
    """Open a held folio under the party's keys.

    Raises:
        SealBroken, KeyGone: See `custody.open_folio` and `PartyKeys.version`.
    """
    return custody.open_folio(held, keys.version(held.place.class_, held.key_version))


def apart(
    opened: Iterable[tuple[HeldFolio, Any]],
) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return opened folios by class: documents, and entries as they are shown."""
    documents: dict[str, dict[str, Any]] = {}
    stored: dict[str, list[Any]] = {}
    for folio, content in opened:
        class_ = folio.place.class_
        if isinstance(content, list):
            stored.setdefault(class_, []).extend(content)
        else:
            documents[class_] = content
    return documents, {
        class_: list(shown_entries(found)) for class_, found in stored.items()
    }


def build(
    shown: Shown,
    opened: Iterable[tuple[HeldFolio, Any]],
    view: View,
    catalogue: Catalogue,
) -> dict[str, Any]:
    """Return `documents` and `entries` of an answer from opened folios."""
    documents, entries = apart(opened)
    return {
        "documents": {
            class_: _show(shown, view, catalogue, class_, content)
            for class_, content in documents.items()
        },
        "entries": {
            class_: [
                {
                    "entry_id": entry.pop("entry_id"),
                    "at": entry.pop("at"),
                    **_show(shown, view, catalogue, class_, entry),
                }
                for entry in found
            ]
            for class_, found in entries.items()
        },
    }


def _show(
    shown: Shown,
    view: View,
    catalogue: Catalogue,
    class_: str,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    visible = {n: v for n, v in fields.items() if n not in shown.withheld}
    if view is View.FULL:
        return visible
    masks = catalogue.masks(class_)
    plain = {n: v for n, v in visible.items() if masks.get(n) == UNMASKED}
    return {**show_fields(view, visible, masks), **plain}
