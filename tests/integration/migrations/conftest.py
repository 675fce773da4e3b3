# SPDX-License-Identifier: Apache-2.0
"""`place`: a fresh database on each engine, which other processes can open too."""

import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from services.chassis.migrate import Line
from tests.worlds import DATABASES, postgres_database

# What `migrate` does, with a crash point armed where a test wants one.
CHILD = """
import json, sys
from pathlib import Path
from services.chassis import migrate
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.engines import postgres_engines, sqlite_engines
from sqlalchemy import MetaData
said = json.loads(sys.stdin.readline())
line = migrate.Line("vault", "keys", Path(said["scripts"]), MetaData())
if said["crash"]:
    CRASH_POINTS.arm("migrate.before_commit", said["crash"])
if said["url"]:
    engines = postgres_engines(said["url"])
else:
    engines = sqlite_engines(Path(said["path"]), bytes.fromhex(said["key"]))
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(line, engines, Path(said["state"]))
engines.dispose()
"""


@dataclass
class Place:
    """A fresh database and the state directory beside it."""

    state: Path
    path: Path
    key: bytes
    url: str | None

    def open(self) -> Engines:
        if self.url is not None:
            return postgres_engines(self.url)
        return sqlite_engines(self.path, self.key)

    def migrating(self, line: Line, crash: int = 0) -> subprocess.Popen[str]:
        """A process that waits to upgrade this database; it begins at `begin`."""
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        said = {
            "scripts": str(line.scripts),
            "crash": crash,
            "url": self.url,
            "path": str(self.path),
            "key": self.key.hex(),
            "state": str(self.state),
        }
        child.stdin.write(json.dumps(said) + "\n")
        child.stdin.flush()
        return child


def end(*children: subprocess.Popen[str]) -> list[int]:
    """Let the children begin at the same time; return how each ended."""
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.communicate()[1]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode <= 0, errors
    return [child.returncode for child in children]


@pytest.fixture(params=DATABASES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    state = tmp_path / "state"
    state.mkdir()
    with contextlib.ExitStack() as stack:
        url = None
        if request.param == "postgres":
            url = stack.enter_context(postgres_database())
        yield Place(state, tmp_path / "some.db", secrets.token_bytes(32), url)


@pytest.fixture
def engines(place: Place) -> Iterator[Engines]:
    opened = place.open()
    yield opened
    opened.dispose()


Begin = Callable[..., list[int]]


@pytest.fixture(name="end")
def _end() -> Begin:
    return end
