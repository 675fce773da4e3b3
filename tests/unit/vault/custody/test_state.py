# SPDX-License-Identifier: Apache-2.0
"""Promise: one row of `turn` decides what every row of custody is worth."""

import itertools

import pytest

from services.vault.access.policy import Custody
from services.vault.custody.state import CustodyState, TurnState, custody_state

TURNS = [None, *(state.value for state in TurnState)]


@pytest.mark.parametrize(
    ("arrived", "arrived_turn", "left", "left_turn", "state"),
    [
        ("", None, "", None, "active"),
        ("h1", "open", "", None, "pending"),
        ("h1", "turned", "", None, "active"),
        ("h1", "cancelled", "", None, "pending"),
        ("", None, "h1", "open", "active"),
        ("", None, "h1", "turned", "restricted"),
        ("", None, "h1", "cancelled", "active"),
        ("h1", "turned", "h2", "turned", "restricted"),
        ("h1", "turned", "h2", "open", "active"),
    ],
)
def test_state_follows_the_turns(
    arrived: str, arrived_turn: str | None, left: str, left_turn: str | None, state: str
) -> None:
    assert custody_state(arrived, arrived_turn, left, left_turn, None) == state


@pytest.mark.parametrize(
    ("arrived", "left"), [("", ""), ("", "h2"), ("h1", ""), ("h1", "h2")]
)
def test_destroyed_stays_destroyed_whatever_turns(arrived: str, left: str) -> None:
    for first, second in itertools.product(TURNS, TURNS):
        state = custody_state(arrived, first, left, second, 1)
        assert state is CustodyState.DESTROYED


def test_seller_and_buyer_are_never_both_active() -> None:
    for turned in TURNS:
        seller = custody_state("", None, "h", turned, None)
        buyer = custody_state("h", turned, "", None, None)
        active = [seller, buyer].count(CustodyState.ACTIVE)
        assert active == 1, turned


def test_the_policy_knows_the_same_states() -> None:
    assert {state.value for state in CustodyState} == {state.value for state in Custody}
