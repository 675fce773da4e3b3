# SPDX-License-Identifier: Apache-2.0
"""An untouched evidence directory verifies; any tampering is named."""

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from proofbundle.tlogproof import verify_tlog_proof
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from typer.testing import CliRunner

from contracts import dsse
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteSigner
from contracts.log.proof import TlogProof
from services.cli.verify import verify, verify_directory
from services.cli.verify_report import Level, Report
from tests.fakes.evidence import (
    APPROVAL,
    ORIGIN,
    SIGNER,
    Lane,
    honest_entries,
    write_heads,
    write_log,
)
from tests.fakes.handover_papers import OFFICERS, handover_entries, write_papers


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("evidence")
    write_log(directory, honest_entries(custody=handover_entries()), old=300)
    write_papers(directory)
    return directory


@pytest.fixture
def evidence(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "evidence"))


def failures(report: Report) -> set[str]:
    return {f.rule for f in report.findings if f.level is Level.FAILURE}


def report_of(tmp_path: Path, entries: Sequence[bytes]) -> Report:
    """Verify a log whose operator signs whatever the entries are."""
    write_log(tmp_path, entries)
    return verify_directory(tmp_path)


def test_untouched_evidence_verifies(evidence: Path) -> None:
    report = verify_directory(evidence, vkey=SIGNER.vkey)
    assert report.ok
    assert report.findings == []
    assert (report.origin, report.size) == (ORIGIN, 600)
    assert report.types == {
        "org.keyturn.lane.opened.v1": 5,
        "org.keyturn.lane.closed.v1": 1,
        "org.keyturn.officer.enrolled.v1": 6,
        "org.keyturn.plan.lodged.v1": 1,
        "org.keyturn.decision.made.v1": 1,
        "org.keyturn.mandate.accepted.v1": 1,
        "org.keyturn.custody.turned.v1": 1,
        "org.keyturn.document.filed.v1": 6,
        "org.keyturn.handover.advanced.v1": 7,
        "org.keyturn.record.read.v1": 571,
    }
    assert report.checked == {
        "checkpoints": 1,
        "bundles": 3,
        "lanes": 5,
        "heads": 5,
        "tiles": 4,
        "inclusion proofs": 17,
        "consistency proofs": 17,
        "signed documents": 6,
        "contracts": 1,
        "steps": 7,
        "filed documents": 6,
    }


@pytest.mark.parametrize("size", [2, 255, 256, 257, 512])
def test_logs_of_any_size_verify(tmp_path: Path, size: int) -> None:
    lane = Lane("a")
    entries = [lane.open(), *(lane.read("p") for _ in range(size - 1))]
    assert report_of(tmp_path, entries).findings == []


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    assert report_of(tmp_path, []).ok


