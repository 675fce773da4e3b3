# SPDX-License-Identifier: Apache-2.0
"""Promise: the runbook for PostgreSQL is true; played on PostgreSQL and Kafka."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.demo.scaled import scaled_world
from tests.runbooks.playing import ROOT, play
from tests.runbooks.reading import blocks
from tests.worlds import ON_KAFKA, ON_POSTGRES

pytestmark = [
    *ON_POSTGRES,
    *ON_KAFKA,
    pytest.mark.slow,
    pytest.mark.timeout(660),
    pytest.mark.skipif(shutil.which("pg_dump") is None, reason="no pg_dump here"),
]


def test_dumps_restore_what_they_hold(tmp_path: Path) -> None:
    found = blocks(ROOT / "deploy" / "runbooks" / "postgres.md")
    with scaled_world() as world:
        play(tmp_path, found, world.environ)
