# SPDX-License-Identifier: Apache-2.0
"""Promise: the judge of crash runs finds what is planted, and cries no wolf.

Each case takes the run in which all holds, spoils one thing, and names the rule that
must find it. A judge without that rule fails its case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.crash.checking.evidence import Evidence, Holding
from tests.crash.checking.history import REFUSED, UNKNOWN, Attempt
from tests.crash.checking.judge import judge
from tests.crash.checking.published import Leaf
from tests.fakes.good_run import (
    CHANGES,
    HANDOVER,
    LATER,
    READS,
    checkpoint_of,
    good_run,
    leaf_of,
    signed_end,
)

Spoil = Callable[[Evidence], Evidence]


def with_leaves(run: Evidence, leaves: list[Leaf], **changed: Any) -> Evidence:
    return replace(run, leaves=leaves, checkpoint=checkpoint_of(leaves), **changed)


def with_attempt(run: Evidence, nth: int, **changed: Any) -> Evidence:
    history = list(run.history)
    history[nth] = replace(history[nth], **changed)
    return replace(run, history=history)


def with_holding(run: Evidence, customer: str, party: int, held: Holding) -> Evidence:
    pair = list(run.customers[customer])
    pair[party] = held
    return replace(run, customers={**run.customers, customer: (pair[0], pair[1])})


def nth(run: Evidence, kind: str, customer: str = "C-1") -> int:
    """Return where the first such attempt stands in the history."""
    return next(
        n
        for n, one in enumerate(run.history)
        if (one.kind, one.customer) == (kind, customer)
    )


def attempt(run: Evidence, kind: str, customer: str = "C-1") -> Attempt:
    return run.history[nth(run, kind, customer)]


# --- the log -------------------------------------------------------------------


def a_leaf_is_missing_at_the_end_of_a_lane(run: Evidence) -> Evidence:
    last = attempt(run, "append").event
    return with_leaves(run, [x for x in run.leaves if x.event != last], seen=())


def a_leaf_is_missing_in_a_lane(run: Evidence) -> Evidence:
    gone = attempt(run, "patch").event
    return with_leaves(run, [x for x in run.leaves if x.event != gone], seen=())


def a_leaf_stands_twice(run: Evidence) -> Evidence:
    return with_leaves(run, [*run.leaves, run.leaves[1]])


def two_leaves_of_a_lane_change_places(run: Evidence) -> Evidence:
    leaves = list(run.leaves)
    leaves[1], leaves[2] = leaves[2], leaves[1]
    return with_leaves(run, leaves, seen=())


def a_leaf_was_rewritten(run: Evidence) -> Evidence:
    leaves = list(run.leaves)
    old = leaves[1]
    leaves[1] = leaf_of(
        old.lane, old.seq, old.prev, "vault", "record.created", {"x": 1}
    )
    return with_leaves(run, leaves, seen=())


def a_checkpoint_of_another_tree_was_seen(run: Evidence) -> Evidence:
    return replace(run, seen=[checkpoint_of(run.leaves[1:5])])


def a_larger_checkpoint_was_seen_before(run: Evidence) -> Evidence:
    leaves = list(run.leaves)
    return replace(run, seen=[checkpoint_of(leaves[:9]), checkpoint_of(leaves[:4])])


def the_log_was_cut_off(run: Evidence) -> Evidence:
    return with_leaves(run, list(run.leaves[:-1]), seen=[run.checkpoint])


def two_lanes_follow_one(run: Evidence) -> Evidence:
    opened = next(x for x in run.leaves if x.lane == LATER)
    fork = leaf_of("e" * 32, 1, b"", "vault", "lane.opened", opened.data)
    ends = [*run.ends, signed_end("vault", fork)]
    return with_leaves(run, [*run.leaves, fork], ends=ends)


def a_lane_follows_an_older_end(run: Evidence) -> Evidence:
    last = next(x for x in run.leaves if x.event == attempt(run, "append").event)
    more = leaf_of(CHANGES, last.seq + 1, last.hash, "vault", "key.created", {})
    ends = [x for x in run.ends if x.lane != CHANGES]
    leaves = [*run.leaves, more]
    return with_leaves(run, leaves, ends=[*ends, signed_end("vault", more)])


def a_head_is_signed_by_nobody(run: Evidence) -> Evidence:
    first = replace(run.ends[0], signature=bytes(64))
    return replace(run, ends=[first, *run.ends[1:]])


def the_source_committed_more_than_the_log_holds(run: Evidence) -> Evidence:
    ends = [x for x in run.ends if x.lane != READS]
    last = next(x for x in reversed(run.leaves) if x.lane == READS)
    more = leaf_of(READS, last.seq + 1, last.hash, "vault", "record.read", {})
    return replace(run, ends=[*ends, signed_end("vault", more)])


def the_log_holds_what_no_source_committed(run: Evidence) -> Evidence:
    last = next(x for x in reversed(run.leaves) if x.lane == READS)
    more = leaf_of(READS, last.seq + 1, last.hash, "vault", "key.created", {})
    return with_leaves(run, [*run.leaves, more])


# --- what clients were told ----------------------------------------------------


def an_acknowledged_event_is_no_leaf(run: Evidence) -> Evidence:
    return with_attempt(run, nth(run, "patch"), event=f"{CHANGES}/99")


def a_read_has_no_event(run: Evidence) -> Evidence:
    return with_attempt(run, nth(run, "read"), event="")


def a_read_names_a_write(run: Evidence) -> Evidence:
    other = attempt(run, "create").event
    return with_attempt(run, nth(run, "read"), event=other)


def two_answers_name_one_event(run: Evidence) -> Evidence:
    other = attempt(run, "create").event
    return with_attempt(run, nth(run, "create", "C-2"), event=other)


def a_repeated_request_was_done_again(run: Evidence) -> Evidence:
    again = next(n for n, one in enumerate(run.history) if one.again)
    return with_attempt(run, again, event=attempt(run, "create").event)


def a_write_was_logged_and_never_tried(run: Evidence) -> Evidence:
    history = [a for a in run.history if a.kind != "objection"]
    return replace(run, history=history)


def a_later_write_stands_first(run: Evidence) -> Evidence:
    one, two = nth(run, "create"), nth(run, "create", "C-2")
    first, second = run.history[one].event, run.history[two].event
    return with_attempt(with_attempt(run, one, event=second), two, event=first)


def an_etag_went_backwards(run: Evidence) -> Evidence:
    return with_attempt(run, nth(run, "read"), etag=2)


def two_patches_from_one_etag(run: Evidence) -> Evidence:
    found = attempt(run, "patch")
    twin = replace(found, value="town-x", begun=0.0, client="seller-1")
    return replace(run, history=[*run.history, twin])


def a_read_shows_a_refused_town(run: Evidence) -> Evidence:
    return with_attempt(run, nth(run, "patch"), outcome=REFUSED)


def a_read_misses_what_was_told_before(run: Evidence) -> Evidence:
    # It stayed with the seller: nothing but a loss explains what is not shown.
    run = with_holding(run, "C-1", 1, Holding())
    return with_attempt(run, nth(run, "read"), entries=())


# --- what is held at the end ----------------------------------------------------


def an_acknowledged_entry_is_gone(run: Evidence) -> Evidence:
    held = replace(run.customers["C-1"][1], entries=())
    return with_holding(run, "C-1", 1, held)


def an_entry_is_shown_twice(run: Evidence) -> Evidence:
    held = replace(run.customers["C-1"][1], entries=("e-1", "e-1"))
    return with_holding(run, "C-1", 1, held)


def an_acknowledged_patch_is_gone(run: Evidence) -> Evidence:
    held = replace(run.customers["C-1"][1], town="town-C-1")
    return with_holding(run, "C-1", 1, held)


def both_parties_read_a_record(run: Evidence) -> Evidence:
    return with_holding(run, "C-1", 0, run.customers["C-1"][1])


def nobody_reads_a_record(run: Evidence) -> Evidence:
    return with_holding(run, "C-1", 1, Holding())


def a_record_is_there_twice(run: Evidence) -> Evidence:
    held = replace(run.customers["C-2"][0], records=2)
    return with_holding(run, "C-2", 0, held)


def a_refused_customer_is_there(run: Evidence) -> Evidence:
    return with_attempt(run, nth(run, "create", "C-2"), outcome=REFUSED)


def an_objection_was_not_obeyed(run: Evidence) -> Evidence:
    moved = with_holding(run, "C-2", 1, run.customers["C-2"][0])
    return with_holding(moved, "C-2", 0, Holding())


# --- handovers -------------------------------------------------------------------


def with_handover(run: Evidence, **changed: Any) -> Evidence:
    return replace(run, handovers=[replace(run.handovers[0], **changed)])


def a_handover_stands_still(run: Evidence) -> Evidence:
    steps = run.handovers[0].steps[:-1]
    return with_handover(run, steps=steps, state="post_audit")


def a_step_was_left_out(run: Evidence) -> Evidence:
    steps = list(run.handovers[0].steps)
    del steps[17]  # the mandate
    dense = [replace(one, step=n) for n, one in enumerate(steps, 1)]
    return with_handover(run, steps=dense)


def a_handover_is_cancelled_here_and_turned_there(run: Evidence) -> Evidence:
    return with_handover(run, at_the_vault="cancelled")


def custody_turned_twice(run: Evidence) -> Evidence:
    leaves = list(run.leaves)
    last = next(x for x in reversed(leaves) if x.lane == LATER)
    facts = {"handover": HANDOVER}
    more = leaf_of(LATER, last.seq + 1, last.hash, "vault", "custody.turned", facts)
    ends = [x for x in run.ends if x.lane != LATER]
    return with_leaves(run, [*leaves, more], ends=[*ends, signed_end("vault", more)])


def a_step_that_a_person_took_is_gone(run: Evidence) -> Evidence:
    extra = replace(attempt(run, "step", HANDOVER), client="BO", value="freeze")
    return replace(run, history=[*run.history, extra])


def a_handover_is_gone(run: Evidence) -> Evidence:
    return replace(run, handovers=[])


def a_count_does_not_add_up(run: Evidence) -> Evidence:
    turned = {"basic": {"transfer": {"eligible": 1}}}
    return with_handover(run, turned=turned)


def more_is_said_to_have_moved_than_is_there(run: Evidence) -> Evidence:
    counts = {"basic": {"transfer": {"eligible": 2}}}
    return with_handover(run, frozen=counts, turned=counts)


PLANTED: list[tuple[Spoil, str]] = [
    (a_leaf_is_missing_at_the_end_of_a_lane, "event-lost"),
    (a_leaf_is_missing_in_a_lane, "lane-gap"),
    (a_leaf_stands_twice, "leaf-twice"),
    (two_leaves_of_a_lane_change_places, "lane-gap"),
    (a_leaf_was_rewritten, "lane-chain"),
    (a_checkpoint_of_another_tree_was_seen, "fork"),
    (a_larger_checkpoint_was_seen_before, "shrunk"),
    (the_log_was_cut_off, "shrunk"),
    (two_lanes_follow_one, "lane-fork"),
    (a_lane_follows_an_older_end, "lane-restored"),
    (a_head_is_signed_by_nobody, "head-forged"),
    (the_source_committed_more_than_the_log_holds, "event-lost"),
    (the_log_holds_what_no_source_committed, "event-without-commit"),
    (an_acknowledged_event_is_no_leaf, "ack-lost"),
    (a_read_has_no_event, "read-without-event"),
    (a_read_names_a_write, "wrong-event"),
    (two_answers_name_one_event, "event-shared"),
    (a_repeated_request_was_done_again, "doubled"),
    (a_write_was_logged_and_never_tried, "event-without-commit"),
    (a_later_write_stands_first, "reordered"),
    (an_etag_went_backwards, "etag-backwards"),
    (two_patches_from_one_etag, "lost-update"),
    (a_read_shows_a_refused_town, "aborted-read"),
    (a_read_misses_what_was_told_before, "stale-read"),
    (an_acknowledged_entry_is_gone, "ack-lost"),
    (an_entry_is_shown_twice, "doubled"),
    (an_acknowledged_patch_is_gone, "ack-lost"),
    (both_parties_read_a_record, "two-owners"),
    (nobody_reads_a_record, "no-owner"),
    (a_record_is_there_twice, "doubled"),
    (a_refused_customer_is_there, "aborted-write"),
    (an_objection_was_not_obeyed, "objection-ignored"),
    (a_handover_stands_still, "illegal-end"),
    (a_step_was_left_out, "illegal-step"),
    (a_handover_is_cancelled_here_and_turned_there, "illegal-end"),
    (custody_turned_twice, "doubled"),
    (a_step_that_a_person_took_is_gone, "ack-lost"),
    (a_handover_is_gone, "ack-lost"),
    (a_count_does_not_add_up, "counts"),
    (more_is_said_to_have_moved_than_is_there, "counts"),
]


def test_in_a_good_run_nothing_is_found() -> None:
    assert judge(good_run()) == []


@pytest.mark.parametrize(
    ("spoil", "rule"), PLANTED, ids=[spoil.__name__ for spoil, _ in PLANTED]
)
def test_what_is_planted_is_found(spoil: Spoil, rule: str) -> None:
    found = judge(spoil(good_run()))
    assert rule in {one.rule for one in found}, found


def test_an_unknown_outcome_may_have_happened_or_not() -> None:
    run = good_run()
    held = replace(run.customers["C-2"][0], classes=frozenset({"basic", "purchases"}))
    run = with_holding(run, "C-2", 0, replace(held, entries=("e-2",)))
    assert judge(run) == []
    assert attempt(run, "append", "C-2").outcome == UNKNOWN
