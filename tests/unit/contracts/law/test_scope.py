# SPDX-License-Identifier: Apache-2.0
"""Filters mean what the plan says, and what is not known stays with the seller."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from contracts.custody.plan import Filter
from contracts.law.scope import FolioFacts, predicate

FOLIO = FolioFacts(
    "purchases",
    "2016-2",
    "v1",
    "contract",
    last_activity=date(2016, 5, 1),
    tags=frozenset({"vip", "retail"}),
)
UNKNOWN = FolioFacts("purchases", "", "v1", "")


def holds(fact: str, op: str, value: Any, facts: FolioFacts = FOLIO) -> bool:
    rule = {"class": "purchases", "fact": fact, "op": op, "value": value}
    return predicate(Filter.model_validate(rule))(facts)


@pytest.mark.parametrize(
    ("fact", "op", "value", "expected"),
    [
        ("tag", "eq", "vip", True),
        ("tag", "eq", "wholesale", False),
        ("tag", "ne", "vip", False),
        ("tag", "ne", "wholesale", True),
        ("tag", "in", ["wholesale", "vip"], True),
        ("tag", "in", ["wholesale"], False),
        ("tag", "not_in", ["wholesale"], True),
        ("tag", "not_in", ["wholesale", "vip"], False),
        ("basis", "eq", "contract", True),
        ("basis", "ne", "contract", False),
        ("basis", "in", ["consent"], False),
        ("basis", "not_in", ["consent"], True),
        ("last_activity", "eq", "2016-05-01", True),
        ("last_activity", "ne", "2016-05-01", False),
        ("last_activity", "in", ["2016-05-01"], True),
        ("last_activity", "not_in", ["2016-05-01"], False),
        ("last_activity", "lt", "2016-05-01", False),
        ("last_activity", "le", "2016-05-01", True),
        ("last_activity", "gt", "2016-05-01", False),
        ("last_activity", "ge", "2016-05-01", True),
        ("volume", "eq", "2016", True),
        ("volume", "eq", "2016-2", True),
        ("volume", "eq", "2016-1", False),
        ("volume", "ne", "2016", False),
        ("volume", "in", ["2015", "2016"], True),
        ("volume", "not_in", ["2016"], False),
        ("volume", "not_in", ["201"], True),
        ("volume", "lt", "2017", True),
        ("volume", "le", "2016", True),
        ("volume", "gt", "2016", False),
        ("volume", "ge", "2016", True),
    ],
    ids=str,
)  # fmt: skip
def test_filter(fact: str, op: str, value: Any, expected: bool) -> None:
    assert holds(fact, op, value) is expected


@pytest.mark.parametrize("fact", ["basis", "last_activity", "volume"])
@pytest.mark.parametrize("op", ["eq", "ne"])
def test_an_unknown_fact_fails_both_ways(fact: str, op: str) -> None:
    assert not holds(fact, op, "2016-05-01", UNKNOWN)


@pytest.mark.parametrize("op", ["lt", "ge"])
def test_an_unknown_fact_has_no_order(op: str) -> None:
    assert not holds("last_activity", op, "2016-05-01", UNKNOWN)
    assert not holds("volume", op, "2016", UNKNOWN)
    assert not holds("volume", op, "0000", FOLIO._replace(volume="current"))


def test_having_no_tags_is_a_fact() -> None:
    assert holds("tag", "not_in", ["wholesale"], UNKNOWN)
    assert not holds("tag", "in", ["wholesale"], UNKNOWN)
