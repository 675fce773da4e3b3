# SPDX-License-Identifier: Apache-2.0
"""The attacks, the tests that carry them out, and the faults planted against those."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
_MARK = re.compile(r"mark\.attack\(\s*\"([AT]\d+)\"\s*\)")


@dataclass(frozen=True)
class Attack:
    """One attack; `absent` says why it cannot be carried out."""

    id: str
    what: str
    absent: str = ""


@dataclass(frozen=True)
class Planted:
    """A check taken out of the product, and the tests that must notice.

    Attributes:
        attack: Whose tests.
        file: Where, from the root.
        old: Text that stands there exactly once.
        new: What it becomes.
        tests: What must fail: `file::test`, every parameter of it.
        why: Which check is gone.
    """

    attack: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def apply(self, root: Path) -> str:
        """Plant it below `root`; return the text that stood there.

        Raises:
            ValueError: The old text does not stand there exactly once: it is stale.
        """
        path = root / self.file
        before = path.read_text(encoding="utf-8")
        found = before.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file}: the old text stands there {found} times")
        path.write_text(before.replace(self.old, self.new), encoding="utf-8")
        return before


def attacks() -> list[Attack]:
    """Return every attack, in the order of the table."""
    with (HERE / "attacks.toml").open("rb") as file:
        return [Attack(id_, **one) for id_, one in tomllib.load(file).items()]


def planted() -> list[Planted]:
    """Return every planted fault, in the order of the list."""
    with (HERE / "planted.toml").open("rb") as file:
        listed = tomllib.load(file)["fault"]
    return [Planted(**{**one, "tests": tuple(one["tests"])}) for one in listed]


def tracked(root: Path = ROOT) -> list[str]:
    """Return the files that a copy of this tree has: tracked, or new and not ignored."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(
        command, cwd=root, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.splitlines() if (root / name).is_file()]


def test_files() -> dict[str, list[str]]:
    """Return attack id → the files that hold a test marked with it."""
    found: dict[str, list[str]] = {}
    for name in sorted(tracked()):
        if name.startswith("tests/") and name.endswith(".py"):
            text = (ROOT / name).read_text(encoding="utf-8")
            for id_ in sorted(set(_MARK.findall(text))):
                found.setdefault(id_, []).append(name)
    return found
