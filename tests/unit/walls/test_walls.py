# SPDX-License-Identifier: Apache-2.0
"""The walls hold, and each kind of breach is found: the linter runs on broken copies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

BREACHES = {
    "a contract does I/O": ("contracts/dsse.py", "import os"),
    "a contract knows a service": (
        "contracts/dsse.py",
        "import services.chassis.clock",
    ),
    "a service knows another": (
        "services/audit/errors.py",
        "import services.vault.errors",
    ),
    "the command line opens a service": (
        "services/cli/up.py",
        "import services.vault.settings",
    ),
    "the chassis knows a service": (
        "services/chassis/clock.py",
        "import services.vault.errors",
    ),
    "a low floor of the chassis climbs": (
        "services/chassis/clock.py",
        "import services.chassis.outbox",
    ),
    "a low room of the vault climbs": (
        "services/vault/keys/sealing.py",
        "import services.vault.records",
    ),
    "audit's log knows its intake": (
        "services/audit/log/store.py",
        "import services.audit.intake.verdict",
    ),
    "an operation speaks SQL": (
        "services/audit/log/operations.py",
        "import sqlalchemy",
    ),
    "the client knows a service": (
        "contracts/client/keyturn_client/calls.py",
        "import services.chassis.clock",
    ),
    "the client knows more than the log's formats": (
        "contracts/client/keyturn_client/calls.py",
        "import contracts.scopes",
    ),
    "a service uses the client": (
        "services/transfer/vault_client.py",
        "import keyturn_client.calls",
    ),
    "an operation of the client sends": (
        "contracts/client/keyturn_client/vault.py",
        "import keyturn_client.blocking",
    ),
    "a module without a room": ("services/vault/helpers.py", ""),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(tool), "--no-cache"],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{folder}/contracts/client"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in ("services", "contracts"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_walls_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", BREACHES)
def test_a_breach_is_found(copy: Path, kind: str) -> None:
    place, line = BREACHES[kind]
    path = copy / place
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        assert lint(copy).returncode != 0
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