def test_a_flipped_byte_in_any_file_is_noticed(evidence: Path) -> None:
    files = [path for path in sorted(evidence.rglob("*")) if path.is_file()]
    assert len(files) >= 12
    for path in files:
        octets = path.read_bytes()
        for at in (0, len(octets) // 3, len(octets) // 2, len(octets) - 1):
            flipped = bytearray(octets)
            flipped[at] ^= 0x01
            path.write_bytes(flipped)
            report = verify_directory(evidence)
            assert not report.ok, (path.name, at)
        path.write_bytes(octets)
    assert verify_directory(evidence).ok


def test_a_removed_file_is_noticed(evidence: Path) -> None:
    needed = {"tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"}
    needed |= {"tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"}
    needed |= {"checkpoint"}
    names = [f"log/{n}" for n in needed] + ["log.vkey", "sources.json"]
    for name in names:
        octets = (evidence / name).read_bytes()
        (evidence / name).unlink()
        report = verify_directory(evidence)
        assert not report.ok, name
        assert any(f.file == name for f in report.findings), name
        (evidence / name).write_bytes(octets)


def test_a_changed_entry_is_named_by_file_and_leaf(evidence: Path) -> None:
    path = evidence / "log/tile/entries/001"
    entries = tiles.decode_bundle(path.read_bytes(), 256)
    entries[54] = entries[54].replace(b"seller", b"sellor")
    path.write_bytes(tiles.encode_bundle(entries))
    report = verify_directory(evidence)
    assert {"root", "tile"} <= failures(report)
    named = [(f.file, f.index) for f in report.findings if f.rule == "tile"]
    assert ("log/tile/entries/001", 310) in named


def test_a_changed_hash_tile_is_named_by_file_and_leaf(evidence: Path) -> None:
    path = evidence / "log/tile/0/001"
    octets = bytearray(path.read_bytes())
    octets[44 * 32 + 5] ^= 0x80
    path.write_bytes(octets)
    report = verify_directory(evidence)
    assert [(f.rule, f.file, f.index) for f in report.findings] == [
        ("tile", "log/tile/0/001", 300)
    ]


def test_a_changed_older_partial_tile_is_named(evidence: Path) -> None:
    for name in ("log/tile/0/001.p/44", "log/tile/entries/001.p/44"):
        octets = (evidence / name).read_bytes()
        (evidence / name).write_bytes(octets[:-1] + b"!")
        report = verify_directory(evidence)
        assert [(f.rule, f.file) for f in report.findings] == [("tile", name)]
        (evidence / name).write_bytes(octets)


def test_dropped_swapped_or_doubled_entries_are_noticed(evidence: Path) -> None:
    path = evidence / "log/tile/entries/000"
    octets = path.read_bytes()
    entries = tiles.decode_bundle(octets, 256)
    swapped = [*entries[:9], entries[10], entries[9], *entries[11:]]
    for forged in (entries[:-1], swapped, [*entries[:9], entries[8], *entries[10:]]):
        path.write_bytes(tiles.encode_bundle(forged))
        assert not verify_directory(evidence).ok
    path.write_bytes(octets[:-1])
    assert failures(verify_directory(evidence)) == {"entries"}


@pytest.mark.parametrize("cut", [1, 20, 80, 100])
def test_a_truncated_checkpoint_is_noticed(evidence: Path, cut: int) -> None:
    path = evidence / "log/checkpoint"
    path.write_bytes(path.read_bytes()[:-cut])
    report = verify_directory(evidence)
    assert failures(report) == {"checkpoint"}
    assert report.origin == ""


def test_a_checkpoint_of_another_key_or_origin_is_refused(evidence: Path) -> None:
    checkpoint = evidence / "log/checkpoint"
    note = checkpoint.read_bytes()
    for name, seed in ((ORIGIN, bytes(32)), ("keyturn.other/2026", bytes(range(32)))):
        text = note.decode().split("\n\n")[0] + "\n"
        checkpoint.write_bytes(NoteSigner(name, seed).sign(text))
        assert failures(verify_directory(evidence)) == {"checkpoint"}
    checkpoint.write_bytes(note)
    (evidence / "log.vkey").write_text(NoteSigner(ORIGIN, bytes(32)).vkey)
    assert failures(verify_directory(evidence)) == {"checkpoint"}


def test_a_log_resigned_by_another_key_fails_a_reader_who_knows_the_key(
    evidence: Path,
) -> None:
    forger = NoteSigner(ORIGIN, bytes(32))
    text = (evidence / "log/checkpoint").read_text().split("\n\n")[0] + "\n"
    (evidence / "log/checkpoint").write_bytes(forger.sign(text))
    (evidence / "log.vkey").write_text(forger.vkey + "\n")
    assert verify_directory(evidence).ok
    report = verify_directory(evidence, vkey=SIGNER.vkey)
    assert failures(report) == {"key", "checkpoint"}


def test_a_checkpoint_of_an_absurd_size_ends_at_the_files(evidence: Path) -> None:
    text = Checkpoint(ORIGIN, 2**63 - 1, bytes(32)).text()
    (evidence / "log/checkpoint").write_bytes(SIGNER.sign(text))
    report = verify_directory(evidence)
    assert failures(report) == {"entries"}


def test_full_tiles_stand_in_for_removed_partials(evidence: Path) -> None:
    entries = honest_entries(768, handover_entries())
    write_log(evidence, entries)
    text = Checkpoint(
        ORIGIN, 600, merkle.tree_root([merkle.leaf_hash(e) for e in entries[:600]])
    ).text()
    (evidence / "log/checkpoint").write_bytes(SIGNER.sign(text))
    write_heads(evidence, entries[:600])
    for name in ("0/002.p/88", "1/000.p/2", "entries/002.p/88"):
        (evidence / "log/tile" / name).unlink()
    (evidence / "log/tile/1/000").write_bytes(b"")
    assert failures(verify_directory(evidence)) == {"tile"}
    (evidence / "log/tile/1/000").unlink()
    assert failures(verify_directory(evidence)) == {"missing"}


def test_files_that_nothing_covers_are_told(evidence: Path) -> None:
    (evidence / "log/tile/0/003.p/1").parent.mkdir(exist_ok=True)
    (evidence / "log/tile/0/003.p/1").write_bytes(bytes(32))
    (evidence / "log/tile/0/note.txt").write_bytes(b"hello")
    report = verify_directory(evidence)
    assert report.ok
    assert [(f.level, f.rule) for f in report.findings] == [(Level.NOTICE, "uncovered")]


def test_a_gap_is_named_by_file_and_leaf_even_when_the_log_signs_it(
    tmp_path: Path,
) -> None:
    entries = honest_entries()
    report = report_of(tmp_path, entries[:400] + entries[401:])
    assert [(f.rule, f.file, f.index) for f in report.findings] == [
        ("gap", "log/tile/entries/001", 400),
        ("party-gap", "log/tile/entries/001", 400),
    ]


# --- the sources' heads --------------------------------------------------------


def change_head(evidence: Path, **members: Any) -> Report:
    path = evidence / "heads.json"
    document = json.loads(path.read_bytes())
    document["items"][0].update(members)
    path.write_text(json.dumps(document))
    return verify_directory(evidence)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"head": base64.b64encode(bytes(64)).decode()},
            {"head-signature", "unheaded"},
        ),
        ({"seq": 3}, {"head-signature", "unheaded"}),
        ({"lane": "f" * 32}, {"head-missing", "unheaded"}),
        ({"leaf_hash": "00"}, {"heads"}),
        ({"head": None}, {"heads"}),
        ({"seq": "3"}, {"heads"}),
    ],
    ids=["signature", "seq", "lane", "hash", "none", "type"],
)
def test_a_wrong_head_is_named(
    evidence: Path, members: dict[str, Any], expected: set[str]
) -> None:
    assert failures(change_head(evidence, **members)) == expected


