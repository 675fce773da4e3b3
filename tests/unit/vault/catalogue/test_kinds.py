# SPDX-License-Identifier: Apache-2.0
"""Promise: each kind takes its values, within its bounds, and no neighbour's."""

import pytest

from services.vault.catalogue.kinds import SEARCHABLE, Kind, fault_of

GOOD = {
    Kind.NAME: ["Ö", "王小明", "x" * 200, ["a", "b"]],
    Kind.EMAIL: ["a@b.c"],
    Kind.PHONE: ["+49 30 1"],
    Kind.ADDRESS: ["Street 1\nTown", ["a", "b"]],
    Kind.TEXT: ["a\tb\nc", "x" * 4000],
    Kind.DATE: ["2024-02-29"],
    Kind.AMOUNT: [0, -1, "12.50", "-0.5", 2**53 - 1],
    Kind.NUMBER: ["0.25", 3],
    Kind.INTEGER: [0, -(2**53 - 1)],
    Kind.BOOLEAN: [True, False],
    Kind.CODE: ["a/b.c-d_e", ["a", "b"]],
    Kind.ID: ["4711 a"],
    Kind.ID_NUMBER: ["DE89 3704"],
}
BAD = {
    Kind.NAME: ["", "x" * 201, 1, None, True, "a\nb", "\ud800", [], ["a"] * 51, [1]],
    Kind.EMAIL: [1, "", "x" * 321],
    Kind.PHONE: [49, "1" * 65],
    Kind.ADDRESS: ["a\x00", {}],
    Kind.TEXT: ["x" * 4001, "\x7f", ["a", ""]],
    Kind.DATE: ["2023-02-29", "2024-2-1", "20240201", "٢٠٢٤-٠١-٠١", 20240101, ["x"]],
    Kind.AMOUNT: [1.5, "1,5", "1e5", "", True, None, 2**53, "1.1234567", [1]],
    Kind.NUMBER: [0.25, "NaN", "+1"],
    Kind.INTEGER: ["1", 1.0, True, 2**53],
    Kind.BOOLEAN: [0, 1, "true", None],
    Kind.CODE: ["", "a b", "é", "x" * 65, "-a"],
    Kind.ID: ["", "x" * 129, 7],
    Kind.ID_NUMBER: [7, "x" * 65],
}


@pytest.mark.parametrize("kind", list(Kind))
def test_values_of_the_kind_are_taken(kind: Kind) -> None:
    assert [value for value in GOOD[kind] if fault_of(kind, value)] == []


@pytest.mark.parametrize("kind", list(Kind))
def test_other_values_are_refused(kind: Kind) -> None:
    assert [value for value in BAD[kind] if fault_of(kind, value) is None] == []


def test_kinds_with_few_values_have_no_index() -> None:
    assert not SEARCHABLE & {Kind.BOOLEAN, Kind.DATE, Kind.INTEGER, Kind.CODE}
