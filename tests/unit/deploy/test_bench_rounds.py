# SPDX-License-Identifier: Apache-2.0
"""Promise: a ratio is taken in each round, and an aim is judged by its median."""

import pytest

from deploy.bench.rounds import Aim, Row, Spread


def row(**members: object) -> Row:
    return Row("s", "n", "x/s", "floor", **members)


def test_the_ratio_is_that_of_the_rounds_not_of_the_medians() -> None:
    # The machine was slow in the first round: both halves of it were.
    noisy = row(ours=[10.0, 50.0, 60.0], floor=[20.0, 100.0, 100.0])
    assert noisy.ratio() == Spread(0.5, 0.5, 0.6)


@pytest.mark.parametrize(
    ("aim", "reached"),
    [
        (Aim(least=0.5), True),
        (Aim(least=0.51), False),
        (Aim(most=0.4), False),
        (Aim(most=60.0, of="ours"), True),
        (Aim(least=51.0, of="ours"), False),
        (None, None),
    ],
)
def test_an_aim_is_judged_by_the_median(aim: Aim | None, reached: bool | None) -> None:
    measured = row(ours=[40.0, 50.0, 60.0], floor=[80.0, 100.0, 120.0], aim=aim)
    assert measured.reached() is reached


def test_an_aim_on_a_ratio_without_floor_is_not_judged() -> None:
    assert row(ours=[1.0], aim=Aim(least=0.5)).reached() is None


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        row(ours=[1.0, 2.0], floor=[1.0]).ratio()


def test_the_report_keeps_every_round() -> None:
    figures = row(ours=[1.0, 3.0], floor=[2.0, 2.0], aim=Aim(least=2.0)).figures()
    assert figures["ours"] == {"median": 2.0, "low": 1.0, "high": 3.0, "rounds": [1, 3]}
    assert figures["ratio"] == {"median": 1.0, "low": 0.5, "high": 1.5}
    assert figures["reached"] is False
