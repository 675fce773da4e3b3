# SPDX-License-Identifier: Apache-2.0
"""A party's export that a stranger holds: whose keys count, and what a person reads."""

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from nacl.signing import SigningKey
from typer.testing import CliRunner

from contracts.events.envelope import parse
from contracts.events.party_heads import PartyHeads, PartyLane, SignedPartyHeads
from contracts.log import merkle
from services.cli.verify import verify
from services.cli.verify_party import verify_party
from services.cli.verify_report import Level, Report
from tests.fakes.evidence import SIGNER, SOURCE_KEYS, honest_entries, write_log

AUDIT_KEY = SigningKey(bytes([3] * 32))
KEYS = {**SOURCE_KEYS, "audit": AUDIT_KEY}
ENTRIES = honest_entries(600)
SEEN = 590  # leaves of the checkpoint that the sources were shown
APP = typer.Typer(add_completion=False)
APP.command()(verify)


def key(service: str) -> str:
    return base64.b64encode(bytes(KEYS[service].verify_key)).decode()


def write_export(folder: Path, party: str) -> None:
    """Write what audit exports for a party; the last ten leaves are younger."""
    write_log(folder, ENTRIES)
    shutil.rmtree(folder / "log/tile/entries")
    (folder / "heads.json").unlink()
    sources = [{"service": name, "public_key": key(name)} for name in KEYS]
    document = {"installation": "demo", "sources": sources}
    (folder / "sources.json").write_text(json.dumps(document))
    own = [
        (index, event)
        for index, event in enumerate(map(parse, ENTRIES))
        if party in {item.party for item in event.parties}
    ]
    (folder / "events").mkdir()
    write_events(folder, [b"%d %s" % (index, event.raw) for index, event in own])
    for service in KEYS:
        write_heads(folder, heads_of(service, party))


def heads_of(service: str, party: str, seen: int = SEEN) -> PartyHeads:
    ends: dict[str, list[int]] = {}
    for event in map(parse, ENTRIES[:seen]):
        if event.service == service:
            end = ends.setdefault(event.lane, [0, 0])
            end[0] = event.seq
            end[1] = {p.party: p.pseq for p in event.parties}.get(party, end[1])
    root = merkle.tree_root([merkle.leaf_hash(entry) for entry in ENTRIES[:seen]])
    lanes = tuple(
        PartyLane(lane, seq, pseq) for lane, (seq, pseq) in sorted(ends.items()) if pseq
    )
    time = "2026-11-24T10:00:00.000Z"
    return PartyHeads("demo", service, party, time, seen, root, lanes)


def write_heads(folder: Path, heads: PartyHeads, by: str = "") -> None:
    (folder / "party-heads").mkdir(exist_ok=True)
    signed = SignedPartyHeads(heads, heads.sign(KEYS[by or heads.service]))
    (folder / f"party-heads/{heads.service}.json").write_bytes(signed.to_json())


def write_events(folder: Path, lines: Sequence[bytes]) -> None:
    page = b"".join(line + b"\n" for line in lines)
    (folder / "events/000000000000.txt").write_bytes(page)


def events(folder: Path) -> list[bytes]:
    return (folder / "events/000000000000.txt").read_bytes().splitlines()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("party")
    write_export(folder, "seller")
    return folder


@pytest.fixture
def export(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "export"))


def rules(report: Report) -> set[str]:
    return {one.rule for one in report.findings if one.level is Level.FAILURE}


def test_what_is_younger_than_the_heads_is_accepted_where_it_is_gapless(
    export: Path,
) -> None:
    report = verify_party(export, "seller")
    assert report.ok
    assert report.checked["events"] == sum(b"seller" in entry for entry in ENTRIES)
    own = events(export)
    later = [i for i, line in enumerate(own) if int(line.split(b" ")[0]) >= SEEN]
    write_events(export, [line for i, line in enumerate(own) if i != later[0]])
    assert rules(verify_party(export, "seller")) == {"party-gap"}


def test_whose_keys_were_believed_is_told(export: Path) -> None:
    told = verify_party(export, "seller").findings
    assert [one.rule for one in told] == ["believed"]
    assert all(service in told[0].detail for service in KEYS)
    pinned = {name: bytes(one.verify_key) for name, one in KEYS.items()}
    assert verify_party(export, "seller", source_keys=pinned).findings == []
    wrong = {**pinned, "vault": bytes(KEYS["audit"].verify_key)}
    report = verify_party(export, "seller", source_keys=wrong)
    assert rules(report) == {"key", "head-signature"}


def test_a_source_that_signed_before_its_newest_commit_is_found(export: Path) -> None:
    """Its statement names the newest checkpoint, and an end of long before."""
    old, new = heads_of("vault", "seller", 580), heads_of("vault", "seller")
    lanes = old.lanes
    bent = PartyHeads("demo", "vault", "seller", new.time, new.size, new.root, lanes)
    write_heads(export, bent)
    assert rules(verify_party(export, "seller")) == {"head-behind"}


