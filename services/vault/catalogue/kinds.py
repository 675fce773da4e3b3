# SPDX-License-Identifier: Apache-2.0
"""What a value of each kind may look like, and how long it may be. Pure.

A rule answers with a constant code; it never says anything about the value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

MAX_ITEMS: Final = 50  # values of one field that is a list
MAX_INTEGER: Final = 2**53 - 1  # RFC 8785 writes larger ones inexactly

Scalar: TypeAlias = str | int | bool
FieldValue: TypeAlias = Scalar | list[str]

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL: Final = re.compile(r"-?\d{1,15}(\.\d{1,6})?", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")


class Kind(StrEnum):
    """What the values of a field are."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    TEXT = "text"
    DATE = "date"
    AMOUNT = "amount"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CODE = "code"
    ID = "id"
    ID_NUMBER = "id_number"


class Mask(StrEnum):
    """How a masked view shows a field; `access.views` has the rule of each."""

    NONE = "none"
    HIDE = "hide"
    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    PLACE = "place"
    POSTAL_CODE = "postal_code"
    DATE = "date"
    AMOUNT = "amount"
    QUANTITY = "quantity"
    CODE = "code"
    ID_NUMBER = "id_number"
    FLAG = "flag"


class Pseudonymised(StrEnum):
    """What becomes of a field in the pseudonym view."""

    SHOWN = "shown"  # as the masked view shows it
    YEAR = "year"  # a date's year alone
    PSEUDONYM = "pseudonym"
    LEFT_OUT = "left_out"


#: Names and free texts are left out: a pseudonym would tell how often each comes, and
#: a text may name anybody.
PSEUDONYMISED: Final[Mapping[Kind, Pseudonymised]] = MappingProxyType(
    {
        Kind.NAME: Pseudonymised.LEFT_OUT,
        Kind.EMAIL: Pseudonymised.PSEUDONYM,
        Kind.PHONE: Pseudonymised.PSEUDONYM,
        Kind.ADDRESS: Pseudonymised.LEFT_OUT,
        Kind.TEXT: Pseudonymised.LEFT_OUT,
        Kind.DATE: Pseudonymised.YEAR,
        Kind.AMOUNT: Pseudonymised.SHOWN,
        Kind.NUMBER: Pseudonymised.SHOWN,
        Kind.INTEGER: Pseudonymised.SHOWN,
        Kind.BOOLEAN: Pseudonymised.SHOWN,
        Kind.CODE: Pseudonymised.SHOWN,
        Kind.ID: Pseudonymised.PSEUDONYM,
        Kind.ID_NUMBER: Pseudonymised.PSEUDONYM,
    }
)

#: Kinds that may be indexed: values of the others are few, and would show themselves
#: by how often they come.
SEARCHABLE: Final = frozenset(
    {Kind.NAME, Kind.EMAIL, Kind.PHONE, Kind.TEXT, Kind.ID, Kind.ID_NUMBER}
)

_LONGEST: Final[Mapping[Kind, int]] = MappingProxyType(
    {
        Kind.NAME: 200,
        Kind.EMAIL: 320,
        Kind.PHONE: 64,
        Kind.ADDRESS: 500,
        Kind.TEXT: 4_000,
        Kind.ID: 128,
        Kind.ID_NUMBER: 64,
    }
)
_WITH_LINES: Final = frozenset({Kind.ADDRESS, Kind.TEXT})


def fault_of(kind: Kind, value: object) -> str | None:
    """Return the code of the rule that `value` breaks, None if it breaks none.

    A list is accepted where the kind is a text: 1 to 50 texts.
    """
    if isinstance(value, list):
        return _fault_of_list(kind, value)
    return _RULES[kind](value)


def _fault_of_list(kind: Kind, values: list[object]) -> str | None:
    if kind not in _LONGEST and kind is not Kind.CODE:
        return "no_list"
    if not 1 <= len(values) <= MAX_ITEMS:
        return "list_length"
    faults = (_RULES[kind](value) for value in values)
    return next((fault for fault in faults if fault is not None), None)


def is_clean(text: str, *, lines: bool = False) -> bool:
    """Whether a text has no control characters, no lone surrogates."""
    allowed = "\t\n" if lines else ""
    return all(
        sign in allowed or unicodedata.category(sign) not in {"Cc", "Cs"}
        for sign in text
    )


def _text(kind: Kind) -> Callable[[object], str | None]:
    longest, lines = _LONGEST[kind], kind in _WITH_LINES

    def rule(value: object) -> str | None:
        if not isinstance(value, str):
            return "string_type"
        if not 1 <= len(value) <= longest:
            return "string_length"
        return None if is_clean(value, lines=lines) else "control_character"

    return rule


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str | None]:
    def rule(value: object) -> str | None:
        if not isinstance(value, str):
            return "string_type"
        return None if pattern.fullmatch(value) else "string_pattern_mismatch"

    return rule


def _date(value: object) -> str | None:
    if not isinstance(value, str):
        return "string_type"
    try:
        fine = _DATE.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        fine = False
    return None if fine else "date_parsing"


def _integer(value: object) -> str | None:
    # `bool` is an `int` in Python and not in JSON.
    if type(value) is not int:
        return "int_type"
    return None if abs(value) <= MAX_INTEGER else "int_range"


def _decimal(value: object) -> str | None:
    """A whole number, or a decimal text as `-12.50`: JSON's floats are not exact."""
    if isinstance(value, str):
        return None if _DECIMAL.fullmatch(value) else "decimal_parsing"
    return _integer(value)


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "bool_type"


_RULES: Final[Mapping[Kind, Callable[[object], str | None]]] = MappingProxyType(
    {
        **{kind: _text(kind) for kind in _LONGEST},
        Kind.DATE: _date,
        Kind.AMOUNT: _decimal,
        Kind.NUMBER: _decimal,
        Kind.INTEGER: _integer,
        Kind.BOOLEAN: _boolean,
        Kind.CODE: _matching(_CODE),
    }
)
