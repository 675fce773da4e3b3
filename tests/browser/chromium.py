# SPDX-License-Identifier: Apache-2.0
"""Opens pages in a real Chromium that can resolve no name but 127.0.0.1."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium")
NODE = shutil.which("node")
IS_INSTALLED = (HERE / "node_modules" / "playwright-core").is_dir()

no_browser = pytest.mark.skipif(
    not (CHROMIUM and NODE and IS_INSTALLED),
    reason="needs chromium, node and `npm ci`: make test-browser installs them",
)


def visit(*pages: dict[str, Any]) -> list[dict[str, Any]]:
    """Open each page in turn; what visit.mjs saw of each, in the same order."""
    asked: dict[str, Any] = {"chromium": CHROMIUM, "pages": pages}
    if os.geteuid() == 0:
        asked["args"] = ["--no-sandbox"]  # Chromium's sandbox refuses to run as root
    assert NODE is not None
    done = subprocess.run(
        [NODE, "visit.mjs", json.dumps(asked)],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen


def assert_quiet(seen: dict[str, Any]) -> None:
    """Nothing foreign was asked for, nothing failed, nothing was complained about."""
    for name in ("foreign", "failed", "errors", "violations"):
        assert seen[name] == [], name


def serious(seen: dict[str, Any]) -> set[str]:
    """The accessibility rules of axe that the page breaks seriously or worse."""
    return {
        found["id"]
        for found in seen["accessibility"]
        if found["impact"] in {"serious", "critical"}
    }
