# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.attack`: every attack and every planted fault, in one table.

Exit code: 0 all held; 1 one did not, or a planted fault was not noticed; 2 what there
is held, and an attack is absent.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.attack.carrying_out import ABSENT, FAILED, Outcome, carry_out, copy_tree
from tests.attack.catalogue import ROOT, attacks, planted, test_files

REPORT = ROOT / "build" / "attack" / "report.json"
ROW = "{:<4} {:<60} {:>5} {:>7} {:>7} {:>7}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the attacks asked for; return the exit code."""
    asked = _parser().parse_args(arguments)
    known = {attack.id: attack for attack in attacks()}
    wanted = asked.only.split(",") if asked.only else list(known)
    if unknown := set(wanted) - set(known):
        print(f"no such attack: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    files, faults, outcomes = test_files(), planted(), list[Outcome]()
    print(ROW.format("id", "what", "tests", "held", "faults", "seconds"), flush=True)
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        copy = copy_tree(Path(folder))
        for id_ in wanted:
            mine = [fault for fault in faults if fault.attack == id_]
            outcome = carry_out(
                known[id_],
                files.get(id_, []),
                mine,
                copy=copy,
                release=asked.release,
            )
            outcomes.append(outcome)
            _show(outcome)
    _write(asked.report, outcomes, release=asked.release)
    states = {outcome.state for outcome in outcomes}
    return 1 if FAILED in states else 2 if ABSENT in states else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.attack", description="Attack Keyturn; one table."
    )
    parser.add_argument("--only", default="", metavar="IDS", help="such as A1,T12")
    parser.add_argument(
        "--release", action="store_true", help="the figures of a release: hours"
    )
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE")
    return parser


def _show(outcome: Outcome) -> None:
    faults = f"{outcome.caught}/{len(outcome.faults)}"
    what = outcome.what if len(outcome.what) <= 60 else outcome.what[:57] + "..."
    row = ROW.format(
        *(outcome.id, what, outcome.passed, outcome.state, faults, outcome.seconds)
    )
    print(row, flush=True)
    if outcome.reason:
        print(f"     {outcome.reason}", flush=True)
    for name in outcome.failures:
        print(f"     {name}", flush=True)
    for fault in outcome.faults:
        if fault["reason"]:
            told = f"{fault['state']}: {fault['file']}: {fault['why']}"
            print(f"     {told} ({fault['reason']})", flush=True)


def _write(path: Path, outcomes: Sequence[Outcome], *, release: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "figures": "release" if release else "usual",
        "attacks": [outcome.as_json() for outcome in outcomes],
    }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"report: {path}")


if __name__ == "__main__":
    sys.exit(main())
