# SPDX-License-Identifier: Apache-2.0
"""`report.html`: one page with a plot a row, without scripts or anything foreign."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from deploy.bench.rounds import Row, Spread
from deploy.pages import template

TEMPLATE: Final = "report.html.j2"
WIDTH: Final = 300.0
ROOM: Final = 1.1  # what is furthest right ends a little before the edge


@dataclass(frozen=True, slots=True)
class Plot:
    """A row's bar: positions are 0..WIDTH, rounds are the single measurements.

    Attributes:
        what: What the scale is of.
        bar: The median.
        rounds: Each paired round.
        aim: Where the aim is; None without one on this scale.
        least: Whether right of the aim is good (else left of it).
    """

    what: str
    bar: float
    rounds: Sequence[float]
    aim: float | None
    least: bool


def plot(row: Row) -> Plot:
    """Return how a row is drawn: its ratio, or its own figure where that is the aim."""
    own = row.ratio() is None or (row.aim is not None and row.aim.of == "ours")
    values = list(row.ours) if own else row.ratios()
    aim = None if row.aim is None else row.aim.value
    scale = max([*values, *([] if aim is None else [aim])]) * ROOM or 1.0

    def at(value: float) -> float:
        return round(WIDTH * value / scale, 1)

    return Plot(
        what=row.unit if own else f"of {row.floor_name}",
        bar=at(Spread.of(values).median),
        rounds=[at(value) for value in values],
        aim=None if aim is None else at(aim),
        least=row.aim is not None and row.aim.least is not None,
    )


def write_page(path: Path, facts: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Write the page."""
    sections = {
        name: [(row, plot(row)) for row in found]
        for name, found in groupby(rows, key=lambda row: row.section)
    }
    text = template(Path(__file__).with_name(TEMPLATE)).render(
        facts=facts,
        facts_text=json.dumps(facts, indent=2),
        sections=sections,
        width=WIDTH,
    )
    path.write_text(text, encoding="utf-8")
