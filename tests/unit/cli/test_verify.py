# SPDX-License-Identifier: Apache-2.0
"""An untouched evidence directory verifies; any tampering is named."""

import base64
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from nacl.signing import SigningKey
from typer.testing import CliRunner

from contracts import dsse
from contracts.events import envelope
from contracts.events.lane import LaneClosed, LaneOpened, LaneRetired
from contracts.events.payload import EventDraft
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteSigner
from contracts.log.edge import TileEdge
from services.cli.verify import verify, verify_directory
from services.cli.verify_report import Level, Report

ORIGIN = "keyturn.demo/2026"
SIGNER = NoteSigner(ORIGIN, bytes(range(32)))
OFFICER = bytes([7] * 32)
OFFICER_KEY = bytes(SigningKey(OFFICER).verify_key)
APPROVAL = "application/vnd.keyturn.approval.v1+json"


class Lane:
    """Writes a lane's events as a source does."""

    def __init__(
        self, digit: str, slot: str = "w1/records", service: str = "vault"
    ) -> None:
        self.id = digit * 32
        self.slot = slot
        self.source = envelope.source_urn("demo", service)
        self.seq = 0
        self.leaf = b""
        self.pseqs: dict[str, int] = {}

    def write(self, draft: EventDraft) -> bytes:
        for party in draft.parties:
            self.pseqs[party] = self.pseqs.get(party, 0) + 1
        self.seq += 1
        raw = envelope.encode(
            source=self.source,
            type_=draft.type,
            time="2026-11-24T10:00:00.000Z",
            classification=draft.classification,
            lane=self.id,
            seq=self.seq,
            prev=self.leaf,
            parties=[envelope.PartySeq(p, self.pseqs[p]) for p in draft.parties],
            data=draft.data,
        )
        self.leaf = envelope.leaf_hash(raw)
        return raw

    def open(self, before: "Lane | None" = None) -> bytes:
        leaf = base64.b64encode(before.leaf).decode() if before else ""
        opened = LaneOpened(
            slot=self.slot,
            previous=before.id if before else "",
            previous_seq=before.seq if before else 0,
            previous_leaf=leaf,
        )
        return self.write(opened.draft())

    def read(self, *parties: str) -> bytes:
        return self.write(
            EventDraft("org.keyturn.record.read.v1", "confidential", parties, {})
        )

    def close(self) -> bytes:
        return self.write(LaneClosed(slot=self.slot).draft())


def honest_entries(count: int = 600) -> list[bytes]:
    """Three lanes: one that ends, its successor, and one beside them."""
    first, other = Lane("a"), Lane("b", "w1/handovers", "transfer")
    entries = [first.open(), other.open()]
    while len(entries) < count // 2:
        entries.append(first.read("seller"))
        entries.append(other.read("seller", "buyer"))
    entries.append(first.close())
    second = Lane("c")
    entries.append(second.open(first))
    while len(entries) < count:
        entries.append(second.read("seller"))
    return entries


def write_log(directory: Path, entries: Sequence[bytes], *, old: int = 0) -> None:
    """Publish a static log; with `old`, also the partial tiles of that size."""
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    edge = TileEdge()
    for size in sorted({old, len(entries)}):
        bundles = tiles.new_bundles(edge.size, size)
        edge, new = edge.append(leaves[edge.size : size])
        files = {tile.id.path: tile.octets for tile in new}
        for bundle in bundles:
            start = bundle.n * 256
            part = entries[start : start + bundle.width]
            files[bundle.path] = tiles.encode_bundle(part)
        for path, octets in files.items():
            target = directory / "log" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(octets)
    text = Checkpoint(ORIGIN, edge.size, edge.root()).text()
    (directory / "log").mkdir(exist_ok=True)
    (directory / "log" / "checkpoint").write_bytes(SIGNER.sign(text))
    (directory / "log.vkey").write_text(SIGNER.vkey + "\n")
    key = base64.b64encode(bytes(32)).decode()
    sources = [{"service": s, "public_key": key} for s in ("vault", "transfer")]
    (directory / "sources.json").write_text(
        json.dumps({"installation": "demo", "sources": sources})
    )


