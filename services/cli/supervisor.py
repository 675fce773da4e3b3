# SPDX-License-Identifier: Apache-2.0
"""Runs the embedded default: broker, audit, vault, transfer and worker as processes.

Owns the processes and nothing in them: what they know they read from their settings
and the state directory. A process that dies is started again, more slowly each time;
one that keeps dying stops the whole, with the end of its log. None outlives the
supervisor: each ends when its lifeline does (`services.chassis.lifeline`).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from services.cli.place import Place

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
NONE: Final = -1  # no file descriptor
CLAIM_SECONDS: Final = STOP_SECONDS + 2  # a killed supervisor's parts are gone by then
MAX_DEATHS: Final = 5  # within DEATH_WINDOW_SECONDS
DEATH_WINDOW_SECONDS: Final = 60.0


class StartFailed(Exception):  # noqa: N818 - it names what happened
    """The installation did not start; the message says which part, and why."""


@dataclass(frozen=True)
class Part:
    """One process: its name, its command, and where it says that it is ready."""

    name: str
    command: tuple[str, ...]
    ready: str | Path


def parts(place: Place) -> list[Part]:
    """The processes of an installation in the order of their start."""
    python = sys.executable
    broker = place.state / "broker.json"
    found = [
        # Audit first: the sources hold their databases against its log at their start.
        Part("audit", (python, "-m", "services.audit", "serve"), place.audit_url),
        Part("vault", (python, "-m", "services.vault", "serve"), place.vault_url),
        Part(
            "transfer", (python, "-m", "services.transfer", "serve"), place.transfer_url
        ),
        Part("worker", (python, "-m", "services.transfer", "worker"), ""),
    ]
    if "KEYTURN_KAFKA_SERVERS" not in place.environ:
        module = "services.chassis.broker_embedded"
        found.insert(0, Part("broker", (python, "-m", module, str(broker)), broker))
    return found


class Supervisor:
    """Starts, watches, restarts and stops the processes of one installation."""

    def __init__(
        self,
        place: Place,
        say: Callable[[str], None] = lambda _line: None,
        crashes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Make a supervisor; nothing starts yet.

        Args:
            place: Where the installation lives.
            say: Told what happens, in a line.
            crashes: For tests of crashes: by part, `label[:hits]` for each of its
                lives in turn. A life armed with one ends there; the next is armed
                with the next, and one beyond the last with none.
        """
        self.place = place
        self.ends: dict[str, list[int]] = {}
        self._say = say
        self._crashes = {name: list(at) for name, at in (crashes or {}).items()}
        self._parts = {part.name: part for part in parts(place)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._halted: set[str] = set()
        self._deaths: dict[str, list[float]] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        # Descriptors, none yet: the parts inherit the first two, never the grip.
        self._claim = self._lifeline = self._grip = NONE
        self.failure: str | None = None

    def claim(self) -> None:
        """Take this state directory and these ports, before anything is touched.

        The parts inherit the claim: after a supervisor was killed the next one waits
        until the last of its parts has ended.

        Raises:
            StartFailed: Another supervisor has the state, or a port is in use or
                given twice.
        """
        if self._claim != NONE:
            return
        ports = self.place.ports()
        if len(set(ports.values())) < len(ports):
            raise StartFailed(
                "two services have the same port; give each another one "
                "(--vault-port, --transfer-port, --audit-port)"
            )
        state = self.place.state
        state.parent.mkdir(parents=True, exist_ok=True)
        # Beside the state, not in it: whoever moves the state aside keeps the claim.
        path = state.with_name(f".{state.name.lstrip('.')}.lock")
        claim = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if not self._await_lock(claim):
            os.close(claim)
            raise StartFailed(
                f"{state} is already being served by another process; stop that one, "
                "or give this one another state directory"
            )
        self._claim = claim
        self._lifeline, self._grip = os.pipe()
        for name, port in ports.items():
            if _is_taken(port):
                self._release()
                raise StartFailed(
                    f"port {port} is in use; give {name} another one "
                    f"({name.upper()}_PORT=... with make, --{name}-port)"
                )

    def prepare(self) -> None:
        """Make keys, databases and service credentials; idempotent.

        Raises:
            StartFailed: A service refused, or `claim` did; the message says why.
        """
        self.claim()
        for folder in (self.place.state, self.place.keys, self.place.state / "logs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for service in ("vault", "audit", "transfer"):
            self._say(f"{service}: keys and databases")
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                (sys.executable, "-m", f"services.{service}", "init"),
                env=self.place.settings(),
                capture_output=True,
                text=True,
                check=False,
                pass_fds=(self._claim,),
            )
            if done.returncode != 0:
                why = done.stderr.strip() or done.stdout.strip()
                raise StartFailed(f"{service} init: {why}")

    def start(self) -> None:
        """Start every process and wait until each answers.

        Raises:
            StartFailed: One did not become ready in time; all are stopped again.
        """
        if self._crashes:  # an armed part may end before it is ready: revive it
            self._start_watching()
        try:
            for part in self._parts.values():
                self._say(f"{part.name} starts")
                self._spawn(part)
                self._await_ready(part)
        except StartFailed:
            self.stop()
            raise
        if self._watcher is None:
            self._start_watching()

    def stop(self) -> None:
        """Stop every process in reverse order, gently, then by force."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        for name in reversed(list(self._running)):
            process = self._running.pop(name)
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self._claim != NONE:
            (self.place.state / "processes.json").unlink(missing_ok=True)
            self._release()

    def _release(self) -> None:
        for held in {self._claim, self._lifeline, self._grip} - {NONE}:
            os.close(held)
        self._claim = self._lifeline = self._grip = NONE

    def _await_lock(self, claim: int) -> bool:
        deadline = time.monotonic() + CLAIM_SECONDS
        waits = False
        while True:
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    return False
            else:
                return True
            if not waits:
                self._say(f"{self.place.state} is still being served; waiting a little")
            waits = True
            time.sleep(0.1)

    @contextmanager
    def running(self) -> Iterator[Supervisor]:
        """Prepare, start, and stop at the end."""
        self.prepare()
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def names(self) -> list[str]:
        """The parts of this installation, in the order of their start."""
        return list(self._parts)

    def pid(self, name: str) -> int:
        """The process id of a part."""
        with self._lock:
            return self._running[name].pid

    def kill(self, name: str) -> None:
        """Kill a part with SIGKILL; the watcher starts it again."""
        with suppress(ProcessLookupError):
            os.kill(self.pid(name), signal.SIGKILL)

    def halt(self, name: str) -> None:
        """Kill a part with SIGKILL and leave it down until `resume`."""
        with self._lock:
            self._halted.add(name)
            process = self._running[name]
        process.kill()
        process.wait()

    def resume(self, name: str) -> None:
        """Start a halted part again and wait until it answers.

        Raises:
            StartFailed: It did not become ready in time.
        """
        part = self._parts[name]
        with self._lock:
            self._spawn(part)
            self._halted.discard(name)
        self._await_ready(part)

    def await_all_ready(self) -> None:
        """Wait until every part answers, also after a restart.

        Raises:
            StartFailed: One did not become ready in time.
        """
        for part in self._parts.values():
            self._await_ready(part)

    # --- private -----------------------------------------------------------

    def _start_watching(self) -> None:
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _spawn(self, part: Part) -> None:
        log = (self.place.state / "logs" / f"{part.name}.log").open("ab")
        if isinstance(part.ready, Path):
            part.ready.unlink(
                missing_ok=True
            )  # the last one's, until it writes its own
        settings = {**self.place.settings(), "KEYTURN_LIFELINE": str(self._lifeline)}
        if armed := self._crashes.get(part.name):
            settings["KEYTURN_CRASH_AT"] = armed.pop(0)
        with log, self._lock:
            self._running[part.name] = subprocess.Popen(  # noqa: S603 - our own modules
                part.command,
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
                pass_fds=(self._lifeline, self._claim),
            )
            pids = {name: process.pid for name, process in self._running.items()}
        draft = self.place.state / "processes.json.new"
        with suppress(
            OSError
        ):  # for people to read: a full disk must not end the watch
            draft.write_text(json.dumps(pids), encoding="utf-8")
            draft.replace(self.place.state / "processes.json")

    def _await_ready(self, part: Part) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if _is_ready(part):
                return
            process = self._running[part.name]
            if self._watcher is None and process.poll() is not None:
                raise StartFailed(
                    f"{part.name} ended with {process.returncode}:\n{self._tail(part)}"
                )
            time.sleep(0.05)
        raise StartFailed(f"{part.name} did not answer:\n{self._tail(part)}")

    def _tail(self, part: Part) -> str:
        path = self.place.state / "logs" / f"{part.name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-8:])

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            with self._lock:
                ended = [
                    (name, process.returncode)
                    for name, process in self._running.items()
                    if name not in self._halted and process.poll() is not None
                ]
            for name, code in ended:
                self.ends.setdefault(name, []).append(code)
                if not self._revive(name):
                    return

    def _revive(self, name: str) -> bool:
        now = time.monotonic()
        deaths = [
            at for at in self._deaths.get(name, []) if now - at < DEATH_WINDOW_SECONDS
        ]
        deaths.append(now)
        self._deaths[name] = deaths
        if len(deaths) > MAX_DEATHS:
            self.failure = f"{name} keeps ending:\n{self._tail(self._parts[name])}"
            self._say(self.failure)
            return False
        self._say(f"{name} ended; starting it again")
        if self._stopping.wait(0.2 * (len(deaths) - 1)):
            return False
        self._spawn(self._parts[name])
        return True


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As uvicorn binds it: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _is_ready(part: Part) -> bool:
    if isinstance(part.ready, Path):
        return part.ready.exists()
    if not part.ready:
        return True
    try:
        return httpx.get(f"{part.ready}/readyz", timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False
