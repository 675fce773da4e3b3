# SPDX-License-Identifier: Apache-2.0
"""The root binds every row and count; a slice, a drop and a proof all check."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.custody.decision import (
    DecisionMismatch,
    DecisionRow,
    DecisionTally,
    DisclosedRow,
    GroupItem,
    GroupKey,
    RowsOutOfOrder,
    check_group,
    check_row,
    decision_root,
    leaf_bytes,
    parse_summary,
    prove_row,
    row_leaf,
    salt,
    summarise,
    summary_bytes,
)
from contracts.custody.document import DocumentMalformed
from contracts.log.errors import TreePositionError
from tests.unit.contracts.custody.factories import SECRET, VECTORS

VECTOR = json.loads((VECTORS / "decision.json").read_bytes())
ROWS = [DecisionRow(*row) for row in VECTOR["rows"]]
MOVED = ("basic", "transfer", "eligible")


def key_of(row: DecisionRow) -> GroupKey:
    return row.class_, row.outcome, row.reason


def disclosed(rows: list[DecisionRow]) -> list[DisclosedRow]:
    return [DisclosedRow(row, salt(row.position, SECRET)) for row in rows]


@dataclass
class Deal:
    """A decision with two classes and enough rows to fill several buffers."""

    rows: list[DecisionRow]

    @classmethod
    def of(cls, size: int) -> Deal:
        pick = random.Random(7)  # a fixed deal
        outcomes = [("transfer", "eligible"), ("held", "consent")]
        return cls(
            [
                DecisionRow(
                    position,
                    f"r{position}",
                    f"n{position}",
                    pick.choice(["basic", "habits"]),
                    "1",
                    f"v{position}",
                    *_with_rule(*pick.choice(outcomes)),
                )
                for position in range(size)
            ]
        )

    def group(self, key: GroupKey) -> list[DecisionRow]:
        return [row for row in self.rows if key_of(row) == key]


def _with_rule(outcome: str, reason: str) -> tuple[str, str, str]:
    return outcome, f"line-1/{reason}", reason


DEAL = Deal.of(5000)
SUMMARY = summarise(DEAL.rows, SECRET)
GROUP = DEAL.group(MOVED)


def test_salts_leaves_groups_and_root_are_those_of_the_vectors() -> None:
    secret = bytes.fromhex(VECTOR["secret_hex"])
    salts = [salt(row.position, secret) for row in ROWS]
    assert [s.hex() for s in salts] == VECTOR["salts_hex"]
    leaves = [leaf_bytes(row, s).decode() for row, s in zip(ROWS, salts, strict=True)]
    assert leaves == VECTOR["leaves"]
    hashes = [row_leaf(row, s).hex() for row, s in zip(ROWS, salts, strict=True)]
    assert hashes == VECTOR["leaf_hashes_hex"]
    summary = summarise(ROWS, secret)
    assert summary_bytes(summary).decode() == VECTOR["summary"]
    assert decision_root(summary) == VECTOR["decision_root"]
    assert parse_summary(VECTOR["summary"].encode()) == summary


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_leaf_is_canonical_whatever_its_texts(
    record: str, volume: str, version: str
) -> None:
    row = ROWS[0]._replace(record=record, volume=volume, version=version)
    members: list[Any] = [
        "AAAA",
        0,
        record,
        row.class_,
        volume,
        version,
        row.outcome,
        row.rule,
    ]
    assert leaf_bytes(row, bytes(3)) == rfc8785.dumps(members)


def test_counts_sum_to_the_inventory_and_are_those_of_the_rows() -> None:
    counted = Counter(key_of(row) for row in DEAL.rows)
    assert SUMMARY.inventory() == len(DEAL.rows)
    assert {
        (name, outcome, reason): count
        for name, outcomes in SUMMARY.counts().items()
        for outcome, reasons in outcomes.items()
        for reason, count in reasons.items()
    } == counted


def test_an_empty_decision_has_a_root_and_no_group() -> None:
    empty = summarise([], SECRET)
    assert summary_bytes(empty) == b"{}"
    assert empty.inventory() == 0
    assert empty.group(MOVED) is None


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 199),
    st.sampled_from(["record", "class_", "volume", "version", "outcome", "rule", "reason"]),
)  # fmt: skip
def test_every_member_of_every_row_is_bound(position: int, member: str) -> None:
    rows = DEAL.rows[:200]
    edited = list(rows)
    edited[position] = DecisionRow(**{**rows[position]._asdict(), member: "other"})
    assert decision_root(summarise(edited, SECRET)) != decision_root(
        summarise(rows, SECRET)
    )


def test_another_secret_gives_another_root() -> None:
    assert decision_root(summarise(DEAL.rows, bytes(32))) != decision_root(SUMMARY)


@pytest.mark.parametrize(
    "positions", [[1, 2], [0, 2], [0, 0], [0, 1, 0]], ids=["from-1", "gap", "twice", "back"]
)  # fmt: skip
def test_positions_have_no_gap(positions: list[int]) -> None:
    with pytest.raises(RowsOutOfOrder):
        summarise([ROWS[0]._replace(position=p) for p in positions], SECRET)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 5000), max_size=4))
def test_a_tally_may_be_saved_and_continued_anywhere(cuts: list[int]) -> None:
    tally = DecisionTally(SECRET)
    for row in DEAL.rows:
        if row.position in cuts:
            tally = DecisionTally.continued(tally.saved(), SECRET)
            assert tally.next_position == row.position
        tally.add(row)
    assert tally.summary() == SUMMARY
    assert tally.summary() == SUMMARY  # asking changes nothing


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{}",
        b'{"next":1,"trees":[["basic","held","consent","00"]]}',
        b'{"next":1,"trees":[["basic","held","consent","zz"]]}',
        b'{"next":1,"trees":[["basic","held"]]}',
    ],
    ids=["empty", "no-members", "no-range", "no-hex", "no-key"],
)
def test_bytes_that_no_tally_saved_are_refused(state: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        DecisionTally.continued(state, SECRET)


def test_the_saved_state_does_not_hold_the_secret() -> None:
    tally = DecisionTally(SECRET)
    tally.add(ROWS[0])
    assert SECRET.hex().encode() not in tally.saved()


def test_the_complete_group_is_confirmed() -> None:
    check_group(SUMMARY, MOVED, disclosed(GROUP))


def test_a_dropped_row_is_confirmed_by_its_leaf_hash_only() -> None:
    items: list[GroupItem] = [*disclosed(GROUP)]
    items[5] = row_leaf(GROUP[5], salt(GROUP[5].position, SECRET))
    items[-1] = row_leaf(GROUP[-1], salt(GROUP[-1].position, SECRET))
    check_group(SUMMARY, MOVED, items)


def _without(items: list[GroupItem]) -> list[GroupItem]:
    return items[1:]


def _foreign_leaf(items: list[GroupItem]) -> list[GroupItem]:
    return [bytes(32), *items[1:]]


def _short_leaf(items: list[GroupItem]) -> list[GroupItem]:
    return [bytes(31), *items[1:]]


def _one_more(items: list[GroupItem]) -> list[GroupItem]:
    return [*items, bytes(32)]


def _edited(items: list[GroupItem]) -> list[GroupItem]:
    return [DisclosedRow(GROUP[0]._replace(version="vX"), items[0].salt), *items[1:]]  # type: ignore[union-attr]


def _foreign_row(items: list[GroupItem]) -> list[GroupItem]:
    return [DisclosedRow(GROUP[0]._replace(reason="consent"), bytes(16)), *items[1:]]


@pytest.mark.parametrize(
    "spoil",
    [_without, _foreign_leaf, _short_leaf, _one_more, _edited, _foreign_row],
    ids=lambda spoil: spoil.__name__,
)
def test_a_group_with_a_fault_is_refused(spoil: object) -> None:
    with pytest.raises(DecisionMismatch):
        check_group(SUMMARY, MOVED, spoil(disclosed(GROUP)))  # type: ignore[operator]


@pytest.mark.parametrize(
    "rows",
    [[GROUP[1], GROUP[0], *GROUP[2:]], [GROUP[0], *GROUP]],
    ids=["swapped", "twice"],
)
def test_a_group_out_of_order_is_refused(rows: list[DecisionRow]) -> None:
    with pytest.raises(RowsOutOfOrder):
        check_group(SUMMARY, MOVED, disclosed(rows))


def test_a_group_that_the_decision_lacks_is_refused() -> None:
    with pytest.raises(DecisionMismatch):
        check_group(SUMMARY, ("basic", "excluded", "expired"), [])


@pytest.mark.parametrize("index", [0, 1, 600, len(GROUP) - 1])
def test_one_row_is_proven_without_the_others(index: int) -> None:
    leaves = [row_leaf(item.row, item.salt) for item in disclosed(GROUP)]
    proof = prove_row(leaves, index)
    item = disclosed(GROUP)[index]
    check_row(SUMMARY, item, index, proof)
    other = DisclosedRow(item.row._replace(record="rX"), item.salt)
    for wrong in (
        (other, index, proof),
        (item, index + 1, proof),
        (item, index, proof[:-1]),
        (item, len(GROUP), proof),
    ):
        with pytest.raises(DecisionMismatch):
            check_row(SUMMARY, *wrong)


def test_a_row_of_no_group_is_not_proven() -> None:
    row = GROUP[0]._replace(outcome="archive_only")
    with pytest.raises(DecisionMismatch):
        check_row(SUMMARY, DisclosedRow(row, bytes(16)), 0, [])
    with pytest.raises(TreePositionError):
        prove_row([], 0)


@pytest.mark.parametrize(
    "raw",
    [b'{"basic":1}', b'{"basic":{"held":{"consent":{"count":1}}}}', b"[]", b"{ }"],
    ids=["no-object", "no-root", "list", "spaces"],
)  # fmt: skip
def test_a_summary_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        parse_summary(raw)
