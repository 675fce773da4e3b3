# SPDX-License-Identifier: Apache-2.0
"""Reads a runbook: its commands in order, and what each is expected to print.

    ```sh run        commands that must succeed
    ```sh refused    commands that must fail
    ```text expect   lines that the block before prints, in this order; `...` is
                     whatever stands there
    <!-- stage ... -->   what a test does to bring about the trouble

Every shell block is one of these: a runbook is true or it is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_BLOCK: Final = re.compile(
    r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$|^<!-- stage\n(?P<stage>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
_SHELLS: Final = ("sh", "bash", "shell", "console")


@dataclass
class Block:
    """Commands, and the lines they must print.

    Attributes:
        line: Where it stands in the runbook.
        refused: Whether it must fail.
    """

    line: int
    code: str
    refused: bool = False
    expected: list[str] = field(default_factory=list)


class RunbookMalformed(ValueError):  # noqa: N818
    """A block is neither run nor expected: it could be untrue."""


def blocks(path: Path) -> list[Block]:
    """Return a runbook's blocks.

    Raises:
        RunbookMalformed: A shell block that is never run, or nothing to expect from.
    """
    text = path.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        info = (match["info"] or "").strip()
        if match["stage"] is not None:
            found.append(Block(line, match["stage"]))
        elif info in ("sh run", "sh refused"):
            found.append(Block(line, match["code"], refused=info == "sh refused"))
        elif info == "text expect" and found:
            found[-1].expected += match["code"].splitlines()
        elif info.split(" ")[0] in _SHELLS or info == "text expect":
            raise RunbookMalformed(f"{path.name}:{line}: {info}")
    return found


def missing(expected: list[str], said: str) -> list[str]:
    """Return the expected lines that were not said, each after the one before."""
    lines = iter(said.splitlines())
    absent = []
    for wanted in expected:
        pattern = ".*".join(re.escape(part) for part in wanted.strip().split("..."))
        if not any(re.search(pattern, line) for line in lines):
            absent.append(wanted)
    return absent
