# SPDX-License-Identifier: Apache-2.0
"""Runs an attack's tests, and the same tests on copies with a planted fault each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.attack.catalogue import ROOT, Attack, Planted, tracked

HELD, FAILED, ABSENT = "held", "failed", "absent"
CAUGHT, MISSED, STALE = "caught", "missed", "stale"
TEST_SECONDS = 7_200
PLANT_SECONDS = 300


@dataclass(frozen=True)
class Counted:
    """What one run of tests came to, by the tests themselves and not by exit code."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    names: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What came of one attack."""

    id: str
    what: str
    state: str = HELD
    reason: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()
    faults: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def caught(self) -> int:
        """How many planted faults its tests noticed."""
        return sum(fault["state"] == CAUGHT for fault in self.faults)

    def as_json(self) -> dict[str, Any]:
        """Return what the report says of it."""
        return asdict(self)


def carry_out(
    attack: Attack,
    files: Sequence[str],
    faults: Sequence[Planted],
    *,
    copy: Path,
    release: bool,
) -> Outcome:
    """Run the tests of an attack, then each of its planted faults on the copy."""
    began = time.monotonic()
    outcome = Outcome(attack.id, attack.what)
    if attack.absent:
        outcome.state, outcome.reason = ABSENT, attack.absent
        return outcome
    if files:
        figures = "release" if release else "usual"
        counted = _pytest(ROOT, [*files, "--attack", attack.id], figures, TEST_SECONDS)
        outcome.passed, outcome.skipped = counted.passed, counted.skipped
        outcome.failed = counted.failed + counted.errors
        outcome.failures = counted.names
    outcome.faults = [_plant(fault, copy) for fault in faults]
    if outcome.failed or not outcome.passed:
        outcome.state, outcome.reason = FAILED, "tests failed, or there are none"
    elif outcome.caught < len(faults) or not faults:
        outcome.state, outcome.reason = FAILED, "a planted fault was not noticed"
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def copy_tree(target: Path) -> Path:
    """Copy what is tracked to `target`; return it."""
    for name in tracked():
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place)
    return target


def _plant(fault: Planted, copy: Path) -> dict[str, str]:
    told = {"file": fault.file, "why": fault.why, "state": STALE, "reason": ""}
    try:
        before = fault.apply(copy)
    except ValueError as stale:
        told["reason"] = str(stale)
        return told
    try:
        counted = _pytest(copy, ["-x", *fault.tests], "few", PLANT_SECONDS)
    finally:
        (copy / fault.file).write_text(before, encoding="utf-8")
    # An error (of an import, of a fixture) is a broken plant and proves nothing.
    noticed = counted.failed > 0 and not counted.errors
    told["state"] = CAUGHT if noticed else MISSED
    if not noticed:
        told["reason"] = f"{counted.passed} passed, {counted.errors} errors"
    return told


def _pytest(
    tree: Path, arguments: Sequence[str], figures: str, seconds: float
) -> Counted:
    report = tree / "build" / "attack" / "pytest.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-n",
                "0",
                "-p",
                "no:cacheprovider",
            ),
            *("--timeout", str(int(seconds)), f"--junitxml={report}"),
            *(f"--basetemp={report.parent / 'tmp'}", *arguments),
        ],
        cwd=tree,
        env=_environ(tree, figures),
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=seconds + 60,
    )
    return _counted(report)


def _environ(tree: Path, figures: str) -> dict[str, str]:
    mine = {"PYTHONPATH": str(tree), "KEYTURN_ATTACK_FIGURES": figures}
    return {**os.environ, **mine}


def _counted(report: Path) -> Counted:
    if not report.exists():  # it never came to running tests
        return Counted(errors=1)
    kinds = {"failure": 0, "error": 0, "skipped": 0}
    names: list[str] = []
    cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        for kind in kinds:
            if case.find(kind) is not None:
                kinds[kind] += 1
                if kind != "skipped":
                    names.append(f"{case.get('classname')}.{case.get('name')}")
                break
    return Counted(
        passed=len(cases) - sum(kinds.values()),
        failed=kinds["failure"],
        errors=kinds["error"] + (not cases),
        skipped=kinds["skipped"],
        names=tuple(names),
    )
