# SPDX-License-Identifier: Apache-2.0
"""The report of a run: a table, `report.json`, and `report.html` with plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.bench.plots import write_page
from deploy.bench.rounds import Row
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
    write_page(folder / "report.html", facts, rows)


def print_table(
    console: Console, facts: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """Print every row: medians, ranges, ratios and what was aimed at."""
    table = Table(title="Medians (ranges) over paired rounds", title_justify="left")
    for name in ("what", "ours", "floor", "ratio", "aim", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.ours_text} {row.unit}",
            f"{row.floor_text} ({row.floor_name})" if row.floor else "",
            row.ratio_text,
            row.aim_text,
            {True: "reached", False: "missed", None: ""}[row.reached()],
        )
    console.print(table)
    console.print(json.dumps(facts), highlight=False)