def test_without_heads_it_is_told_that_only_the_log_vouches(evidence: Path) -> None:
    (evidence / "heads.json").unlink()
    assert failures(verify_directory(evidence)) == {"unchecked"}
    report = verify_directory(evidence, allow_unchecked=True)
    assert report.ok
    assert [(f.rule, f.file) for f in report.findings] == [("unchecked", "heads.json")]


def test_a_log_cut_off_and_signed_again_lacks_the_last_events(tmp_path: Path) -> None:
    entries = honest_entries()
    write_log(tmp_path, entries)
    heads = (tmp_path / "heads.json").read_bytes()
    shutil.rmtree(tmp_path / "log")
    write_log(tmp_path, entries[:-1])
    (tmp_path / "heads.json").write_bytes(heads)
    assert failures(verify_directory(tmp_path)) == {"head-missing", "unheaded"}


# --- handover documents -------------------------------------------------------


@pytest.mark.parametrize(
    "signed",
    [
        dsse.sign_envelope(b"{}", APPROVAL, bytes(32)),
        dsse.sign_envelope(b"{}", "text/plain", OFFICERS["SO"].seed),
        b"{}",
        b"x" * (dsse.MAX_ENVELOPE_BYTES + 1),
    ],
    ids=["stranger", "type", "malformed", "large"],
)
def test_a_document_no_officer_signed_is_named(evidence: Path, signed: bytes) -> None:
    name = "handover/approval-2.dsse.json"
    (evidence / name).write_bytes(signed)
    report = verify_directory(evidence)
    assert [f.file for f in report.findings] == [name]
    assert not report.ok


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("handover/officers.json", "{}"),
        ("handover/officers.json", "["),
        ("handover/officers.json", '{"officers":[{"public_key":"A"}]}'),
        ("sources.json", "[]"),
        ("sources.json", '{"installation":"demo"}'),
        (
            "sources.json",
            '{"installation":"demo","sources":[{"service":"x","public_key":"AAAA"}]}',
        ),
    ],
    ids=range(6),
)
def test_malformed_key_files_are_named(evidence: Path, file: str, text: str) -> None:
    (evidence / file).write_text(text)
    report = verify_directory(evidence)
    failed = [f.file for f in report.findings if f.level is Level.FAILURE]
    assert failed == [file]


# --- the command --------------------------------------------------------------

APP = typer.Typer()
APP.command("verify")(verify)


def test_the_command_exits_by_the_outcome(evidence: Path) -> None:
    good = CliRunner().invoke(APP, [str(evidence)])
    assert good.exit_code == 0
    assert "All holds." in good.output
    (evidence / "log/tile/0/000").unlink()
    bad = CliRunner().invoke(APP, [str(evidence)])
    assert bad.exit_code == 1
    assert "Does NOT hold." in bad.output
    place = str(evidence)
    for wrong in ([place + "x"], [place + "/log.vkey"], [], [place, "--vkey", "x"]):
        assert CliRunner().invoke(APP, wrong).exit_code == 2


def test_the_command_gives_json(evidence: Path) -> None:
    run = CliRunner().invoke(APP, [str(evidence), "--json", "--vkey", SIGNER.vkey])
    assert run.exit_code == 0
    document = json.loads(run.output)
    assert document["ok"] is True
    assert document["size"] == 600
    (evidence / "log/tile/0/000").unlink()
    run = CliRunner().invoke(APP, [str(evidence), "--json"])
    assert run.exit_code == 1
    assert json.loads(run.output)["findings"][0] == {
        "level": "failure",
        "rule": "missing",
        "file": "log/tile/0/000",
        "index": None,
        "detail": "the hash tile is missing",
    }


def test_text_from_the_evidence_is_never_markup(evidence: Path) -> None:
    (evidence / "handover/[red]x[bold].dsse.json").write_bytes(b"{}")
    run = CliRunner().invoke(APP, [str(evidence)], env={"COLUMNS": "200"})
    assert run.exit_code == 1
    assert "[red]x" in run.output


def test_an_independent_client_reads_the_log_and_its_proof_convinces_another(
    pristine: Path,
) -> None:
    reader = TilesReader(make_backend(str(pristine / "log")))
    checkpoint = reader.get_checkpoint()
    note = (pristine / "log/checkpoint").read_bytes()
    for index in (0, 255, 256, 511, 599):
        entry = reader.get_entry(index)
        found = reader.get_inclusion_proof(index, checkpoint.size)
        text = TlogProof(index, tuple(found.node_hashes), note).encode().decode()
        verdict = verify_tlog_proof(text, entry, SIGNER.vkey, expected_origin=ORIGIN)
        assert verdict["ok"] is True