def write_handover(directory: Path) -> None:
    folder = directory / "handover"
    folder.mkdir()
    signed = dsse.sign_envelope(b'{"plan_hash":"x"}', APPROVAL, OFFICER)
    (folder / "approval-1.dsse.json").write_bytes(signed)
    key = base64.b64encode(OFFICER_KEY).decode()
    officers = {"officers": [{"public_key": key, "role": "owner"}]}
    (folder / "officers.json").write_text(json.dumps(officers))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("evidence")
    write_log(directory, honest_entries(), old=300)
    write_handover(directory)
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
        "org.keyturn.lane.opened.v1": 3,
        "org.keyturn.lane.closed.v1": 1,
        "org.keyturn.record.read.v1": 596,
    }
    assert report.checked == {
        "checkpoints": 1,
        "bundles": 3,
        "lanes": 3,
        "tiles": 4,
        "inclusion proofs": 17,
        "consistency proofs": 17,
        "signed documents": 1,
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
    entries = honest_entries(768)
    write_log(evidence, entries)
    text = Checkpoint(
        ORIGIN, 600, merkle.tree_root([merkle.leaf_hash(e) for e in entries[:600]])
    ).text()
    (evidence / "log/checkpoint").write_bytes(SIGNER.sign(text))
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


# --- logs that are well signed, but whose entries do not add up --------------


def test_a_gap_is_named_even_when_the_log_signs_it(tmp_path: Path) -> None:
    entries = honest_entries()
    report = report_of(tmp_path, entries[:100] + entries[101:])
    assert failures(report) == {"gap", "party-gap"}
    gap = next(f for f in report.findings if f.rule == "gap")
    assert (gap.file, gap.index) == ("log/tile/entries/000", 101)


def test_a_double_is_named(tmp_path: Path) -> None:
    entries = honest_entries()
    report = report_of(tmp_path, [*entries[:100], entries[50], *entries[100:]])
    assert [(f.rule, f.index) for f in report.findings] == [("double", 100)]


def test_a_swap_inside_a_lane_is_named(tmp_path: Path) -> None:
    entries = honest_entries()
    entries[100], entries[102] = entries[102], entries[100]
    assert {"gap", "double"} <= failures(report_of(tmp_path, entries))


def test_a_rewritten_event_breaks_the_chain(tmp_path: Path) -> None:
    entries = honest_entries()
    entries[100] = entries[100].replace(b"record.read", b"record.made")
    report = report_of(tmp_path, entries)
    assert [(f.rule, f.index) for f in report.findings] == [("chain", 102)]


def test_an_entry_that_is_no_event_is_named(tmp_path: Path) -> None:
    entries = honest_entries()
    entries[100] = b"not an event"
    report = report_of(tmp_path, entries)
    assert ("unreadable", 100) in [(f.rule, f.index) for f in report.findings]
    assert report.types["(unreadable)"] == 1


def test_an_unreadable_event_in_the_chain_stops_nothing(tmp_path: Path) -> None:
    lane = Lane("a")
    entries = [lane.open(), lane.read()]
    newer = lane.read().replace(b'"specversion":"1.0"', b'"specversion":"2.0"')
    lane.leaf = merkle.leaf_hash(newer)
    entries += [newer, lane.read(), lane.read()]
    assert [f.rule for f in report_of(tmp_path, entries).findings] == ["unreadable"]


def test_a_lane_must_begin_by_lane_opened(tmp_path: Path) -> None:
    lane = Lane("a")
    assert failures(report_of(tmp_path, [lane.read(), lane.read()])) == {"first-event"}


def test_a_lane_opens_once(tmp_path: Path) -> None:
    lane = Lane("a")
    assert "opened-late" in failures(report_of(tmp_path, [lane.open(), lane.open()]))


def test_nothing_follows_a_closed_or_retired_lane(tmp_path: Path) -> None:
    lane = Lane("a")
    entries = [lane.open(), lane.close(), lane.read()]
    assert failures(report_of(tmp_path, entries)) == {"after-close"}


def retire(by: Lane, lane: Lane, **changed: Any) -> bytes:
    values = {
        "slot": lane.slot,
        "retired": lane.id,
        "retired_seq": lane.seq,
        "retired_leaf": base64.b64encode(lane.leaf).decode(),
    }
    return by.write(LaneRetired(**{**values, **changed}).draft())


@pytest.mark.parametrize(
    ("changed", "after", "rules"),
    [
        ({}, 0, set()),
        ({}, 1, {"after-close"}),
        ({"retired_seq": 9}, 0, {"predecessor-short"}),
        ({"retired_leaf": "AAAA"}, 0, {"predecessor-leaf"}),
        ({"retired": "f" * 32}, 0, {"predecessor-short"}),
    ],
    ids=["good", "goes-on", "short", "leaf", "missing"],
)
def test_a_retired_lane_ends_where_the_retirement_says(
    tmp_path: Path, changed: dict[str, Any], after: int, rules: set[str]
) -> None:
    dead, by = Lane("a"), Lane("b", "w2/records")
    entries = [dead.open(), dead.read(), by.open(), retire(by, dead, **changed)]
    entries += [dead.read() for _ in range(after)]
    assert failures(report_of(tmp_path, entries)) == rules


def test_a_successor_may_come_before_its_predecessors_last_events(
    tmp_path: Path,
) -> None:
    first, second = Lane("a"), Lane("b")
    entries = [first.open(), first.read(), first.read(), second.open(first)]
    order = [entries[0], entries[3], entries[1], entries[2]]
    assert report_of(tmp_path, order).ok


def succession(change: Callable[[Lane], None], extra: int = 0) -> list[bytes]:
    """A lane, and a successor that names it after `change` was done to it."""
    first, second = Lane("a"), Lane("b")
    entries = [first.open(), first.read(), first.read()]
    tail = [first.read() for _ in range(extra)]
    change(first)
    return [*entries, *tail, second.open(first)]


def back_two(lane: Lane) -> None:
    lane.seq, lane.leaf = 1, merkle.leaf_hash(Lane("a").open())


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (lambda _: None, set()),
        (back_two, {"restored"}),
        (lambda lane: setattr(lane, "seq", 2), {"restored", "predecessor-leaf"}),
        (lambda lane: setattr(lane, "seq", 4), {"predecessor-short"}),
        (lambda lane: setattr(lane, "leaf", bytes(32)), {"predecessor-leaf"}),
        (lambda lane: setattr(lane, "id", "f" * 32), {"predecessor-missing"}),
    ],
    ids=["good", "restored", "seq", "short", "leaf", "missing"],
)
def test_the_succession_of_lanes_is_checked(
    tmp_path: Path, change: Callable[[Lane], None], rules: set[str]
) -> None:
    assert failures(report_of(tmp_path, succession(change))) == rules


