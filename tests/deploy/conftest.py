# SPDX-License-Identifier: Apache-2.0
"""What the tests of the packing share: the linters, and the manifests as data.

The linters live in an environment of their own, which `make test-deploy` fills.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import secrets

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "build" / "deploy-tools" / "bin"
DEPLOY = ROOT / "deploy"

Run = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.deploy)


def _program(name: str) -> str:
    own = TOOLS / name
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; `make test-deploy` installs the linters")
    return found


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a program to its end; it must succeed. Return what it printed."""

    def run(name: str, *arguments: object, cwd: Path = ROOT) -> str:
        command = [_program(name), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="session")
def rendered(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example overlay as one file, as a cluster would get it."""
    overlay = DEPLOY / "k8s" / "overlays" / "example"
    if (TOOLS / "kustomize").exists() or shutil.which("kustomize"):
        text = run("kustomize", "build", overlay)
    else:
        text = run("kubectl", "kustomize", overlay)
    path = tmp_path_factory.mktemp("k8s") / "all.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def cluster(rendered: Path) -> list[dict[str, Any]]:
    """Every object of the example overlay."""
    return list(yaml.safe_load_all(rendered.read_text()))


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """`deploy/compose.yaml` with its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `deploy.secrets` makes."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    assert secrets.make(folder)
    return folder
