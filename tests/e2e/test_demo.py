# SPDX-License-Identifier: Apache-2.0
"""Promise: the demonstration plays from beginning to end, and what it reports is so.

The story runs as its own process, as `make demo` and `make run` start it; on the
scaled world too where one is given.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from contracts.log import tiles
from contracts.log.checkpoint import open_checkpoint
from contracts.log.note import NoteVerifier
from deploy import strangers
from deploy.demo.playing import free_ports
from deploy.demo.scan import Needles, read_needles, scan
from services.cli.verify import verify_directory
from tests.worlds import KAFKA_ADDRESS, ON_KAFKA, ON_POSTGRES, POSTGRES_URL

LIMIT = 60
SCHEMAS = Path(__file__).parents[2] / "contracts" / "schemas"
FIGURES = {
    *("records", "folios", "inventory", "transferred", "archive_only", "held"),
    *("excluded", "operations", "leaves", "missing", "duplicates", "proofs_checked"),
    *("verified", "gates_not_built", "decision_counts", "phases", "handover_id"),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def demo(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "deploy.demo", *arguments)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", id="embedded"),
        pytest.param(
            "scaled",
            id="scaled",
            marks=[*ON_POSTGRES, *ON_KAFKA],
        ),
    ],
)
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    scaled = ["--scaled"] if request.param == "scaled" else []
    command = demo("once", "--dir", str(folder), "--limit", str(LIMIT), *scaled)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder)


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def test_the_report_adds_up(played: Path) -> None:
    report = report_of(played)
    assert report.keys() >= FIGURES
    assert report["verified"] is True
    assert report["records"] == LIMIT
    assert report["folios"] == sum(report["inventory"].values())
    for name, total in report["inventory"].items():
        assert total == (
            report["transferred"][name]
            + report["archive_only"][name]
            + sum(report["held"][name].values())
            + sum(report["excluded"][name].values())
        )
        frozen = report["decision_counts"][name]
        assert total == sum(sum(reasons.values()) for reasons in frozen.values())
        # Two people objected after the freeze, and neither moved.
        assert report["transferred"][name] == frozen["transfer"]["eligible"] - 2
    assert report["held"]["habits"]["consent"] > 0
    assert {"consent", "objected", "expired"} <= report["excluded"]["basic"].keys()
    assert report["excluded"]["habits"]["out_of_scope"] > 0
    assert report["missing"] == report["duplicates"] == 0
    assert report["proofs_checked"] > LIMIT
    assert set(report["phases"]) >= {"import", "cancelled", "execution", "scan"}


def test_the_log_holds_what_the_report_says(played: Path) -> None:
    """Count the leaves anew, from the static files alone."""
    log = played / "evidence" / "log"
    verifier = NoteVerifier.from_vkey(
        (played / "evidence" / "log.vkey").read_text().strip()
    )
    checkpoint = open_checkpoint((log / "checkpoint").read_bytes(), verifier)
    events = [
        json.loads(entry)
        for bundle in tiles.new_bundles(0, checkpoint.size)
        for entry in tiles.decode_bundle((log / bundle.path).read_bytes(), bundle.width)
    ]
    report = report_of(played)
    assert len(events) == checkpoint.size == report["leaves"]
    committed = [e for e in events if not e["source"].endswith(":audit")]
    assert len(committed) == report["operations"]
    numbers = Counter((event["lane"], event["seq"]) for event in committed)
    assert set(numbers.values()) == {1}
    ends = Counter(lane for lane, _ in numbers)
    assert all((lane, seq) in numbers for lane in ends for seq in range(1, ends[lane]))
    types = {event["type"] for event in events}
    assert any("handover" in type_ for type_ in types)
    assert report["handover_id"] in json.dumps(events)


def test_a_stranger_verifies_the_evidence_and_sees_a_change(
    played: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "evidence"
    shutil.copytree(played / "evidence", copy)
    assert verify_directory(copy).ok
    bundle = next(
        path for path in (copy / "log/tile/entries").rglob("*") if path.is_file()
    )
    octets = bytearray(bundle.read_bytes())
    octets[100] ^= 1
    bundle.write_bytes(bytes(octets))
    assert not verify_directory(copy).ok


@pytest.mark.parametrize("tool", strangers.TOOLS, ids=lambda tool: tool.__name__)
def test_other_peoples_tools_accept_the_evidence(
    tool: Callable[[Path], strangers.Verdict], played: Path
) -> None:
    verdict = tool(played / "evidence")
    if verdict.accepted is None:
        pytest.skip(verdict.detail)
    assert verdict.accepted, verdict


def test_the_commands_of_the_report_work_as_they_are_pasted(played: Path) -> None:
    commands = report_of(played)["check_it"]
    assert len(commands) == 5
    page = html.unescape((played / "report.html").read_text(encoding="utf-8"))
    for command in commands:
        assert f"\n{command['line']}\n" in page
        done = subprocess.run(
            ["bash", "-c", command["line"]],
            cwd=Path.cwd(),  # where the demonstration was called
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert done.stdout == "1 (1 means: nothing found)\n"


def test_every_event_of_the_run_is_as_its_published_schema_says(played: Path) -> None:
    written = [json.loads(leaf) for leaf in strangers.entries(played / "evidence/log")]
    for event in written:
        service = event["source"].rsplit(":", 1)[1]
        path = SCHEMAS / service / f"{event['type']}.json"
        schema = json.loads(path.read_text(encoding="utf-8"))
        checked = Draft202012Validator(
            schema, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        wrong = [error.message for error in checked.iter_errors(event)]
        assert wrong == [], event["type"]
    assert len({event["type"] for event in written}) > 25


def test_the_folder_holds_what_it_should(played: Path) -> None:
    for name in (
        *("report.json", "report.html", "needles.txt", "crm/customers.ndjson"),
        *("state/installation.json", "evidence/log/checkpoint"),
        *("evidence/log.vkey", "evidence/sources.json", "evidence/heads.json"),
        *("evidence/handover/plan.json", "evidence/handover/decision.json"),
        *("evidence/handover/officers.json",),
    ):
        assert (played / name).is_file(), name
    documents = played / "evidence/handover/documents"
    kinds = Counter(path.name.split("-")[1] for path in documents.glob("*.dsse.json"))
    assert kinds == {
        "necessity": 1,
        "scope": 2,
        "opinion": 1,
        "approval": 4,
        "release": 2,
        "receipt": 1,
        "audit_report": 1,
    }


def test_the_page_stands_alone(played: Path) -> None:
    page = (played / "report.html").read_text(encoding="utf-8")
    assert report_of(played)["handover_id"] in page
    assert "<script" not in page.lower()
    assert not re.findall(r"(?:src|href)\s*=", page)
    assert not re.findall(r"\sstyle\s*=|\son\w+\s*=|url\(|@import", page)


def test_nobody_is_in_the_state_and_a_planted_needle_is_found(
    played: Path, tmp_path: Path
) -> None:
    lines = read_needles(played / "needles.txt")
    needles = Needles(lines)
    assert not scan([played / "state", played / "evidence"], needles).findings
    # The same scan must see what is there: the export has everybody.
    assert scan([played / "crm"], needles).findings
    copy = tmp_path / "state"
    shutil.copytree(played / "state", copy, ignore=shutil.ignore_patterns("*.sock"))
    victim = max(
        (p for p in copy.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    octets = victim.read_bytes()
    half = len(octets) // 2
    victim.write_bytes(octets[:half] + lines[len(lines) // 2].encode() + octets[half:])
    assert scan([copy], needles).findings


def test_run_serves_and_a_second_run_shows_the_same_handover(tmp_path: Path) -> None:
    state, keys = tmp_path / ".keyturn", tmp_path / ".keyturn-keys"
    ports = free_ports()
    names = ("--vault-port", "--transfer-port", "--audit-port")
    where = [f"{x}" for pair in zip(names, ports, strict=True) for x in pair]
    command = demo(
        "run", "--state", str(state), "--keys", str(keys), "--limit", "24", *where
    )
    handovers = []
    for attempt in ("first", "second"):
        out = tmp_path / f"{attempt}.log"
        with out.open("wb") as file:
            running = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            text = wait_until_it_serves(running, out)
            for port in ports:
                page = httpx.get(f"http://127.0.0.1:{port}/docs")
                assert page.status_code == 200
            token = re.search(r"^TOKEN=(\S+)$", text, re.MULTILINE)
            assert token is not None
            urls = re.findall(r"^curl .* '?(http\S+?)'?$", text, re.MULTILINE)
            assert len(urls) == 3
            for url in urls:
                headers = {"Authorization": f"Bearer {token[1]}"}
                assert httpx.get(url, headers=headers).status_code == 200, url
            handovers.append(re.findall(r"/v1/handovers/(\S+)", text)[-1])
        finally:
            running.send_signal(signal.SIGINT)
            code = running.wait(60)
        assert code == 0, out.read_text()
        assert_all_stopped(ports)
    assert handovers[0] == handovers[1]
    foreign = demo("run", "--state", str(state), "--keys", str(keys))
    shutil.rmtree(tmp_path / ".keyturn-demo")
    done = subprocess.run(foreign, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "an installation of its own" in done.stderr


def wait_until_it_serves(running: subprocess.Popen[bytes], out: Path) -> str:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        text = out.read_text(encoding="utf-8", errors="replace")
        if "Ctrl-C stops everything." in text:
            return text
        assert running.poll() is None, text
        time.sleep(0.2)
    pytest.fail(out.read_text(encoding="utf-8", errors="replace"))


def assert_all_stopped(ports: tuple[int, int, int]) -> None:
    for port in ports:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/livez")


def test_a_folder_that_is_not_its_own_is_never_cleared(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("mine")
    command = demo("once", "--dir", str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "StageTaken" in done.stderr
    assert precious.read_text() == "mine"


def test_scaled_without_a_world_says_what_is_missing(tmp_path: Path) -> None:
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in {"KEYTURN_TEST_POSTGRES", "KEYTURN_TEST_KAFKA"}
    }
    command = demo("once", "--scaled", "--dir", str(tmp_path / "demo"))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ
    )
    assert done.returncode == 1
    assert "make test-scaled" in done.stderr
    assert (POSTGRES_URL is None) == (KAFKA_ADDRESS is None)
