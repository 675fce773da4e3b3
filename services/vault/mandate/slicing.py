# SPDX-License-Identifier: Apache-2.0
"""Cutting a decision into batches: at most 100 folios, never through a record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from contracts.custody.decision import DecisionRow
from contracts.custody.document import digest
from contracts.events.envelope import canonical_json
from services.vault.mandate.store import StoredBatch

BATCH_FOLIOS: Final = 100


def cut(
    rows: Iterable[DecisionRow], *, first: int, to_the_end: bool
) -> list[StoredBatch]:
    """Return the batches of moving rows, in order of position.

    Args:
        rows: The rows that stand in no batch yet.
        first: The number of the first batch.
        to_the_end: Whether no row follows; else what does not fill a batch is left.
    """
    found: list[StoredBatch] = []
    waiting: list[DecisionRow] = []
    for _record, group in groupby(rows, key=lambda row: row.record):
        own = list(group)
        if waiting and len(waiting) + len(own) > BATCH_FOLIOS:
            found.append(_batch(first + len(found), waiting))
            waiting = []
        waiting += own
    if waiting and to_the_end:
        found.append(_batch(first + len(found), waiting))
    return found


def _batch(n: int, rows: Sequence[DecisionRow]) -> StoredBatch:
    return StoredBatch(
        n=n,
        first_position=rows[0].position,
        last_position=rows[-1].position,
        folios=len(rows),
        digest=batch_digest(rows),
        result="",
        executed_at=None,
        verified_at=None,
    )


def batch_digest(rows: Iterable[DecisionRow]) -> str:
    """Return the digest of a batch: over the canonical JSON of its rows."""
    return digest(
        canonical_json(
            [
                [r.position, r.record, r.new_record, r.class_, r.volume, r.version]
                for r in rows
            ]
        )
    )
