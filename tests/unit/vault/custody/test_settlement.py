# SPDX-License-Identifier: Apache-2.0
"""Promise: whatever arrives in whatever order, a value has one unique entry at most.

Every record that has a value is found by it, and two that share it are listed, unless
a handover took one of them away.
"""

from hypothesis import given
from hypothesis import strategies as st

from services.vault.custody.settlement import UNIQUE, Holder, Placed, place


def test_a_free_value_becomes_unique() -> None:
    assert place("new", []) == Placed(UNIQUE)


def test_a_value_of_an_own_customer_stays_with_both() -> None:
    own = Holder("own", UNIQUE, active=True)
    assert place("new", [own]) == Placed("new", other="own")


def test_who_is_unique_is_the_one_to_decide_about() -> None:
    beside = Holder("a", "a", active=True)
    own = Holder("b", UNIQUE, active=True)
    assert place("new", [beside, own]) == Placed("new", other="b")


def test_what_was_given_away_is_moved_aside() -> None:
    gone = Holder("gone", UNIQUE, active=False)
    assert place("new", [gone]) == Placed(UNIQUE, aside="gone")


def test_what_left_again_before_it_was_settled_collides_with_nobody() -> None:
    own = Holder("own", UNIQUE, active=True)
    assert place("new", [own], active=False) == Placed("new")


@given(
    first=st.sampled_from(["none", "own", "gone"]),
    arrivals=st.lists(st.booleans(), max_size=6),
)
def test_at_most_one_unique_entry_whatever_arrives(
    first: str, arrivals: list[bool]
) -> None:
    holders = [] if first == "none" else [Holder("first", UNIQUE, first == "own")]
    pairs = set()
    for number, active in enumerate(arrivals):
        name = f"r{number}"
        placed = place(name, holders, active=active)
        holders = [
            h._replace(slot=h.record) if h.record == placed.aside else h
            for h in holders
        ]
        holders.append(Holder(name, placed.slot, active))
        if placed.other is not None:
            pairs.add((name, placed.other))
        assert len([h for h in holders if h.slot == UNIQUE]) <= 1
        standing = [h for h in holders if h.active]
        # All that stand hang together by the pairs that are listed.
        assert len(pairs) == max(len(standing) - 1, 0)
        if standing:
            assert [h for h in standing if h.slot == UNIQUE] == standing[:1]
