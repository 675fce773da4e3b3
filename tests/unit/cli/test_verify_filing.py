# SPDX-License-Identifier: Apache-2.0
"""Papers are all those that the log says were filed; what is unsigned fits it too."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteSigner
from contracts.log.proof import TlogProof
from services.cli.evidence import Evidence
from services.cli.verify import verify, verify_directory
from services.cli.verify_report import Finding, Level
from tests.fakes.evidence import ORIGIN, SIGNER, Lane, honest_entries, write_log
from tests.fakes.handover_papers import (
    CANCELLED,
    CONTRACT,
    HANDOVER,
    OFFICERS,
    approval,
    cancelled_approval,
    custody_entries,
    documents,
    filing_entries,
    history,
    write_papers,
)

ENTRIES = honest_entries(300, [*custody_entries(), *filing_entries(cancelled=True)])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filing")
    write_log(directory, ENTRIES)
    write_papers(directory)
    return directory


@pytest.fixture
def evidence(pristine: Path, tmp_path: Path) -> Path:
    """The handover's papers, and that of a cancelled one whose plan is not lodged."""
    return Path(shutil.copytree(pristine, tmp_path / "evidence"))


def found(evidence: Path, **options: Any) -> list[Finding]:
    return verify_directory(evidence, **options).findings


def rules(evidence: Path) -> list[tuple[str, str]]:
    return [(one.rule, one.file) for one in found(evidence)]


# --- what was filed -----------------------------------------------------------


def test_a_handover_whose_papers_are_not_here_is_named(evidence: Path) -> None:
    only = found(evidence)
    assert [(one.rule, one.level) for one in only] == [("unchecked", Level.FAILURE)]
    assert CANCELLED in only[0].detail
    report = verify_directory(evidence, allow_unchecked=True)
    assert report.ok
    assert [one.rule for one in report.findings] == ["unchecked"]


def test_a_log_with_no_papers_at_all_says_so(evidence: Path) -> None:
    shutil.rmtree(evidence / "handover")
    told = found(evidence)
    assert {one.rule for one in told} == {"unchecked"}
    for handover in (HANDOVER, CANCELLED):
        assert any(handover in one.detail for one in told)


@pytest.mark.parametrize("name", list(documents()))
def test_each_filed_paper_must_be_here(evidence: Path, name: str) -> None:
    (evidence / f"handover/{name}.dsse.json").unlink()
    missing = [one for one in found(evidence) if one.rule == "paper-missing"]
    kind, role = name.split("-")
    assert len(missing) == 1
    assert f"{kind} of {role} in handover {HANDOVER}" in missing[0].detail
    assert missing[0].index is not None
    assert b"document.filed" in ENTRIES[missing[0].index]
    assert not verify_directory(evidence, allow_unchecked=True).ok


def test_a_missing_paper_is_named_without_officers_keys_too(evidence: Path) -> None:
    (evidence / "handover/officers.json").unlink()
    (evidence / "handover/approval-SO.dsse.json").unlink()
    assert ("paper-missing", "handover") in rules(evidence)


def test_a_well_signed_paper_that_was_never_filed_is_named(evidence: Path) -> None:
    again = approval("SO", expires="2026-12-25T10:00:00.000Z")
    (evidence / "handover/again.dsse.json").write_bytes(again)
    assert ("unfiled", "handover/again.dsse.json") in rules(evidence)


def test_a_filed_paper_of_the_other_handover_counts_for_it(evidence: Path) -> None:
    (evidence / "handover/cancelled.dsse.json").write_bytes(cancelled_approval())
    assert rules(evidence) == [("unlodged", "handover/cancelled.dsse.json")]


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "receipt"},
        {"role": "BC"},
        {"key_id": OFFICERS["BC"].key_id},
        {"handover": CANCELLED},
    ],
    ids="".join,
)
def test_a_paper_filed_as_something_else_is_named(
    tmp_path: Path, said: dict[str, str]
) -> None:
    """Whoever runs transfer may log a receipt, and name the digest of an approval."""
    entries = [*custody_entries(), *filing_entries(**said)]
    write_log(tmp_path, honest_entries(60, entries))
    write_papers(tmp_path)
    assert rules(tmp_path) == [("unfiled", "handover/approval-SO.dsse.json")]


def test_a_paper_may_be_laid_out_otherwise_than_it_was_filed(evidence: Path) -> None:
    path = evidence / "handover/approval-SO.dsse.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=2))
    assert rules(evidence) == [("unchecked", "handover")]


# --- contract and history -----------------------------------------------------


def test_a_contract_must_have_the_hash_in_the_plan(evidence: Path) -> None:
    contract = evidence / "handover/contract.txt"
    contract.write_bytes(CONTRACT + b" ")
    assert ("contract-differs", "handover/contract.txt") in rules(evidence)
    contract.unlink()
    report = verify_directory(evidence, allow_unchecked=True)
    assert report.ok
    told = [one for one in report.findings if one.file == "handover/contract.txt"]
    assert [one.level for one in told] == [Level.NOTICE]


