# SPDX-License-Identifier: Apache-2.0
"""`python -m deploy.bench`: measures, prints a table, writes report.json and .html."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.bench import calls, custody, imports, log, reads
from deploy.bench.house import ENGINES, House, house
from deploy.bench.load import LoadFailed
from deploy.bench.machine import machine
from deploy.bench.report import print_table, write_report
from deploy.bench.rounds import Row
from deploy.bench.run import Run
from deploy.demo.scaled import WorldMissing

Section = Callable[[Run, House], Iterator[Row]]
SECTIONS: Final[dict[str, Section]] = {
    "reads": reads.measure,
    "calls": calls.measure,
    "imports": imports.measure,
    "log": log.measure,
    "custody": custody.measure,
}


def main() -> int:
    """Measure what was asked for; 0 if every row was measured."""
    asked = _parser().parse_args()
    console = Console()
    folder: Path = asked.dir
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(
        folder=folder,
        rounds=asked.rounds,
        seconds=asked.seconds,
        size=asked.size,
        say=lambda line: console.print(f"[dim]{line}[/]", highlight=False),
    )
    facts = machine(folder)
    rows: list[Row] = []
    try:
        for engine in asked.engine or ["sqlite"]:
            for name in asked.section or list(SECTIONS):
                console.rule(f"{name} on {engine}")
                with house(folder / f"{name}-{engine}", engine) as opened:
                    rows += SECTIONS[name](run, opened)
    except (LoadFailed, WorldMissing) as failed:
        print(f"not measured: {failed}", file=sys.stderr)
        return 1
    finally:
        if rows:
            write_report(folder, facts, run, rows)
            print_table(console, facts, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--section", action="append", choices=sorted(SECTIONS))
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--rounds", type=int, default=5, help="paired rounds a row")
    parser.add_argument("--seconds", type=float, default=3.0, help="load a half round")
    parser.add_argument("--size", type=int, default=10_000, help="customers at most")
    return parser


if __name__ == "__main__":
    sys.exit(main())
