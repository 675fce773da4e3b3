# SPDX-License-Identifier: Apache-2.0
"""The report of a run: a table, `report.json`, and `report.html` with plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.bench.rounds import Aim, Row, Spread
from deploy.bench.run import Run


def write_report(
    folder: Path, facts: Mapping[str, Any], run: Run, rows: Sequence[Row]
) -> None:
    """Write the report's files."""
    figures = {
        "machine": facts,
        "rounds": run.rounds,
        "seconds": run.seconds,
        "rows": [row.figures() for row in rows],
    }
    path = folder / "report.json"
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def print_table(
    console: Console, facts: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """Print every row: medians, ranges, ratios and what was aimed at."""
    table = Table(title="Medians (ranges) over paired rounds", title_justify="left")
    for name in ("what", "ours", "floor", "ratio", "aim", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        ratio = row.ratio()
        table.add_row(
            row.name,
            f"{_text(Spread.of(row.ours))} {row.unit}",
            f"{_text(Spread.of(row.floor))} ({row.floor_name})" if row.floor else "",
            _text(ratio) if ratio is not None else "",
            aim_text(row.aim),
            {True: "reached", False: "missed", None: ""}[row.reached()],
        )
    console.print(table)
    console.print(json.dumps(facts), highlight=False)


def aim_text(aim: Aim | None) -> str:
    """Return an aim as a reader wants it."""
    if aim is None:
        return ""
    sign, value = ("≥", aim.least) if aim.least is not None else ("≤", aim.most)
    return f"{sign} {_short(value or 0.0)}"


def _text(spread: Spread) -> str:
    low, high = _short(spread.low), _short(spread.high)
    return f"{_short(spread.median)} ({low}-{high})"


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
