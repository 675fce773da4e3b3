# SPDX-License-Identifier: Apache-2.0
"""Papers that anybody could have made never pass for the handover in the log."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.custody.plan import canonical_bytes, parse_plan, plan_hash
from services.cli.verify import verify_directory
from services.cli.verify_report import Level
from tests.fakes.evidence import honest_entries, write_log
from tests.fakes.handover_papers import (
    LOGIN,
    OFFICERS,
    OPERATOR,
    PLAN,
    approval,
    custody_entries,
    decision,
    filing_entries,
    handover_entries,
    officers_file,
    release,
    write_papers,
)

OTHER = "sha256:" + "1" * 64
FORGED = {
    role: replace(officer, seed=bytes([40 + n] * 32))
    for n, (role, officer) in enumerate(OFFICERS.items())
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("papers")
    write_log(directory, honest_entries(60, handover_entries()))
    write_papers(directory)
    return directory


@pytest.fixture
def evidence(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "evidence"))


def failures(evidence: Path) -> set[str]:
    findings = verify_directory(evidence).findings
    return {found.rule for found in findings if found.level is Level.FAILURE}


def put(evidence: Path, name: str, octets: bytes | str) -> None:
    raw = octets if isinstance(octets, bytes) else octets.encode()
    (evidence / "handover" / name).write_bytes(raw)


def test_honest_papers_verify(evidence: Path) -> None:
    assert verify_directory(evidence).findings == []


def test_other_keys_with_all_documents_signed_anew_fail(evidence: Path) -> None:
    put(evidence, "officers.json", officers_file(FORGED))
    for role, officer in FORGED.items():
        put(evidence, f"approval-{role}.dsse.json", approval(role, officer.seed))
    for role in ("SC", "BC"):
        signed = release(role, FORGED[role].seed)
        put(evidence, f"release-{role}.dsse.json", signed)
    faults = {"foreign-key", "signature", "mandate-incomplete"}
    assert failures(evidence) == faults | {"unchecked"}  # none of those filed is here


def test_a_login_key_signs_nothing(evidence: Path) -> None:
    put(evidence, "officers.json", officers_file({**OFFICERS, "X": LOGIN}))
    assert failures(evidence) == {"foreign-key"}
    put(evidence, "approval-SO.dsse.json", approval("SO", LOGIN.seed))
    assert {"foreign-key", "signature"} <= failures(evidence)


@pytest.mark.parametrize("changed", [{"role": "monitor"}, {"party": "buyer"}])
def test_an_officer_listed_otherwise_than_enrolled_fails(
    evidence: Path, changed: dict[str, Any]
) -> None:
    listed = {**OFFICERS, "SO": replace(OFFICERS["SO"], **changed)}
    put(evidence, "officers.json", officers_file(listed))
    assert "foreign-key" in failures(evidence)


@pytest.mark.parametrize(
    ("signed", "rule"),
    [
        (approval("SO", plan_hash=OTHER), "unlodged"),
        (approval("SO", handover="0" * 8 + "-0000" * 3 + "-" + "0" * 12), "unlodged"),
        (release("SC", plan_hash=OTHER), "unlodged"),
        (release("SC", decision_root=OTHER), "undecided"),
        (release("SC", counts={}), "undecided"),
        (release("SC", as_of="2026-11-25"), "undecided"),
        (release("SC", OFFICERS["SO"].seed), "wrong-role"),
        (approval("SO", OFFICERS["SC"].seed), "wrong-role"),
        (approval("SO", OFFICERS["BO"].seed), "wrong-role"),
        (approval("SO", installation="other"), "wrong-role"),
    ],
    ids=range(10),
)
def test_a_document_on_anything_not_in_the_log_fails(
    evidence: Path, signed: bytes, rule: str
) -> None:
    put(evidence, "extra.dsse.json", signed)
    assert failures(evidence) == {rule}


def test_an_operators_signature_is_no_approval(evidence: Path) -> None:
    put(evidence, "officers.json", officers_file({**OFFICERS, "SR": OPERATOR}))
    assert failures(evidence) == set()
    put(evidence, "approval-SO.dsse.json", approval("SO", OPERATOR.seed))
    faults = {"wrong-role", "mandate-incomplete", "paper-missing"}
    assert failures(evidence) == faults


def test_another_plan_fails_even_with_approvals_of_its_hash(evidence: Path) -> None:
    plan = parse_plan(PLAN)
    other = canonical_bytes(plan.model_copy(update={"contract_hash": OTHER}))
    put(evidence, "plan.json", other)
    assert failures(evidence) == {"plan-differs"}
    for role in OFFICERS:
        signed = approval(role, plan_hash=plan_hash(other))
        put(evidence, f"approval-{role}.dsse.json", signed)
    faults = {"plan-differs", "unlodged", "mandate-incomplete", "paper-missing"}
    assert failures(evidence) == faults
    put(evidence, "plan.json", b"{}")
    assert "plan-differs" in failures(evidence)


@pytest.mark.parametrize(
    "changed",
    [
        {"decision_root": OTHER},
        {"plan_hash": OTHER},
        {"as_of": "2026-11-25"},
        {"snapshot_id": "another"},
        {"folios": 4},
        {"handover": "another"},
        {"counts": {}},
        {"counts": {"basic": {"transfer": {"eligible": {"count": 3, "root": OTHER}}}}},
        {"counts": None},
    ],
    ids=range(9),
)
def test_an_altered_decision_fails(evidence: Path, changed: dict[str, Any]) -> None:
    put(evidence, "decision.json", json.dumps({**decision(), **changed}))
    assert failures(evidence) == {"decision-differs"}


@pytest.mark.parametrize("name", [*(f"approval-{r}" for r in OFFICERS), "release-BC"])
def test_a_missing_approval_or_release_is_noticed(evidence: Path, name: str) -> None:
    (evidence / "handover" / f"{name}.dsse.json").unlink()
    assert failures(evidence) == {"mandate-incomplete", "paper-missing"}


def test_a_missing_plan_hides_no_missing_approval(evidence: Path) -> None:
    (evidence / "handover/plan.json").unlink()
    assert failures(evidence) == {"unchecked"}
    (evidence / "handover/approval-SO.dsse.json").unlink()
    faults = {"unchecked", "mandate-incomplete", "paper-missing"}
    assert failures(evidence) == faults


def test_a_missing_decision_is_noticed(evidence: Path) -> None:
    (evidence / "handover/decision.json").unlink()
    assert failures(evidence) == {"unchecked"}
    assert verify_directory(evidence, allow_unchecked=True).ok


def test_a_key_revoked_before_the_mandate_completes_none(tmp_path: Path) -> None:
    write_log(
        tmp_path,
        honest_entries(60, [*custody_entries(revoked="SO"), *filing_entries()]),
    )
    write_papers(tmp_path)
    assert failures(tmp_path) == {"mandate-incomplete"}


def test_without_officers_keys_documents_are_unchecked_and_that_fails(
    evidence: Path,
) -> None:
    (evidence / "handover/officers.json").unlink()
    assert failures(evidence) == {"unchecked"}
    report = verify_directory(evidence, allow_unchecked=True)
    assert report.ok
    assert [f.rule for f in report.findings] == ["unchecked"]
    assert "signed documents" not in report.checked
