# SPDX-License-Identifier: Apache-2.0
"""Promise: a labelled point of the code at which no test kills does not pass."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

from services.chassis.crashpoints import LABELS
from tests.crash.crash_runs import ELSEWHERE, RUNS

ROOT: Final = Path(__file__).parents[3]


def test_every_label_is_a_place_where_some_run_kills() -> None:
    armed = {
        at.partition(":")[0]
        for parts in RUNS.values()
        for lives in parts.values()
        for at in lives
    }
    assert armed.isdisjoint(ELSEWHERE)
    assert armed | ELSEWHERE.keys() == set(LABELS)
    for label, file in ELSEWHERE.items():
        assert f'"{label}"' in (ROOT / file).read_text(encoding="utf-8")


def test_the_code_reaches_every_label_and_no_other() -> None:
    reached = {
        argument.value
        for path in (ROOT / "services").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reach"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    assert reached == set(LABELS)
