# SPDX-License-Identifier: Apache-2.0
"""Many records through calls of at most 100, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from keyturn_client.errors import AnswerMalformed, Fault, faults_of
from keyturn_client.models.vault import BatchIn, BatchItemIn, BatchOut

MAX_BATCH: Final = 100  # the vault's limit


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one record of a batch.

    Attributes:
        ref: The caller's own name of it.
        status: HTTP status of its own: 201 created, 200 changed, else refused.
        id: The record's id; None if it was refused.
        etag: Its version; None if it was refused.
        code: Code of the problem; empty if there is none.
        faults: What is wrong with it; pointers into the batch as it was sent.
    """

    ref: str
    status: int
    id: str | None
    etag: str | None
    code: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the vault has it."""
        return self.id is not None


def slices(items: Iterable[BatchItemIn], *, all_or_none: bool) -> Iterator[BatchIn]:
    """Cut items into batches; never holds more than one of them."""
    rest = iter(items)
    while taken := list(islice(rest, MAX_BATCH)):
        yield {"items": taken, "all_or_none": all_or_none}


def results(sent: BatchIn, answer: BatchOut) -> list[Item]:
    """Return what became of each item.

    Raises:
        AnswerMalformed: The answer is about other items than were sent.
    """
    asked = [item["ref"] for item in sent["items"]]
    told = answer.get("items", [])
    if [one.get("ref") for one in told] != asked:
        raise AnswerMalformed("the answer is about another batch")
    return [
        Item(
            ref=one["ref"],
            status=one["status"],
            id=one.get("id"),
            etag=one.get("etag"),
            code=str((one.get("problem") or {}).get("code", "")),
            faults=faults_of((one.get("problem") or {}).get("errors")),
        )
        for one in told
    ]
