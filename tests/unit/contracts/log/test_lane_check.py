# SPDX-License-Identifier: Apache-2.0
"""A log that is well signed, but whose entries do not add up, is told so."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from contracts.events import envelope
from contracts.events.head import Head
from contracts.events.lane import LaneOpened, LaneRetired
from contracts.events.payload import EventDraft
from contracts.log import merkle
from contracts.log.lane_check import LaneChecker, SignedHead
from tests.fakes.evidence import SOURCE_KEYS, Lane, honest_entries


def check(entries: Sequence[bytes]) -> list[tuple[str, int]]:
    """Return rule and leaf index of each finding."""
    return [(found.rule, found.index) for found in checked(entries).finish()]


def checked(entries: Sequence[bytes]) -> LaneChecker:
    checker = LaneChecker("demo", frozenset({"vault", "transfer"}))
    for index, entry in enumerate(entries):
        checker.add(index, entry)
    return checker


def rules(entries: Sequence[bytes]) -> set[str]:
    return {rule for rule, _ in check(entries)}


def test_a_gap_is_named_even_when_the_log_signs_it() -> None:
    entries = honest_entries()
    found = check(entries[:100] + entries[101:])
    assert sorted(found) == [("gap", 101), ("party-gap", 101)]


def test_a_double_is_named() -> None:
    entries = honest_entries()
    found = check([*entries[:100], entries[50], *entries[100:]])
    assert found == [("double", 100)]


def test_a_swap_inside_a_lane_is_named() -> None:
    entries = honest_entries()
    entries[100], entries[102] = entries[102], entries[100]
    assert {"gap", "double"} <= rules(entries)


def test_a_rewritten_event_breaks_the_chain() -> None:
    entries = honest_entries()
    entries[100] = entries[100].replace(b"record.read", b"record.made")
    assert check(entries) == [("chain", 102)]


def test_an_entry_that_is_no_event_is_named() -> None:
    entries = honest_entries()
    entries[100] = b"not an event"
    assert ("unreadable", 100) in check(entries)
    assert checked(entries).types["(unreadable)"] == 1


def test_an_unreadable_event_in_the_chain_stops_nothing() -> None:
    lane = Lane("a")
    entries = [lane.open(), lane.read()]
    newer = lane.read().replace(b'"specversion":"1.0"', b'"specversion":"2.0"')
    lane.leaf = merkle.leaf_hash(newer)
    entries += [newer, lane.read(), lane.read()]
    assert check(entries) == [("unreadable", 2)]


def test_a_lane_must_begin_by_lane_opened() -> None:
    lane = Lane("a")
    assert rules([lane.read(), lane.read()]) == {"first-event"}


def test_a_lane_opens_once() -> None:
    lane = Lane("a")
    assert "opened-late" in rules([lane.open(), lane.open()])


def test_nothing_follows_a_closed_or_retired_lane() -> None:
    lane = Lane("a")
    entries = [lane.open(), lane.close(), lane.read()]
    assert rules(entries) == {"after-close"}


def retire(by: Lane, lane: Lane, **changed: Any) -> bytes:
    values = {
        "slot": lane.slot,
        "retired": lane.id,
        "retired_seq": lane.seq,
        "retired_leaf": base64.b64encode(lane.leaf).decode(),
    }
    return by.write(LaneRetired(**{**values, **changed}).draft())


@pytest.mark.parametrize(
    ("changed", "after", "expected"),
    [
        ({}, 0, set()),
        ({}, 1, {"after-close"}),
        ({"retired_seq": 9}, 0, {"predecessor-short"}),
        ({"retired_leaf": "AAAA"}, 0, {"predecessor-leaf"}),
        ({"retired": "f" * 32}, 0, {"predecessor-short"}),
    ],
    ids=["good", "goes-on", "short", "leaf", "missing"],
)
def test_a_retired_lane_ends_where_the_retirement_says(
    changed: dict[str, Any], after: int, expected: set[str]
) -> None:
    dead, by = Lane("a"), Lane("b", "w2/records")
    entries = [dead.open(), dead.read(), by.open(), retire(by, dead, **changed)]
    entries += [dead.read() for _ in range(after)]
    assert rules(entries) == expected


def test_a_successor_may_come_before_its_predecessors_last_events() -> None:
    first, second = Lane("a"), Lane("b")
    entries = [first.open(), first.read(), first.read(), second.open(first)]
    order = [entries[0], entries[3], entries[1], entries[2]]
    assert check(order) == []


def succession(change: Callable[[Lane], None], extra: int = 0) -> list[bytes]:
    """A lane, and a successor that names it after `change` was done to it."""
    first, second = Lane("a"), Lane("b")
    entries = [first.open(), first.read(), first.read()]
    tail = [first.read() for _ in range(extra)]
    change(first)
    return [*entries, *tail, second.open(first)]


def back_two(lane: Lane) -> None:
    lane.seq, lane.leaf = 1, merkle.leaf_hash(Lane("a").open())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda _: None, set()),
        (back_two, {"restored"}),
        (lambda lane: setattr(lane, "seq", 2), {"restored", "predecessor-leaf"}),
        (lambda lane: setattr(lane, "seq", 4), {"predecessor-short"}),
        (lambda lane: setattr(lane, "leaf", bytes(32)), {"predecessor-leaf"}),
        (lambda lane: setattr(lane, "id", "f" * 32), {"predecessor-missing"}),
    ],
    ids=["good", "restored", "seq", "short", "leaf", "missing"],
)
def test_the_succession_of_lanes_is_checked(
    change: Callable[[Lane], None], expected: set[str]
) -> None:
    assert rules(succession(change)) == expected


def test_a_successor_has_the_slot_and_source_of_its_predecessor() -> None:
    for second in (Lane("b", "w9/records"), Lane("b", service="transfer")):
        first = Lane("a")
        entries = [first.open(), second.open(first)]
        assert rules(entries) == {"predecessor-leaf"}


def test_a_fork_and_a_slot_begun_twice_are_named() -> None:
    first = Lane("a")
    start = [first.open(), first.read()]
    forked = [*start, Lane("b").open(first), Lane("c").open(first)]
    assert rules(forked) == {"forked"}
    again = [*start, Lane("b").open()]
    assert rules(again) == {"restored"}


def test_events_of_strangers_are_named() -> None:
    foreign, silent = Lane("a"), Lane("b", service="audit")
    foreign.source = envelope.source_urn("elsewhere", "vault")
    for lane in (foreign, silent):
        assert rules([lane.open()]) == {"foreign-source"}


def test_a_lane_has_one_source() -> None:
    mixed = Lane("a")
    entries = [mixed.open()]
    mixed.source = envelope.source_urn("demo", "transfer")
    entries.append(mixed.read())
    assert rules(entries) == {"source-changed"}


def test_a_hidden_event_of_a_party_is_named() -> None:
    lane = Lane("a")
    entries = [lane.open(), lane.read("seller")]
    lane.pseqs["seller"] = 5
    entries.append(lane.read("seller"))
    assert check(entries) == [("party-gap", 2)]


def test_a_lane_event_with_another_payload_is_named() -> None:
    lane = Lane("a")
    bad = lane.write(EventDraft(LaneOpened.TYPE, "internal", (), {"slot": 1}))
    assert rules([bad]) == {"unreadable"}


def heads_of(*lanes: Lane) -> list[SignedHead]:
    found = []
    for lane in lanes:
        head = Head("demo", lane.id, lane.seq, lane.leaf)
        service = lane.source.rsplit(":", 1)[1]
        signature = head.sign(SOURCE_KEYS[service])
        found.append(SignedHead(lane.id, lane.seq, lane.leaf, signature))
    return found


KEYS = {name: bytes(key.verify_key) for name, key in SOURCE_KEYS.items()}


def head_rules(
    entries: Sequence[bytes],
    heads: Sequence[SignedHead],
    keys: Mapping[str, bytes] = KEYS,
) -> set[str]:
    checker = checked(entries)
    checker.check_heads(heads, keys)
    return {found.rule for found in checker.finish()}


def test_the_end_of_each_lane_is_under_its_sources_head() -> None:
    lane, other = Lane("a"), Lane("b", "w1/handovers", "transfer")
    entries = [lane.open(), other.open()]
    early = heads_of(lane)
    entries.append(lane.read())
    heads = heads_of(lane, other)
    assert head_rules(entries, [*early, *heads]) == set()
    assert head_rules(entries, [*early, heads[1]]) == {"unheaded"}
    assert head_rules(entries, []) == {"unheaded"}


def test_another_services_key_signs_no_head() -> None:
    lane = Lane("a")
    entries = [lane.open()]
    swapped = {"vault": KEYS["transfer"], "transfer": KEYS["vault"]}
    for keys in (swapped, {"transfer": KEYS["transfer"]}):
        found = head_rules(entries, heads_of(lane), keys)
        assert found == {"head-signature", "unheaded"}


def test_a_signed_head_over_another_leaf_or_beyond_the_log_is_named() -> None:
    lane = Lane("a")
    entries = [lane.open()]
    good = heads_of(lane)
    lane.read()
    assert head_rules(entries, [*good, *heads_of(lane)]) == {"head-missing"}
    lane.seq, lane.leaf = 1, bytes(32)
    assert head_rules(entries, [*good, *heads_of(lane)]) == {"head-leaf"}
