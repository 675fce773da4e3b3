# SPDX-License-Identifier: Apache-2.0
"""inventory = transferred + archive_only + held + excluded(reason), per class."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transfer.execution.reconciliation import adds_up
from services.transfer.handovers.views import inventory

FROZEN = {
    "basic": {"transfer": {"eligible": 7}, "excluded": {"objected": 2}},
    "purchases": {"transfer": {"eligible": 6}, "held": {"consent": 1}},
}
CLASS = st.dictionaries(
    st.sampled_from(["transfer", "archive_only", "held", "excluded"]),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 50), min_size=1),
    min_size=1,
)


def test_what_was_frozen_adds_up_with_itself() -> None:
    assert adds_up(FROZEN, FROZEN)


@given(CLASS, st.data())
def test_a_drop_keeps_the_sum_whatever_reason_it_is_given(
    before: dict[str, dict[str, int]], data: st.DataObject
) -> None:
    moved = sum(before.get("transfer", {}).values())
    dropped = data.draw(st.integers(0, moved))
    after: dict[str, Any] = {name: dict(reasons) for name, reasons in before.items()}
    left = dropped
    for reason, count in list(after.get("transfer", {}).items()):
        taken = min(left, count)
        after["transfer"][reason] = count - taken
        left -= taken
    after.setdefault("excluded", {})["withdrawn"] = dropped
    assert adds_up({"basic": before}, {"basic": after})


@pytest.mark.parametrize(
    "turned",
    [
        {**FROZEN, "basic": {"transfer": {"eligible": 6}, "excluded": {"objected": 2}}},
        {**FROZEN, "basic": {"transfer": {"eligible": 8}, "excluded": {"objected": 1}}},
        {"basic": FROZEN["basic"]},
        {**FROZEN, "habits": {"transfer": {"eligible": 1}}},
        {**FROZEN, "purchases": {}},
    ],
    ids=["lost", "more-than-signed", "class-lost", "class-more", "class-empty"],
)
def test_anything_lost_or_added_does_not_add_up(turned: dict[str, Any]) -> None:
    assert not adds_up(FROZEN, turned)


def test_the_inventory_is_the_sum_of_its_outcomes() -> None:
    assert inventory(FROZEN)["basic"] == {"transfer": 7, "excluded": 2, "inventory": 9}
