# SPDX-License-Identifier: Apache-2.0
"""What an aggregate asks, checked by the catalogue, and one record's share of it. Pure.

Only what the pseudonym view would show may be measured or make groups: no identifier,
no free text, no delicate grade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.vault.catalogue import Catalogue, Form, Kind, Pseudonymised
from services.vault.records.aggregation import GroupValue, Measure
from services.vault.records.content import shown_entries
from services.vault.records.errors import ContentRefused
from services.vault.records.pseudonymous import month_of

BY_YEAR: Final = "at.year"
BY_MONTH: Final = "at.month"
_MEASURED: Final = frozenset({Kind.AMOUNT, Kind.NUMBER, Kind.INTEGER})
_GROUPING: Final = frozenset({Pseudonymised.SHOWN, Pseudonymised.YEAR})


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        class_: Of the catalogue.
        measure: What is told of each group.
        field: What is added up; None for a count.
        group_by: A field, or `at.year` or `at.month`; None for one group of all.
        period: A year or month of entries in the party's time zone; None for all.
    """

    class_: str
    measure: Measure
    field: str | None = None
    group_by: str | None = None
    period: str | None = None

    def fields(self) -> list[str]:
        """Return the names of what is looked at, for the log."""
        return sorted({one for one in (self.field, self.group_by) if one is not None})


def check(asked: Question, catalogue: Catalogue) -> None:
    """Refuse what the catalogue does not let be asked.

    Raises:
        ContentRefused: Names the member.
    """
    known = catalogue.classes.get(asked.class_)
    if known is None:
        raise ContentRefused("/class", "unknown_class", "is no class of the catalogue")
    if (asked.field is None) is not (asked.measure is Measure.COUNT):
        text = "goes with the measures sum and average, and with them alone"
        raise ContentRefused("/field", "value_error", text)
    timed = asked.group_by in {BY_YEAR, BY_MONTH}
    for member, used in (("/group_by", timed), ("/period", asked.period is not None)):
        if used and known.form is not Form.ENTRIES:
            text = "needs a class of entries: a document has no time"
            raise ContentRefused(member, "wrong_form", text)
    if asked.field is not None:
        _check_field(asked, catalogue, "/field", asked.field)
        if catalogue.fields[asked.field].kind not in _MEASURED:
            raise ContentRefused("/field", "not_measurable", "is no number")
    if asked.group_by is not None and not timed:
        _check_field(asked, catalogue, "/group_by", asked.group_by)


def _check_field(asked: Question, catalogue: Catalogue, place: str, name: str) -> None:
    rule = catalogue.pseudonymised(asked.class_).get(name)
    if rule is None:
        text = "is no field of this class in the catalogue"
        raise ContentRefused(place, "unknown_field", text)
    if rule not in _GROUPING:
        text = "may name a person or is delicate, and is never aggregated"
        raise ContentRefused(place, "not_aggregable", text)


def share(
    asked: Question, catalogue: Catalogue, contents: Sequence[Any]
) -> dict[GroupValue, list[Decimal]]:
    """Return the values of one record by group, from its opened folios."""
    zone = ZoneInfo(catalogue.timezone)
    found: dict[GroupValue, list[Decimal]] = {}
    for row in _rows(contents):
        if asked.period is not None and not _within(row, asked.period, zone):
            continue
        value = Decimal(0) if asked.field is None else _number(row.get(asked.field))
        if value is None:
            continue
        for group in set(_groups(asked, catalogue, row, zone)):
            found.setdefault(group, []).append(value)
    return found


def _rows(contents: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """The documents, and the entries of all volumes, each entry once."""
    stored: list[Any] = []
    for content in contents:
        if isinstance(content, list):
            stored.extend(content)
        else:
            yield content
    yield from shown_entries(stored)


def _within(row: Mapping[str, Any], period: str, zone: ZoneInfo) -> bool:
    return month_of(row["at"], zone).startswith(period)


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _groups(
    asked: Question, catalogue: Catalogue, row: Mapping[str, Any], zone: ZoneInfo
) -> Iterator[GroupValue]:
    match asked.group_by:
        case None:
            yield None
        case "at.month":
            yield month_of(row["at"], zone)
        case "at.year":
            yield month_of(row["at"], zone)[:4]
        case name:
            year = catalogue.fields[name].kind is Kind.DATE
            value = row.get(name)
            for one in value if isinstance(value, list) else [value]:
                yield str(one)[:4] if year and one is not None else one