def test_a_successor_has_the_slot_and_source_of_its_predecessor(
    tmp_path: Path,
) -> None:
    for second in (Lane("b", "w9/records"), Lane("b", service="transfer")):
        first = Lane("a")
        entries = [first.open(), second.open(first)]
        assert failures(report_of(tmp_path, entries)) == {"predecessor-leaf"}


def test_a_fork_and_a_slot_begun_twice_are_named(tmp_path: Path) -> None:
    first = Lane("a")
    start = [first.open(), first.read()]
    forked = [*start, Lane("b").open(first), Lane("c").open(first)]
    assert failures(report_of(tmp_path, forked)) == {"forked"}
    again = [*start, Lane("b").open()]
    assert failures(report_of(tmp_path, again)) == {"restored"}


def test_events_of_strangers_are_named(tmp_path: Path) -> None:
    foreign, silent = Lane("a"), Lane("b", service="audit")
    foreign.source = envelope.source_urn("elsewhere", "vault")
    for lane in (foreign, silent):
        assert failures(report_of(tmp_path, [lane.open()])) == {"foreign-source"}


def test_a_lane_has_one_source(tmp_path: Path) -> None:
    mixed = Lane("a")
    entries = [mixed.open()]
    mixed.source = envelope.source_urn("demo", "transfer")
    entries.append(mixed.read())
    assert failures(report_of(tmp_path, entries)) == {"source-changed"}


def test_a_hidden_event_of_a_party_is_named(tmp_path: Path) -> None:
    lane = Lane("a")
    entries = [lane.open(), lane.read("seller")]
    lane.pseqs["seller"] = 5
    entries.append(lane.read("seller"))
    report = report_of(tmp_path, entries)
    assert [(f.rule, f.index) for f in report.findings] == [("party-gap", 2)]


def test_a_lane_event_with_another_payload_is_named(tmp_path: Path) -> None:
    lane = Lane("a")
    bad = lane.write(EventDraft(LaneOpened.TYPE, "internal", (), {"slot": 1}))
    assert failures(report_of(tmp_path, [bad])) == {"unreadable"}


# --- handover documents -------------------------------------------------------


@pytest.mark.parametrize(
    "signed",
    [
        dsse.sign_envelope(b"{}", APPROVAL, bytes(32)),
        dsse.sign_envelope(b"{}", "text/plain", OFFICER),
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


def test_without_officers_keys_documents_are_told_to_be_unchecked(
    evidence: Path,
) -> None:
    (evidence / "handover/officers.json").unlink()
    report = verify_directory(evidence)
    assert report.ok
    assert [f.rule for f in report.findings] == ["unchecked"]
    assert "signed documents" not in report.checked


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
    assert [f.file for f in report.findings] == [file]
    assert not report.ok


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
    for arguments in ([str(evidence / "none")], [str(evidence / "log.vkey")], []):
        assert CliRunner().invoke(APP, arguments).exit_code == 2


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
