# SPDX-License-Identifier: Apache-2.0
"""Only processes we started are ever signalled, and each is known to have ended."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.processes import (
    ServerProcess,
    WorldRefused,
    free_ports,
    need,
    run,
    write_private,
)

STOP = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"


def test_a_stopped_process_is_gone(tmp_path: Path) -> None:
    server = ServerProcess("sleeper", tmp_path)
    server.launch(SLEEPER)
    assert server.pid() is not None
    assert server.stop(STOP)
    assert server.pid() is None
    assert not server.stop(STOP)


def test_a_process_deaf_to_the_first_signal_gets_the_next(tmp_path: Path) -> None:
    server = ServerProcess("deaf", tmp_path)
    server.launch([sys.executable, "-c", f"{DEAF}; time.sleep(60)"])
    assert server.wait_ready(lambda: server.log.read_text() != "", 10.0)
    assert server.stop(((signal.SIGTERM, 0.3), (signal.SIGKILL, 10.0)))
    assert server.pid() is None


def test_a_recycled_pid_is_never_signalled(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPER) as stranger:
        server = ServerProcess("sleeper", tmp_path)
        known = {"pid": stranger.pid, "birth": "1"}
        (tmp_path / "sleeper.pid").write_text(json.dumps(known))
        assert server.pid() is None
        assert not server.stop(STOP)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("content", ["", "17", "{}", '{"pid": "x", "birth": 1}'])
def test_a_damaged_pid_file_means_not_running(tmp_path: Path, content: str) -> None:
    (tmp_path / "sleeper.pid").write_text(content)
    assert ServerProcess("sleeper", tmp_path).pid() is None


def test_a_process_that_ends_while_starting_is_noticed(tmp_path: Path) -> None:
    server = ServerProcess("brief", tmp_path)
    server.launch([sys.executable, "-c", "raise SystemExit('no room')"])
    assert not server.wait_ready(lambda: False, 10.0)
    assert "no room" in str(server)


def test_a_process_that_never_gets_ready_is_refused(tmp_path: Path) -> None:
    server = ServerProcess("sleeper", tmp_path)
    server.launch(SLEEPER)
    with pytest.raises(WorldRefused, match="not ready"):
        server.wait_ready(lambda: False, 0.2)
    server.stop(STOP)


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_private_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "password"
    for text in ("first", "second"):
        write_private(path, text)
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["password"]


def test_a_missing_program_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(WorldRefused, match="apt-get install some-package"):
        need(lambda: None, "Some program", "some-package")


def test_a_failing_program_shows_its_last_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no storage')"]
    with pytest.raises(WorldRefused, match=r"(?s)could not.*no storage"):
        run(command, "it could not")
