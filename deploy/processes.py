# SPDX-License-Identifier: Apache-2.0
"""Server processes of the scaled world: start, recognise, stop.

A process is known by its pid and its birth (start time), so that a stale pid file
never makes us signal a stranger. Nothing is ever ended by name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ATTEMPTS: Final = 3  # a port found free can be taken before the server binds it


class WorldRefused(Exception):  # noqa: N818 - the start is refused
    """The world cannot start or stop; the message says why and how to mend it."""


@dataclass(frozen=True)
class ServerProcess:
    """One server: its name and its folder, which holds the pid file and the log."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """Everything the server wrote to its standard output and error."""
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def pid(self) -> int | None:
        """Return the pid if exactly the process we started still runs."""
        try:
            known = json.loads(self._pid_file.read_text())
            pid, birth = int(known["pid"]), str(known["birth"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return pid if _birth(pid) == birth else None

    def launch(self, command: Sequence[str | Path], user: str | None = None) -> None:
        """Start `command` in a session of its own, writing to the log.

        A crash between the start and the pid file would leave a stranger behind;
        the file is therefore written at once, before anybody waits for readiness.
        """
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                umask=0o077,
                start_new_session=True,
            )
        write_private(
            self._pid_file,
            json.dumps({"pid": child.pid, "birth": _birth(child.pid) or ""}),
        )
        child.returncode = 0  # detached on purpose: no ResourceWarning, no reaping

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Return True once `ready()`, False if the process ended before.

        Raises:
            WorldRefused: It runs, but is not ready after `seconds`.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if ready():
                return True
            if self.pid() is None:
                return False
            time.sleep(0.1)
        raise WorldRefused(f"{self.name} is not ready after {seconds:.0f} s; {self}")

    def stop(self, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
        """Send each signal and wait its seconds, until the process is gone.

        Returns:
            Whether there was a process to stop.

        Raises:
            WorldRefused: It outlived every step.
        """
        pid = self.pid()
        if pid is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        for number, seconds in steps:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if self.pid() is None:
                    self._pid_file.unlink(missing_ok=True)
                    return True
                time.sleep(0.05)
        raise WorldRefused(f"{self.name} (pid {pid}) does not end")

    def __str__(self) -> str:
        try:
            tail = self.log.read_text(errors="replace").splitlines()[-12:]
        except FileNotFoundError:
            tail = []
        return "the end of its log:\n  " + "\n  ".join(tail or ["(empty)"])


def _birth(pid: int) -> str | None:
    """Return what tells this process from a later one with the same pid.

    None: no such process, or a zombie, which has ended for our purposes.
    """
    try:
        # Field 2 is the command in parentheses and may hold blanks; 3 is the state,
        # 22 the start time in clock ticks since boot (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _birth_by_ps(pid)
    return None if fields[0] in "ZX" else fields[19]


def _birth_by_ps(pid: int) -> str | None:
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607 - where the system has it
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip() or None


def free_ports(count: int) -> list[int]:
    """Return `count` different loopback ports that are free now."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, all or nothing."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(
        os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w"
    ) as f:
        f.write(text)
    part.replace(path)


def need(find: Callable[[], Path | None], what: str, package: str) -> Path:
    """Return the program `find` finds, installing the Debian package if we may.

    Raises:
        WorldRefused: It is missing and cannot be installed from here.
    """
    found = find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(package)
        found = find()
    if found is None:
        raise WorldRefused(
            f"{what} is missing: install it (Debian, Ubuntu: "
            f"`apt-get install {package}`), then run this again"
        )
    return found


def _install(package: str) -> None:
    print(f"installing {package} with apt-get", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    for command in (["apt-get", "update", "-q"], install):
        run(command, f"apt-get could not install {package}", quiet)


def run(
    command: Sequence[str | Path],
    failure: str,
    env: dict[str, str] | None = None,
    user: str | None = None,
) -> str:
    """Run a short program to its end; return what it printed.

    Raises:
        WorldRefused: It failed; the message is `failure` and its last lines.
    """
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        check=False,
    )
    if done.returncode:
        tail = "\n  ".join(done.stdout.splitlines()[-12:])
        raise WorldRefused(f"{failure}:\n  {tail}")
    return done.stdout
