# SPDX-License-Identifier: Apache-2.0
"""A party's catalogue as one frozen value, and the check of documents by it. Pure.

A field that is not in the catalogue is refused at the door. A check returns what was
sent, unchanged, and the normal forms under which it is found again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from contracts.problems import Fault
from services.chassis.clock import parse_rfc3339
from services.vault.catalogue.errors import DocumentRefused, FieldUnknown, PhoneRefused
from services.vault.catalogue.kinds import (
    PSEUDONYMISED,
    FieldValue,
    Kind,
    Mask,
    Pseudonymised,
    fault_of,
)
from services.vault.errors import FieldUnparsable, PhoneUnparsable
from services.vault.keys.normalise import normalise

MAX_FAULTS: Final = 50
MAX_NAMED: Final = 20
IDENTITY: Final = "identity"
"""The pseudo-class under which a record's own number in a CRM is sealed."""

_BESIDE: Final = frozenset({"entry_id", "at"})
_ENTRY_ID: Final = re.compile(r"[!-~]{1,64}")
_MESSAGES: Final[Mapping[str, str]] = {
    "unknown_class": "is no class of the catalogue; it has",
    "unknown_field": "is no field of this class in the catalogue; it has",
    "wrong_form": "does not fit the form of this class",
    "entry_id": "must be 1-64 visible ASCII characters, once",
    "entry_at": "must be a time as in RFC 3339, with its offset",
    "phone_unparsable": "is no telephone number; write it with + and country code",
}


class Form(StrEnum):
    """How a class is stored: one volume, or one a calendar year."""

    DOCUMENT = "document"
    ENTRIES = "entries"


class Grade(StrEnum):
    """How closely a field is guarded; the words of the access policy."""

    GENERAL = "general"
    SENSITIVE = "sensitive"
    MINOR = "minor"


