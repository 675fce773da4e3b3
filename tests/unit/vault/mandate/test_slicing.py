# SPDX-License-Identifier: Apache-2.0
"""Promise: a decision is cut into the same batches, however it is met slice by slice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.custody.decision import DecisionRow
from services.vault.mandate.slicing import BATCH_FOLIOS, batch_digest, cut
from services.vault.mandate.store import StoredBatch


def rows_of(volumes: list[int]) -> list[DecisionRow]:
    """One record per number, with so many moving folios; positions leave gaps."""
    found: list[DecisionRow] = []
    for record, count in enumerate(volumes):
        for volume in range(count):
            position = len(found) * 2
            found.append(
                DecisionRow(
                    position,
                    f"r{record:04}",
                    f"n{record:04}",
                    "purchases",
                    f"{2000 + volume}",
                    f"v{position}",
                    "transfer",
                    "line-1/transfer",
                    "eligible",
                )
            )
    return found


def in_slices(rows: list[DecisionRow], records: int) -> list[StoredBatch]:
    """Cut as the freeze does: after so many records each, the tail waiting."""
    batches: list[StoredBatch] = []
    ids = sorted({row.record for row in rows})
    for end in range(records, len(ids) + records, records):
        done = batches[-1].last_position if batches else -1
        seen = set(ids[:end])
        waiting = [r for r in rows if r.position > done and r.record in seen]
        to_the_end = end >= len(ids)
        batches += cut(waiting, first=len(batches) + 1, to_the_end=to_the_end)
    return batches


@given(
    st.lists(st.integers(min_value=1, max_value=140), max_size=40),
    st.integers(min_value=1, max_value=9),
)
def test_slices_give_the_batches_of_the_whole(volumes: list[int], records: int) -> None:
    rows = rows_of(volumes)
    whole = cut(rows, first=1, to_the_end=True)
    assert in_slices(rows, records) == whole
    assert [one.n for one in whole] == list(range(1, len(whole) + 1))
    assert sum(one.folios for one in whole) == len(rows)
    for one in whole:
        own = [
            row
            for row in rows
            if one.first_position <= row.position <= one.last_position
        ]
        assert len(own) == one.folios
        assert batch_digest(own) == one.digest
        # More than a hundred only where a single record has as many.
        assert one.folios <= BATCH_FOLIOS or len({row.record for row in own}) == 1
    borders = [
        (rows_at(rows, a.last_position), rows_at(rows, b.first_position))
        for a, b in pairwise(whole)
    ]
    assert all(left.record != right.record for left, right in borders)


def rows_at(rows: list[DecisionRow], position: int) -> DecisionRow:
    return next(row for row in rows if row.position == position)


def test_every_member_of_a_row_is_in_the_digest() -> None:
    (row,) = rows_of([1])
    changed = [
        row._replace(position=7),
        row._replace(record="x"),
        row._replace(new_record="x"),
        row._replace(class_="x"),
        row._replace(volume="x"),
        row._replace(version="x"),
    ]
    digests = {batch_digest([one]) for one in (row, *changed)}
    assert len(digests) == 7
