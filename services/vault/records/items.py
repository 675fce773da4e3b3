# SPDX-License-Identifier: Apache-2.0
"""The items of a batch: what was asked, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.problems import Problem
from services.vault.records.once import Once
from services.vault.records.values import RecordContent, Written


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One item of a batch, named by the caller's own `ref`."""

    ref: str
    content: RecordContent
    once: Once | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one item: `written`, or the `error` that refused it."""

    ref: str
    written: Written | None = None
    error: Exception | None = field(default=None, repr=False)

    @property
    def problem(self) -> Problem | None:
        """The problem that refused the item."""
        found = getattr(self.error, "problem", None)
        return found if isinstance(found, Problem) else None
