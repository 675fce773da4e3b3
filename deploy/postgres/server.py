# SPDX-License-Identifier: Apache-2.0
"""One real PostgreSQL server on loopback.

Owns `<dir>/postgres` (cluster, password, pid, log). Only TCP on 127.0.0.1, SCRAM,
a random password; no unix socket. As root it runs under the system user `postgres`,
because the server refuses root.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from typing import Final

import psycopg

from deploy.processes import (
    ATTEMPTS,
    ServerProcess,
    WorldRefused,
    free_ports,
    need,
    run,
    write_private,
)

ROLE: Final = "keyturn"
READY_SECONDS: Final = 60.0  # crash recovery included
BURIAL_SECONDS: Final = 20.0
# SIGINT: fast shutdown, SIGQUIT: immediate (recovers at the next start).
STOP: Final = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
SETTINGS: Final = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "password_encryption=scram-sha-256",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=200",
    "max_locks_per_transaction=256",
    "shared_buffers=128MB",
    "timezone=UTC",
    "log_statement=none",
    "log_parameter_max_length_on_error=0",
)


class PostgresServer:
    """The server under one folder; `up` and `down` may be called at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cluster = folder / "cluster"
        self._secret = folder / "password"  # written last: the cluster is complete
        self._process = ServerProcess("postgres", folder)

    def up(self) -> str:
        """Start the server if it does not run; return its URL, password included.

        Raises:
            WorldRefused: PostgreSQL is missing, or does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._process.pid() is not None:
            url = self._url()
            if url is not None and _answers(url):
                return url
            self.down()
        programs = need(_programs, "PostgreSQL", "postgresql")
        user = _system_user(self._folder)
        if not self._secret.exists():
            self._initialise(programs, user)
        self._wait_buried()
        for _ in range(ATTEMPTS):
            url = self._start(programs, user)
            if self._process.wait_ready(partial(_answers, url), READY_SECONDS):
                return url
        raise WorldRefused(f"PostgreSQL ended while it started; {self._process}")

    def down(self) -> bool:
        """Stop the server and wait; return whether there was one."""
        return self._process.stop(STOP)

    def _initialise(self, programs: Path, user: str | None) -> None:
        shutil.rmtree(self._cluster, ignore_errors=True)  # a half-made cluster
        self._cluster.mkdir(mode=0o700)
        password, handed = secrets.token_hex(24), self._folder / "handed"
        write_private(handed, password)
        if user is not None:
            shutil.chown(self._cluster, user, user)
            shutil.chown(handed, user, user)
        # Locale C: text sorts by bytes, as it does in SQLite.
        options = ["-U", ROLE, "-E", "UTF8", "--locale=C", "--data-checksums"]
        options += ["--auth=scram-sha-256", f"--pwfile={handed}"]
        initdb: list[str | Path] = [programs / "initdb", "-D", self._cluster]
        try:
            run([*initdb, *options], "initdb failed", user=user)
        finally:
            handed.unlink()
        write_private(self._secret, password)

    def _wait_buried(self) -> None:
        """Wait until a killed server is not even a zombie.

        PostgreSQL would take it for alive and refuse to start; who reaps it is
        process 1, in its own time.
        """
        try:
            dead = int((self._cluster / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return
        end = time.monotonic() + BURIAL_SECONDS
        while Path(f"/proc/{dead}").exists() and time.monotonic() < end:
            time.sleep(0.1)

    def _start(self, programs: Path, user: str | None) -> str:
        (port,) = free_ports(1)
        settings = [f"-c{setting}" for setting in (*SETTINGS, f"port={port}")]
        self._process.launch(
            [programs / "postgres", "-D", self._cluster, *settings], user
        )
        write_private(self._folder / "port.json", json.dumps(port))
        url = self._url()
        if url is None:
            raise WorldRefused("the folder changed under the start; run it again")
        return url

    def _url(self) -> str | None:
        try:
            port = int(json.loads((self._folder / "port.json").read_text()))
            password = self._secret.read_text()
        except (FileNotFoundError, ValueError):
            return None
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/postgres"


def _programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's own programs."""
    found = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if p.parent.name]
    complete = [
        p for p in found if (p / "initdb").exists() and (p / "postgres").exists()
    ]
    if complete:
        return max(complete, key=lambda p: float(p.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def _system_user(folder: Path) -> str | None:
    """Return whom to become: nobody else, or `postgres` when we are root.

    Raises:
        WorldRefused: There is no such user, or it cannot reach the folder.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam("postgres")
    except KeyError as exc:
        raise WorldRefused(
            "PostgreSQL refuses root and there is no system user `postgres`: "
            "run this as an ordinary user, or `useradd --system postgres`"
        ) from exc
    run(
        ["test", "-x", folder],
        "the system user `postgres` cannot reach the folder, because a folder above "
        "it is closed to others: give another one with --dir (under /var/tmp)",
        user="postgres",
    )
    return "postgres"


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
