# SPDX-License-Identifier: Apache-2.0
"""Promise: a runbook is true. Each is played, command by command, on a real house."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.runbooks.playing import ROOT, play
from tests.runbooks.reading import blocks

RUNBOOKS: Final = ROOT / "deploy" / "runbooks"
EMBEDDED: Final = sorted(
    path.name
    for path in RUNBOOKS.glob("*.md")
    if path.name not in ("README.md", "postgres.md")
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(660)]


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_runbook_does_what_it_says(name: str, tmp_path: Path) -> None:
    found = blocks(RUNBOOKS / name)
    assert found
    play(tmp_path, found, {})