def _drop(items: list[Any]) -> None:
    del items[2]


def _double(items: list[Any]) -> None:
    items.append(items[2])


def _swap(items: list[Any]) -> None:
    items[0], items[1] = items[1], items[0]


def _invent(items: list[Any]) -> None:
    items.append({**items[-1], "step": len(items) + 1})


def _set(name: str, value: Any) -> Callable[[list[Any]], None]:
    def change(items: list[Any]) -> None:
        items[2][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _drop,
        _double,
        _swap,
        _invent,
        _set("event", "pass"),
        _set("role", "BC"),
        _set("key_id", OFFICERS["BC"].key_id),
        _set("from_state", "draft"),
        _set("to_state", "draft"),
        _set("document", None),
        _set("at", "2026-11-23T10:00:00.000Z"),
        _set("step", "3"),
        _set("step", None),
    ],
    ids=range(13),
)
def test_a_history_told_otherwise_than_the_log_is_named(
    evidence: Path, change: Callable[[list[Any]], None]
) -> None:
    told = history()
    change(told["items"])
    (evidence / "handover/history.json").write_text(json.dumps(told))
    assert ("history-differs", "handover/history.json") in rules(evidence)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"items":{}}', '{"items":[1]}'])
def test_a_history_that_is_none_is_named(evidence: Path, text: str) -> None:
    (evidence / "handover/history.json").write_text(text)
    assert ("history-differs", "handover/history.json") in rules(evidence)


def test_a_file_that_nothing_covers_is_told(evidence: Path) -> None:
    (evidence / "handover/letter.txt").write_text("Trust me.")
    told = [one for one in found(evidence) if one.rule == "uncovered"]
    assert [(one.file, one.level) for one in told] == [
        ("handover/letter.txt", Level.NOTICE)
    ]


# --- proofs -------------------------------------------------------------------

LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def proof_of(
    evidence: Path, index: int, signer: NoteSigner = SIGNER, size: int = len(ENTRIES)
) -> bytes:
    def read(level: int, n: int, width: int) -> bytes:
        return Evidence(evidence).tile(tiles.TileId(level, n, width))

    hashes = tuple(tiles.inclusion_from_tiles(index, size, read))
    root = merkle.CompactRange.empty().extend(LEAVES[:size]).root()
    note = signer.sign(Checkpoint(ORIGIN, size, root).text())
    return TlogProof(index, hashes, note).encode()


def named(index: int) -> str:
    event = json.loads(ENTRIES[index])
    return f"proofs/{event['lane']}-{event['seq']}.tlog-proof"


def put_proof(evidence: Path, octets: bytes, index: int = 40) -> list[Any]:
    (evidence / "proofs").mkdir(exist_ok=True)
    (evidence / named(index)).write_bytes(octets)
    return [one.file for one in found(evidence) if one.rule == "proof"]


@pytest.mark.parametrize("size", [256, len(ENTRIES)])
def test_an_honest_proof_holds_under_any_of_the_logs_checkpoints(
    evidence: Path, size: int
) -> None:
    assert put_proof(evidence, proof_of(evidence, 40, size=size)) == []
    assert verify_directory(evidence).checked["proof files"] == 1


def test_a_proof_that_proves_nothing_is_named(evidence: Path) -> None:
    honest = proof_of(evidence, 40)
    stranger = NoteSigner(ORIGIN, bytes(32))
    other = honest.replace(b"index 40", b"index 41")
    proof = TlogProof.parse(honest)
    bent = TlogProof(40, (bytes(32), *proof.hashes[1:]), proof.checkpoint)
    wrong = [
        b"garbage",
        b"",
        other,
        bent.encode(),
        honest + b"x",
        proof_of(evidence, 40, stranger),
        proof_of(evidence, 41),  # a true proof, of another entry than its name says
    ]
    for octets in wrong:
        assert put_proof(evidence, octets) == [named(40)]


def test_a_proof_of_a_fork_of_the_log_is_named(evidence: Path) -> None:
    lane = Lane("f")
    leaves = [merkle.leaf_hash(entry) for entry in (lane.open(), lane.read("x"))]
    root = merkle.CompactRange.empty().extend([LEAVES[0], leaves[1]]).root()
    note = SIGNER.sign(Checkpoint(ORIGIN, 2, root).text())
    forked = TlogProof(0, (leaves[1],), note).encode()
    assert put_proof(evidence, forked, 0) == [named(0)]


# --- what a person reads ------------------------------------------------------


def test_a_verdict_with_something_unchecked_never_says_that_all_holds(
    evidence: Path,
) -> None:
    app = typer.Typer()
    app.command("verify")(verify)
    run = CliRunner().invoke(app, [str(evidence), "--allow-unchecked"])
    assert run.exit_code == 0
    assert "All holds." not in run.output
    assert "What was checked holds; 1 thing unchecked" in run.output
