# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.crash.cycles`: the fault programme; 0 only if all of it held."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from services.chassis.clock import random_alias
from tests.crash.cycles.programme import FAULTS, Programme, show, write_report
from tests.crash.faults.scenario import RELEASE, Scale

MARKER = ".crash-programme"


def main() -> int:
    """Parse, run, print and write; return the exit code."""
    options = _parser().parse_args()
    if not options.apart and _may_unshare():
        # Once more, with mounts of its own: a disk that is filled is nobody else's.
        again = (sys.executable, "-m", "tests.crash.cycles", *sys.argv[1:], "--apart")
        os.execvp("unshare", ("unshare", "-m", *again))
    console = Console(highlight=False, width=140)
    scale = RELEASE if options.release else Scale()
    scale = replace(scale, own_mounts=options.apart)
    if options.cycles is not None:
        a_round = min(scale.a_round, options.cycles)
        scale = replace(scale, cycles=options.cycles, a_round=a_round)
    seed = options.seed or random_alias()[:8]
    folder = _cleared(options.dir)
    console.print(f"seed {seed}; again: --seed {seed}")
    programme = Programme(folder, options.engine, seed, scale, console)
    came = programme.run(options.only or list(FAULTS))
    show(came, seed, console)
    write_report(folder / "report.json", came, options.engine, scale)
    held = all(one.held for one in came)
    if not held:
        console.print(f"[bold]NOT everything held[/]; state and histories: {folder}")
    return 0 if held else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--cycles", type=int, help="random kills (60; release 2,000)")
    parser.add_argument("--seed", help="of every choice by chance; printed without")
    parser.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--dir", type=Path, default=Path("build/crash"))
    parser.add_argument("--only", action="append", choices=list(FAULTS))
    parser.add_argument("--release", action="store_true", help="the release's figures")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    return parser


def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ("unshare", "-m", "true")
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _cleared(folder: Path) -> Path:
    """Empty the folder of an earlier run; one of something else is refused."""
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            sys.exit(f"{folder} is not empty and not of an earlier run")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder


if __name__ == "__main__":
    sys.exit(main())