def test_an_old_statement_says_how_old_it_is(export: Path) -> None:
    write_heads(export, heads_of("vault", "seller", 400))
    report = verify_party(export, "seller")
    assert report.ok
    assert report.as_json()["party"]["heads"][-1]["size"] == 400


@pytest.mark.parametrize(
    "change",
    [
        {"installation": "other"},
        {"service": "transfer"},
        {"party": "buyer"},
    ],
)
def test_a_statement_of_something_else_shows_nothing(
    export: Path, change: dict[str, Any]
) -> None:
    heads = heads_of("vault", "seller")
    said = {
        "installation": heads.installation,
        "service": heads.service,
        "party": heads.party,
        **change,
    }
    other = PartyHeads(
        **said, time=heads.time, size=heads.size, root=heads.root, lanes=heads.lanes
    )
    signed = SignedPartyHeads(other, other.sign(KEYS["vault"]))
    (export / "party-heads/vault.json").write_bytes(signed.to_json())
    assert rules(verify_party(export, "seller")) == {"head-signature"}


def test_a_source_cannot_claim_another_ones_lane(export: Path) -> None:
    mine, others = heads_of("vault", "seller"), heads_of("transfer", "seller")
    lanes = tuple(sorted((*mine.lanes, *others.lanes), key=lambda item: item.lane))
    bent = PartyHeads("demo", "vault", "seller", mine.time, mine.size, mine.root, lanes)
    write_heads(export, bent)
    assert rules(verify_party(export, "seller")) == {"head-differs"}


@pytest.mark.parametrize("file", ["log/checkpoint", "log.vkey", "sources.json"])
def test_without_a_signed_root_or_sources_nothing_holds(
    export: Path, file: str
) -> None:
    (export / file).unlink()
    assert rules(verify_party(export, "seller", allow_unchecked=True)) == {"missing"}


def test_a_missing_tile_fails(export: Path) -> None:
    (export / "log/tile/0/001").unlink()
    assert rules(verify_party(export, "seller")) == {"missing"}


@pytest.mark.parametrize(
    "line",
    [b"x {}", b"-1 {}", b"01 {}", b"{}", b"9" * 400 + b" {}", b""],
)
def test_a_line_that_is_no_event_fails(export: Path, line: bytes) -> None:
    write_events(export, [*events(export), line])
    assert "events" in rules(verify_party(export, "seller"))


def test_a_leaf_that_is_no_event_fails(export: Path) -> None:
    write_events(export, [*events(export), b"599 {}"])
    assert {"leaf", "unreadable"} <= rules(verify_party(export, "seller"))


@pytest.mark.parametrize("service", list(KEYS))
def test_a_service_left_out_of_the_sources_is_told(export: Path, service: str) -> None:
    document = json.loads((export / "sources.json").read_text())
    document["sources"] = [
        one for one in document["sources"] if one["service"] != service
    ]
    (export / "sources.json").write_text(json.dumps(document))
    assert "unchecked" in rules(verify_party(export, "seller"))


def test_the_command_exits_by_the_outcome(export: Path) -> None:
    place = [str(export), "--party", "seller"]
    pins = [word for name in KEYS for word in ("--source-key", f"{name}={key(name)}")]
    good = CliRunner().invoke(
        APP, [*place, *pins, "--vkey", SIGNER.vkey], env={"COLUMNS": "200"}
    )
    assert good.exit_code == 0
    assert "All holds." in good.output
    assert "vault signed until" in good.output
    assert CliRunner().invoke(APP, [str(export), "--party", "buyer"]).exit_code == 1
    for wrong in (
        ["--source-key", "vault"],
        ["--source-key", "vault=AAAA"],
        ["--source-key", f"cli={key('vault')}"],
        [*pins, "--source-key", f"vault={key('vault')}"],
    ):
        assert CliRunner().invoke(APP, [*place, *wrong]).exit_code == 2
    (export / "party-heads/transfer.json").unlink()
    away = CliRunner().invoke(APP, place)
    assert (away.exit_code, "Does NOT hold." in away.output) == (1, True)
    softened = CliRunner().invoke(APP, [*place, "--allow-unchecked"])
    assert (softened.exit_code, "unchecked" in softened.output) == (0, True)


def test_the_command_gives_json(export: Path) -> None:
    run = CliRunner().invoke(APP, [str(export), "--party", "seller", "--json"])
    document = json.loads(run.output)
    assert run.exit_code == 0
    assert document["party"]["party"] == "seller"
    assert [one["service"] for one in document["party"]["heads"]] == sorted(KEYS)
    assert {one["size"] for one in document["party"]["heads"]} == {SEEN}


def test_a_source_key_counts_in_a_whole_log_too(tmp_path: Path) -> None:
    write_log(tmp_path, ENTRIES)
    common = [str(tmp_path), "--allow-unchecked", "--json"]
    good = CliRunner().invoke(APP, [*common, "--source-key", f"vault={key('vault')}"])
    assert good.exit_code == 0
    bad = CliRunner().invoke(APP, [*common, "--source-key", f"vault={key('audit')}"])
    told = {one["rule"] for one in json.loads(bad.output)["findings"]}
    assert bad.exit_code == 1
    assert "key" in told
