# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel of the client, with the few contracts that it stands on inside.

python -m deploy.client_wheel build/client    build it there, and print its name

An integrator's machine has no `contracts` of ours, and may have its own: in the wheel
they are `keyturn_client.contracts`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
HOME: Final = ROOT / "contracts" / "client"
PACKAGE: Final = "keyturn_client"
#: What the client stands on; nothing else of `contracts` goes with it.
CARRIED: Final = (
    "__init__.py",
    "base64text.py",
    "officers.py",
    "log/__init__.py",
    "log/checkpoint.py",
    "log/errors.py",
    "log/merkle.py",
    "log/note.py",
    "log/proof.py",
    "log/tiles.py",
)
_IMPORT: Final = re.compile(r"^(from|import) contracts\b", re.MULTILINE)
_BUILD: Final = """\
import sys
from setuptools import build_meta
print(build_meta.build_wheel(sys.argv[1]))
"""


def build(folder: Path) -> Path:
    """Build the wheel into a folder; return its path.

    Raises:
        subprocess.CalledProcessError: setuptools refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as stage:
        _stage(Path(stage))
        done = subprocess.run(
            (sys.executable, "-c", _BUILD, folder.resolve()),
            cwd=stage,
            check=True,
            capture_output=True,
            text=True,
        )
    return folder / done.stdout.splitlines()[-1]


def _stage(stage: Path) -> None:
    shutil.copytree(
        HOME / PACKAGE, stage / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(HOME / name, stage / name)
    shutil.copy(ROOT / "LICENSE", stage / "LICENSE")
    for name in CARRIED:
        target = stage / PACKAGE / "contracts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "contracts" / name, target)
    for path in (stage / PACKAGE).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        moved = _IMPORT.sub(rf"\1 {PACKAGE}.contracts", text)
        path.write_text(moved, encoding="utf-8")


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
