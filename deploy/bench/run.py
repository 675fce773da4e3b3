# SPDX-License-Identifier: Apache-2.0
"""What one run of the bench was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: For what is measured and the report.
        rounds: Paired rounds of each row.
        seconds: Of load in each half of a round.
        size: Customers of a large company: how many are imported and handed over.
        say: Told what happens, in a line.
    """

    folder: Path
    rounds: int
    seconds: float
    size: int
    say: Callable[[str], None]
