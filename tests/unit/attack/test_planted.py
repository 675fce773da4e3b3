# SPDX-License-Identifier: Apache-2.0
"""The attacks, their tests, their planted faults and SECURITY.md are one list."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from tests.attack.carrying_out import Counted, _counted
from tests.attack.catalogue import (
    ROOT,
    Planted,
    attacks,
    planted,
)
from tests.attack.catalogue import (
    test_files as files_of_attacks,
)

PROMISED = [*(f"A{n}" for n in range(1, 14)), "T7", "T8", "T10", "T12", "T13"]
_NAMED = re.compile(r"`(tests/[\w/.]+)(?:::(\w+))?`")


def defined(name: str) -> set[str]:
    """Return the test functions of a file."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_promised_attack_is_in_the_table() -> None:
    assert [attack.id for attack in attacks()] == PROMISED


def test_every_attack_has_tests_and_a_planted_fault_or_says_why_it_is_absent() -> None:
    files = files_of_attacks()
    faults = {fault.attack for fault in planted()}
    assert set(files) <= set(PROMISED)
    for attack in attacks():
        if attack.absent:
            assert attack.id not in files, f"{attack.id} is there: say so"
        else:
            assert files.get(attack.id), f"{attack.id} has no marked test"
            assert attack.id in faults, f"{attack.id} has no planted fault"


@pytest.mark.parametrize(
    "fault", planted(), ids=[f"{f.attack} {f.why}" for f in planted()]
)
def test_every_planted_fault_applies_and_its_tests_exist(
    fault: Planted, tmp_path: Path
) -> None:
    copy = tmp_path / fault.file
    copy.parent.mkdir(parents=True)
    shutil.copy2(ROOT / fault.file, copy)
    before = fault.apply(tmp_path)
    after = copy.read_text(encoding="utf-8")
    assert after != before
    ast.parse(after)  # a plant that does not parse would fail every test
    assert fault.why
    assert fault.tests
    for name in fault.tests:
        file, _, function = name.partition("::")
        assert function in defined(file) or not function, name


def test_a_stale_planted_fault_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1", "y = 1"):
        with pytest.raises(ValueError, match="times"):
            Planted("A1", "a.py", old, "", ("t",), "w").apply(tmp_path)


def test_a_run_that_never_came_to_its_tests_proves_nothing(tmp_path: Path) -> None:
    report = tmp_path / "r.xml"
    assert _counted(report) == Counted(errors=1)
    report.write_text("<testsuites><testsuite/></testsuites>")
    assert _counted(report).errors
    report.write_text(
        "<t><testcase name='a' classname='m'><error/></testcase>"
        "<testcase name='b' classname='m'><failure/></testcase>"
        "<testcase name='c' classname='m'/></t>"
    )
    found = _counted(report)
    assert (found.passed, found.failed, found.errors) == (1, 1, 1)


def test_what_security_md_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = _NAMED.findall(text)
    assert named
    for path, function in named:
        assert (ROOT / path).exists(), path
        if function:
            assert function in defined(path), f"{path}::{function}"


def test_every_threat_of_security_md_names_an_attack_or_a_test() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("## Threats and where they end")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    known = {attack.id for attack in attacks() if not attack.absent}
    for row in rows:
        cell = row.strip("| ").rpartition("|")[2]
        ids = set(re.findall(r"\b[AT]\d+\b", cell))
        assert ids <= known, row
        assert ids or _NAMED.search(cell), row
