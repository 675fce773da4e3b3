# SPDX-License-Identifier: Apache-2.0
"""Add up groups of records, and decide which may be shown. Pure.

A group of fewer distinct records than the smallest allowed is never shown, nor one of
which a single record makes most of the sum. While any group is suppressed, the
smallest of the others is suppressed with it, so that what is missing from a total is
never one such group alone. What is shown is rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Final, TypeAlias

MIN_GROUP: Final = 5
MAX_GROUPS: Final = 1_000
DOMINANT: Final = Decimal("0.75")  # of a group's sum, by one record
STEP: Final = 5  # counts are shown as multiples of it, rounded down
DIGITS: Final = 3  # significant ones of a sum or an average

GroupValue: TypeAlias = str | int | bool | None


class Measure(StrEnum):
    """What is told of a group. No smallest and largest: each is one person's value."""

    COUNT = "count"
    SUM = "sum"
    AVERAGE = "average"


@dataclass(slots=True)
class Cell:
    """A group's running sums.

    Attributes:
        records: Distinct records in it.
        count: Documents or entries.
        total: Of the measured field.
        weight: Of the records' own sums without their signs.
        largest: The greatest of those.
    """

    records: int = 0
    count: int = 0
    total: Decimal = Decimal(0)
    weight: Decimal = Decimal(0)
    largest: Decimal = Decimal(0)

    def add(self, values: Iterable[Decimal]) -> None:
        """Add one record's values; called once for each record."""
        mine = Decimal(0)
        for value in values:
            self.count += 1
            mine += value
        self.records += 1
        self.total += mine
        self.weight += abs(mine)
        self.largest = max(self.largest, abs(mine))


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it is shown; `value` is a whole number or a decimal text."""

    group: GroupValue
    records: int
    value: int | str


class TooManyGroups(Exception):  # noqa: N818 - its only catcher turns it into a fault
    """There are more groups than an answer may hold."""


class Tally:
    """The groups of one aggregate; memory grows with groups, never with records."""

    def __init__(self) -> None:
        self.cells: dict[GroupValue, Cell] = {}

    def add(self, found: Mapping[GroupValue, list[Decimal]]) -> None:
        """Add one record: its values by group.

        Raises:
            TooManyGroups: See `MAX_GROUPS`.
        """
        for group, values in found.items():
            if group not in self.cells and len(self.cells) >= MAX_GROUPS:
                raise TooManyGroups
            self.cells.setdefault(group, Cell()).add(values)


def showable(
    cells: Mapping[GroupValue, Cell], smallest: int, measure: Measure
) -> dict[GroupValue, Cell]:
    """Return the groups that may be shown.

    Args:
        cells: Every group.
        smallest: Fewest distinct records of a shown group, at least `MIN_GROUP`.
        measure: What is told of them.
    """
    least = max(smallest, MIN_GROUP)
    shown = {
        group: cell
        for group, cell in cells.items()
        if cell.records >= least and not _dominated(cell, measure)
    }
    if shown and len(shown) < len(cells):
        # Of one suppressed group the total would tell; the two together hold at
        # least `least` records.
        del shown[min(shown, key=lambda group: (shown[group].records, str(group)))]
    return shown


def groups(
    cells: Mapping[GroupValue, Cell], smallest: int, measure: Measure
) -> list[Group]:
    """Return the groups that may be shown, rounded, in the order of their values."""
    shown = showable(cells, smallest, measure)
    return [
        Group(group, _stepped(cell.records), _measured(cell, measure))
        for group, cell in sorted(shown.items(), key=lambda one: str(one[0]))
    ]


def significant(value: Decimal) -> str:
    """Return a number with `DIGITS` significant digits, without an exponent."""
    if not value:
        return "0"
    with localcontext(prec=60):
        unit = Decimal(1).scaleb(value.adjusted() - DIGITS + 1)
        return format(value.quantize(unit), "f")


def _dominated(cell: Cell, measure: Measure) -> bool:
    return measure is not Measure.COUNT and cell.largest > DOMINANT * cell.weight


def _stepped(count: int) -> int:
    return count - count % STEP


def _measured(cell: Cell, measure: Measure) -> int | str:
    if measure is Measure.COUNT:
        return _stepped(cell.count)
    if measure is Measure.SUM:
        return significant(cell.total)
    return significant(cell.total / cell.count)
