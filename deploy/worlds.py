# SPDX-License-Identifier: Apache-2.0
"""The scaled world on one machine: a real PostgreSQL and a real Apache Kafka.

    python -m deploy.worlds up   --dir build/scaled     start, print and write `env`
    python -m deploy.worlds down --dir build/scaled     stop exactly those, and wait
    python -m deploy.worlds run  --dir build/scaled -- pytest tests/integration

Both listen on random loopback ports; their data stay under the directory.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.kafka.broker import SECURE, KafkaBroker
from deploy.postgres.server import PostgresServer
from deploy.processes import WorldRefused, write_private

POSTGRES: Final = "KEYTURN_TEST_POSTGRES"
KAFKA: Final = "KEYTURN_TEST_KAFKA"
#: A file with the settings of its other door, that of TLS and SASL/SCRAM.
KAFKA_SECURE: Final = "KEYTURN_TEST_KAFKA_SECURE"


def up(folder: Path) -> dict[str, str]:
    """Start both servers, or find them running; return their addresses.

    `<folder>/env` (mode 0600, it holds the database password) has the same as
    shell lines. If one of the two does not start, the other keeps running: `down`.

    Raises:
        WorldRefused: Something is missing or does not start.
    """
    with _alone(folder):
        env = {
            POSTGRES: PostgresServer(folder / "postgres").up(),
            KAFKA: KafkaBroker(folder / "kafka").up(),
            KAFKA_SECURE: str(folder / "kafka" / SECURE),
        }
        lines = "".join(f"{name}={value}\n" for name, value in env.items())
        write_private(folder / "env", lines)
        return env


def down(folder: Path) -> list[str]:
    """Stop both servers and wait; return the names of those that ran.

    Raises:
        WorldRefused: One of them does not end.
    """
    with _alone(folder):
        (folder / "env").unlink(missing_ok=True)
        servers: dict[str, KafkaBroker | PostgresServer] = {
            "kafka": KafkaBroker(folder / "kafka"),
            "postgres": PostgresServer(folder / "postgres"),
        }
        return [name for name, server in servers.items() if server.down()]


def run(folder: Path, command: list[str]) -> int:
    """Run a command inside the world and stop it afterwards; return its exit code."""
    try:
        env = up(folder)
        return subprocess.run(
            command, env={**os.environ, **env}, check=False
        ).returncode
    finally:
        down(folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let two `up` or `down` of one folder wait for each other."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.worlds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=("up", "down", "run"), help="as shown above")
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("build/scaled"),
        help="data of both; %(default)s by default",
    )
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    given, command = parser.parse_args(arguments[:cut]), arguments[cut + 1 :]
    folder = given.dir.resolve()
    if (given.verb == "run") != bool(command):
        parser.error("run, and only run, takes a command after --")
    try:
        if given.verb == "run":
            return run(folder, command)
        if given.verb == "up":
            for name, value in up(folder).items():
                print(f"{name}={value}")
        else:
            print("stopped: " + (", ".join(down(folder)) or "nothing was running"))
    except WorldRefused as exc:
        print(f"worlds: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
