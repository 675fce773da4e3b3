# SPDX-License-Identifier: Apache-2.0
"""One handover's papers are enough where a log holds other people's handovers too."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from services.cli.verify import verify, verify_directory
from services.cli.verify_report import Level
from tests.fakes.evidence import SIGNER, honest_entries, write_log
from tests.fakes.handover_papers import (
    CANCELLED,
    HANDOVER,
    custody_entries,
    filing_entries,
    write_papers,
)

ENTRIES = honest_entries(300, [*custody_entries(), *filing_entries(cancelled=True)])
UNKNOWN = "00000000-0000-4000-8000-00000000ffff"

APP = typer.Typer(add_completion=False)
APP.command()(verify)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """The papers of one handover of two."""
    write_log(tmp_path, ENTRIES)
    write_papers(tmp_path)
    return tmp_path


def failed(evidence: Path, handover: str) -> set[str]:
    report = verify_directory(evidence, handover=handover)
    found = {one.rule for one in report.findings if one.level is Level.FAILURE}
    assert report.ok is not bool(found)
    return found


def test_the_papers_of_the_handover_asked_for_are_enough(evidence: Path) -> None:
    report = verify_directory(evidence, handover=HANDOVER)
    assert report.ok
    assert [one.rule for one in report.findings] == ["narrowed"]
    assert not verify_directory(evidence).ok


def test_its_own_papers_must_all_be_here(evidence: Path) -> None:
    next((evidence / "handover").glob("*release*.dsse.json")).unlink()
    assert "paper-missing" in failed(evidence, HANDOVER)


@pytest.mark.parametrize("name", ["heads.json", "handover/plan.json"])
def test_nothing_else_is_softened(evidence: Path, name: str) -> None:
    (evidence / name).unlink()
    assert "unchecked" in failed(evidence, HANDOVER)


def test_without_any_papers_the_handover_asked_for_is_unchecked(
    evidence: Path,
) -> None:
    shutil.rmtree(evidence / "handover")
    assert failed(evidence, HANDOVER) == {"unchecked"}


def test_a_handover_that_the_log_does_not_know_fails(evidence: Path) -> None:
    assert failed(evidence, UNKNOWN) >= {"unknown-handover"}


def test_the_plan_must_be_of_the_handover_asked_for(evidence: Path) -> None:
    assert failed(evidence, CANCELLED) >= {"plan-differs", "unchecked"}


def test_the_command_narrows_and_exits_by_the_outcome(evidence: Path) -> None:
    place = [str(evidence), "--vkey", SIGNER.vkey]
    run = CliRunner().invoke(APP, [*place, "--json", "--handover", HANDOVER])
    assert (run.exit_code, json.loads(run.output)["ok"]) == (0, True)
    assert CliRunner().invoke(APP, [*place, "--handover", UNKNOWN]).exit_code == 1
    both = [*place, "--handover", HANDOVER, "--party", "seller"]
    assert CliRunner().invoke(APP, both).exit_code == 2
