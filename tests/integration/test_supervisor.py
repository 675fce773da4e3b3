# SPDX-License-Identifier: Apache-2.0
"""Promise: nothing of an installation outlives its supervisor, however that one ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.demo.playing import free_ports
from services.cli import supervisor as supervisors
from services.cli.place import Place
from services.cli.supervisor import StartFailed, Supervisor

PARTS = {"broker", "vault", "audit", "transfer", "worker"}


@contextmanager
def up(place: Place) -> Iterator[subprocess.Popen[str]]:
    ports = [
        text
        for name, port in place.ports().items()
        for text in (f"--{name}-port", str(port))
    ]
    command = [sys.executable, "-m", "services.cli.main", "up"]
    process = subprocess.Popen(
        [*command, "--state", place.state, "--keys", place.keys, *ports],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def await_doors(process: subprocess.Popen[str]) -> None:
    """Read until all three services' pages are named: everything answers then."""
    assert process.stdout is not None
    said: list[str] = []
    while sum(line.endswith("/docs") for line in said) < 3:
        line = process.stdout.readline()
        assert line, said
        said.append(line.strip())


def await_worker(place: Place) -> None:
    """Wait until the worker has begun; it has no page that would say so."""
    log = place.state / "logs" / "worker.log"
    deadline = time.monotonic() + 30
    while "worker.started" not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pids(place: Place) -> dict[str, int]:
    text = (place.state / "processes.json").read_text(encoding="utf-8")
    return {name: int(pid) for name, pid in json.loads(text).items()}


def runs(pid: int) -> bool:
    """Whether a process lives; a zombie that nobody has reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.mark.slow
def test_a_killed_supervisor_takes_its_parts_along_and_the_next_one_starts(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "state", tmp_path / "keys", *free_ports())
    with up(place) as first:
        await_doors(first)
        before = pids(place)
        await_worker(place)
        assert before.keys() == PARTS
        first.kill()
        first.wait(10)
        with up(place) as second:
            await_doors(second)
            assert not [name for name, pid in before.items() if runs(pid)]
            assert httpx.get(f"{place.vault_url}/readyz").status_code == 200
            after = pids(place)
    assert not [name for name, pid in after.items() if runs(pid)]
    logs = place.state / "logs"
    for name in PARTS - {"broker"}:
        said = (logs / f"{name}.log").read_text(encoding="utf-8")
        assert "the-supervisor-is-gone" in said, name
        assert "stopped" in said, f"{name} did not end in good order"


def test_a_part_ends_by_itself_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "broker.json"
    mine, grip = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.chassis.broker_embedded", path],
        env={**os.environ, "KEYTURN_LIFELINE": str(mine)},
        pass_fds=(mine,),
    )
    try:
        deadline = time.monotonic() + 30
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, "it ended while its supervisor lived"
        os.close(grip)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(mine)


def test_two_supervisors_never_have_the_same_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisors, "CLAIM_SECONDS", 0.2)
    place = Place(tmp_path / "state", tmp_path / "keys", *free_ports())
    first, said = Supervisor(place), list[str]()
    first.claim()
    with pytest.raises(StartFailed, match="already being served"):
        Supervisor(place, say=said.append).claim()
    assert len(said) == 1
    first.stop()
    second = Supervisor(place)
    second.claim()
    second.stop()


def test_a_port_given_twice_is_refused_before_anything_is_touched(
    tmp_path: Path,
) -> None:
    port = free_ports()[0]
    place = Place(tmp_path / "state", tmp_path / "keys", port, port, free_ports()[1])
    with pytest.raises(StartFailed, match="same port"):
        Supervisor(place).prepare()
    assert list(tmp_path.iterdir()) == []


def test_a_part_is_started_again_where_its_number_cannot_be_written_down(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "state", tmp_path / "keys", *free_ports())
    supervisor = Supervisor(place)
    supervisor.prepare()
    # As a full disk would: whoever starts a part cannot write this file.
    (place.state / "processes.json.new").mkdir()
    with supervisor.running():
        dead = supervisor.pid("worker")
        supervisor.kill("worker")
        deadline = time.monotonic() + 30
        while supervisor.pid("worker") == dead:
            assert time.monotonic() < deadline, "the watch has ended"
            time.sleep(0.05)
