# SPDX-License-Identifier: Apache-2.0
"""Promise: no shown group is small, and none that is suppressed can be computed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vault.records.aggregation import (
    DOMINANT,
    MAX_GROUPS,
    MIN_GROUP,
    STEP,
    Cell,
    Measure,
    Tally,
    TooManyGroups,
    groups,
    showable,
    significant,
)

NAMES = st.sampled_from([None, True, "a", "b", "c", "d", 7])
VALUES = st.lists(st.decimals("-1000", "100000", places=2), min_size=1, max_size=3)
RECORDS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1), max_size=80)
SMALLEST = st.integers(0, 12)
MEASURES = st.sampled_from(Measure)


def tallied(records: list[dict]) -> Tally:  # type: ignore[type-arg]
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


@given(RECORDS, SMALLEST, MEASURES)
def test_no_shown_group_has_fewer_records_than_allowed(
    records: list,
    smallest: int,
    measure: Measure,  # type: ignore[type-arg]
) -> None:
    tally = tallied(records)
    least = max(smallest, MIN_GROUP)
    for shown in groups(tally.cells, smallest, measure):
        members = [one for one in records if shown.group in one]
        assert len(members) >= least
        assert shown.records == len(members) - len(members) % STEP


@given(RECORDS, SMALLEST, MEASURES)
def test_what_is_missing_from_a_total_is_never_a_small_group(
    records: list,
    smallest: int,
    measure: Measure,  # type: ignore[type-arg]
) -> None:
    """The worst case: somebody knows the exact total and every shown group exactly.

    What is left over is then the sum of the suppressed groups. It is of at least two
    of them, and of as many distinct records as a group that may be shown.
    """
    tally = tallied(records)
    shown = showable(tally.cells, smallest, measure)
    missing = set(tally.cells) - set(shown)
    if not shown or not missing:
        return
    assert len(missing) >= 2
    left = [one for one in records if missing & set(one)]
    assert len(left) >= max(smallest, MIN_GROUP)


@given(RECORDS, SMALLEST)
def test_nobody_makes_most_of_a_shown_sum(records: list, smallest: int) -> None:  # type: ignore[type-arg]
    tally = tallied(records)
    for group in showable(tally.cells, smallest, Measure.SUM):
        own = [abs(sum(one[group], Decimal(0))) for one in records if group in one]
        assert max(own) <= DOMINANT * sum(own)


def test_a_small_group_takes_the_smallest_of_the_others_with_it() -> None:
    cells = {
        name: Cell(records=n, count=n) for name, n in {"a": 4, "b": 9, "c": 5}.items()
    }
    shown = groups(cells, 5, Measure.COUNT)
    assert [(one.group, one.records) for one in shown] == [("b", 5)]
    del cells["b"]
    assert groups(cells, 5, Measure.COUNT) == []


def test_nothing_is_suppressed_where_every_group_is_large() -> None:
    cells = {name: Cell(records=12, count=23) for name in "ab"}
    shown = groups(cells, 5, Measure.COUNT)
    assert [(one.records, one.value) for one in shown] == [(10, 20), (10, 20)]


def test_sums_and_averages_are_rounded() -> None:
    cell = Cell()
    for _record in range(6):
        cell.add([Decimal("12.34"), Decimal(100)])
    (total,) = groups({None: cell}, 5, Measure.SUM)
    (average,) = groups({None: cell}, 5, Measure.AVERAGE)
    assert (total.value, average.value) == ("674", "56.2")


@pytest.mark.parametrize(
    ("exact", "shown"),
    [("0", "0"), ("123456", "123000"), ("-0.012345", "-0.0123"), ("99999", "100000")],
)
def test_three_digits_of_a_number_are_shown(exact: str, shown: str) -> None:
    assert significant(Decimal(exact)) == shown


def test_groups_beyond_the_bound_are_refused() -> None:
    tally = Tally()
    tally.add({str(n): [Decimal(1)] for n in range(MAX_GROUPS)})
    tally.add({"0": [Decimal(1)]})
    with pytest.raises(TooManyGroups):
        tally.add({"more": [Decimal(1)]})