@dataclass(frozen=True, slots=True)
class DataClass:
    """A class of records' data."""

    name: str
    form: Form


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a class.

    Attributes:
        mask: How a masked view shows it; a name of `access.views`, or `none`.
        searchable: Whether it is indexed.
        unique: Whether two records of the party may not share a value.
    """

    name: str
    class_: str
    grade: Grade
    kind: Kind
    mask: str
    searchable: bool
    unique: bool


@dataclass(frozen=True, slots=True)
class IndexTerm:
    """A normal form under which a record is found by a field."""

    field: str
    class_: str
    normalised: str
    unique: bool

    def __repr__(self) -> str:
        return f"IndexTerm({self.field}, ***)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A checked entry; `at` is aware, `fields` are as sent."""

    entry_id: str
    at: datetime
    fields: Mapping[str, FieldValue]

    def __repr__(self) -> str:
        return "Entry(***)"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A party's classes and fields.

    Attributes:
        region: The party's home region, for telephone numbers.
        timezone: The party's time zone, for the years of entries.
    """

    party: str
    region: str
    timezone: str
    classes: Mapping[str, DataClass]
    fields: Mapping[str, Field]
    _masks: dict[str, Mapping[str, str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def fields_of(self, class_: str) -> list[Field]:
        """Return the fields of a class, by name."""
        found = (field for field in self.fields.values() if field.class_ == class_)
        return sorted(found, key=lambda field: field.name)

    def masks(self, class_: str) -> Mapping[str, str]:
        """Return field name → mask of a class; worked out once."""
        found = self._masks.get(class_)
        if found is None:
            found = {field.name: field.mask for field in self.fields_of(class_)}
            self._masks[class_] = found
        return found

    def pseudonymised(self, class_: str) -> dict[str, Pseudonymised]:
        """Return field name → what becomes of it in the pseudonym view.

        A delicate field is left out whoever asks, and one whose mask hides it.
        """
        return {
            field.name: Pseudonymised.LEFT_OUT
            if field.grade is not Grade.GENERAL or field.mask == Mask.HIDE
            else PSEUDONYMISED[field.kind]
            for field in self.fields_of(class_)
        }

    def grades(self, class_: str) -> frozenset[Grade]:
        """Return every grade that a class has; `general` where it has no field."""
        found = frozenset(field.grade for field in self.fields_of(class_))
        return found or frozenset({Grade.GENERAL})

    def require_form(self, class_: str, form: Form, at: str, position: int) -> None:
        """Refuse a class that is unknown or of the other form.

        Raises:
            DocumentRefused: Names `position`, the class's place below `at`.
        """
        known = self.classes.get(class_)
        if known is None:
            raise FieldUnknown(
                [unknown_member(at, position, "unknown_class", self.classes)]
            )
        if known.form is not form:
            fault = _fault(f"{at}/{class_}", "wrong_form")
            raise DocumentRefused([fault])

    def check_documents(
        self, documents: Mapping[str, Mapping[str, Any]], at: str = "/documents"
    ) -> list[IndexTerm]:
        """Check documents by class; return the terms under which they are found.

        Args:
            documents: Class → field → value.
            at: Where they stand in the request, for the pointers.

        Raises:
            DocumentRefused: Names places and rules, never a value.
        """
        faults: list[Fault] = []
        terms: list[IndexTerm] = []
        for position, (class_, document) in enumerate(documents.items()):
            self.require_form(class_, Form.DOCUMENT, at, position)
            faults.extend(self._faults(class_, document, f"{at}/{class_}"))
            if not faults:
                faults.extend(self._collect(document, f"{at}/{class_}", terms))
        _refuse(faults)
        return terms

    def check_entries(
        self, class_: str, entries: Sequence[Mapping[str, Any]], at: str
    ) -> list[Entry]:
        """Check entries of one class.

        Args:
            class_: A class of the form `entries`, known to be one (`require_form`).
            entries: Each `{entry_id, at, ...fields}`.
            at: Where the list stands in the request, for the pointers.

        Raises:
            DocumentRefused: Names places and rules, never a value.
        """
        faults: list[Fault] = []
        checked: list[Entry] = []
        seen: set[object] = set()
        for position, entry in enumerate(entries):
            place = f"{at}/{position}"
            own = dict(entry)
            id_, moment = own.pop("entry_id", None), _instant(own.pop("at", None))
            valid_id = isinstance(id_, str) and _ENTRY_ID.fullmatch(id_) is not None
            if not valid_id or id_ in seen:
                faults.append(_fault(f"{place}/entry_id", "entry_id"))
            if moment is None:
                faults.append(_fault(f"{place}/at", "entry_at"))
            seen.add(str(id_))
            faults.extend(self._faults(class_, entry, place, beside=_BESIDE))
            if moment is not None and not faults:
                checked.append(Entry(str(id_), moment, own))
        _refuse(faults)
        return checked

    def term(self, name: str, value: str) -> IndexTerm | None:
        """Return the term of a look-up, None if the field is not searchable.

        Raises:
            FieldUnparsable: The value has no normal form; named by its field.
        """
        field = self.fields.get(name)
        if field is None or not field.searchable:
            return None
        return self._term(field, value)

    def _term(self, field: Field, value: str) -> IndexTerm:
        normal = normalise(
            field.kind.value, value, field=field.name, region=self.region
        )
        return IndexTerm(field.name, field.class_, normal, field.unique)

    def _faults(
        self,
        class_: str,
        document: Mapping[str, Any],
        at: str,
        *,
        beside: frozenset[str] = frozenset(),
    ) -> Iterator[Fault]:
        for position, (name, value) in enumerate(document.items()):
            if name in beside:
                continue
            field = self.fields.get(name)
            if field is None or field.class_ != class_:
                mine = (one.name for one in self.fields_of(class_))
                yield unknown_member(at, position, "unknown_field", mine)
                continue
            code = fault_of(field.kind, value)
            if code is not None:
                yield _unfit(f"{at}/{name}", code, field)

    def _collect(
        self, document: Mapping[str, Any], at: str, terms: list[IndexTerm]
    ) -> Iterator[Fault]:
        for name, value in document.items():
            field = self.fields[name]
            if not field.searchable:
                continue
            for text in value if isinstance(value, list) else [value]:
                try:
                    terms.append(self._term(field, text))
                except PhoneUnparsable:
                    yield _fault(f"{at}/{name}", "phone_unparsable")
                except FieldUnparsable:
                    yield _unfit(f"{at}/{name}", "unparsable", field)


def unknown_member(at: str, position: int, code: str, accepted: Iterable[str]) -> Fault:
    """Return the fault of a class or field that the catalogue does not know.

    Args:
        at: The object it is a member of.
        position: Its place in the object, from 0: its name is the caller's own text.
        code: `unknown_class` or `unknown_field`.
        accepted: The names that the catalogue has there.
    """
    text = f"member {position + 1} {_MESSAGES[code]} {listed(accepted)}"
    return Fault(f"{at}/*", code, text)


def listed(names: Iterable[str]) -> str:
    """Return the catalogue's own names to read: the first `MAX_NAMED`, then how many.

    A catalogue may have a thousand, and a refusal fifty faults.
    """
    known = sorted(names)
    more = len(known) - MAX_NAMED
    tail = [f"{more} more (`GET /v1/catalogue`)"] if more > 0 else []
    return ", ".join([*known[:MAX_NAMED], *tail]) or "none"


def _fault(pointer: str, code: str) -> Fault:
    return Fault(pointer, code, _MESSAGES[code])


def _unfit(pointer: str, code: str, field: Field) -> Fault:
    return Fault(pointer, code, f"is no value of the kind {field.kind.value}")


def _refuse(faults: list[Fault]) -> None:
    if not faults:
        return
    codes = {fault.code for fault in faults}
    listed = faults[:MAX_FAULTS]
    if codes & {"unknown_field", "unknown_class"}:
        raise FieldUnknown(listed)
    if codes == {"phone_unparsable"}:
        raise PhoneRefused(listed)
    raise DocumentRefused(listed)


def _instant(value: object) -> datetime | None:
    return parse_rfc3339(value) if isinstance(value, str) else None
