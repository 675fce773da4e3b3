# SPDX-License-Identifier: Apache-2.0
"""Promise: whatever drops out, each class adds up to its inventory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.custody.decision import DecisionSummary
from services.vault.mandate.errors import NotReconciled
from services.vault.mandate.turning import counts_after, moving_in

ROOT = "sha256:" + "00" * 32


def summary(moving: int, excluded: int, held: int) -> DecisionSummary:
    def group(count: int) -> dict[str, object]:
        return {"count": count, "root": ROOT}

    return DecisionSummary.model_validate(
        {
            "groups": {
                "basic": {
                    "transfer": {"eligible": group(moving)},
                    "excluded": {"objected": group(excluded)},
                    "held": {"consent": group(held)},
                }
            }
        }
    )


@given(
    st.integers(min_value=0, max_value=50),
    st.integers(min_value=0, max_value=50),
    st.integers(min_value=0, max_value=50),
    st.dictionaries(
        st.sampled_from(["objected", "withdrawn", "corrected", "erased"]),
        st.integers(min_value=1, max_value=10),
    ),
)
def test_drops_leave_the_inventory_whole(
    stays: int, excluded: int, held: int, drops: dict[str, int]
) -> None:
    dropped = sum(drops.values())
    before = summary(stays + dropped, excluded, held)
    after = counts_after(before, {"basic": drops} if drops else {})
    assert sum(sum(r.values()) for r in after["basic"].values()) == before.inventory()
    assert moving_in(after) == ({"basic": stays} if stays else {})
    assert after["basic"]["held"] == {"consent": held}
    # What was signed is not touched.
    assert before.counts()["basic"]["transfer"] == {"eligible": stays + dropped}


def test_more_drops_than_ever_moved_are_an_alarm() -> None:
    with pytest.raises(NotReconciled):
        counts_after(summary(1, 0, 0), {"basic": {"erased": 2}})
