# SPDX-License-Identifier: Apache-2.0
"""Processes that start together do not race, and a crash leaves a whole revision."""

import signal
import threading
from pathlib import Path

import pytest

from services.chassis.engines import Engines
from services.chassis.migrate import MigrationBusy, MigrationFailed, upgrade
from services.chassis.slots import hold_slot
from services.vault.opening import KEYS_LINE
from tests.integration.migrations.conftest import Begin, Place
from tests.integration.migrations.lines import grown, revision, tables

BASE = {*KEYS_LINE.metadata.tables, KEYS_LINE.version_table}


def made_by(*numbers: str) -> set[str]:
    return {f"{word}_{n}" for n in numbers for word in ("first", "second")}


def test_processes_that_start_together_migrate_once(
    place: Place, engines: Engines, tmp_path: Path, end: Begin
) -> None:
    slow = "import time; time.sleep(0.3)"  # so that each meets the other inside
    line = grown(KEYS_LINE, tmp_path, 2, slow)
    assert end(*(place.migrating(line) for _ in range(2))) == [0, 0]
    assert revision(line, engines) == "0003"
    assert tables(engines) == BASE | made_by("0002", "0003")


def test_an_upgrade_waits_for_the_one_that_runs(place: Place, engines: Engines) -> None:
    held = hold_slot(engines, place.state, "migrate/keys")
    done = threading.Event()

    def migrate() -> None:
        upgrade(KEYS_LINE, engines, place.state)
        done.set()

    thread = threading.Thread(target=migrate)
    thread.start()
    try:
        assert not done.wait(0.5)
        assert tables(engines) == set()
    finally:
        held.release()
        thread.join()
    assert done.is_set()
    assert revision(KEYS_LINE, engines) == "0001"


def test_an_upgrade_does_not_wait_for_ever(place: Place, engines: Engines) -> None:
    held = hold_slot(engines, place.state, "migrate/keys")
    try:
        with pytest.raises(MigrationBusy, match="keys database"):
            upgrade(KEYS_LINE, engines, place.state, lock_seconds=0.2)
    finally:
        held.release()
    assert tables(engines) == set()


def test_a_database_at_the_newest_revision_needs_no_lock(
    place: Place, engines: Engines
) -> None:
    upgrade(KEYS_LINE, engines, place.state)
    held = hold_slot(engines, place.state, "migrate/keys")
    try:
        upgrade(KEYS_LINE, engines, place.state, lock_seconds=0)
    finally:
        held.release()


@pytest.mark.parametrize(
    ("crash", "left", "kept"),
    [
        pytest.param(1, None, set(), id="in-the-first"),
        pytest.param(2, "0001", BASE, id="in-the-second"),
        pytest.param(3, "0002", BASE | made_by("0002"), id="in-the-third"),
    ],
)
def test_a_kill_leaves_the_revision_before_and_the_next_start_goes_on(
    place: Place,
    engines: Engines,
    tmp_path: Path,
    end: Begin,
    crash: int,
    left: str | None,
    kept: set[str],
) -> None:
    line = grown(KEYS_LINE, tmp_path, 2)
    assert end(place.migrating(line, crash)) == [-signal.SIGKILL]
    assert revision(line, engines) == left
    assert tables(engines) == kept
    upgrade(line, engines, place.state)  # the dead one's lock is free
    assert revision(line, engines) == "0003"
    assert tables(engines) == BASE | made_by("0002", "0003")


def test_a_refused_revision_leaves_nothing_and_says_no_values(
    place: Place, engines: Engines, tmp_path: Path
) -> None:
    broken = grown(KEYS_LINE, tmp_path, 1, "op.execute(\"SELECT secret('value')\")")
    with pytest.raises(MigrationFailed) as refused:
        upgrade(broken, engines, place.state)
    assert "python -m services.vault migrate" in str(refused.value)
    assert "value" not in str(refused.value)
    assert revision(broken, engines) == "0001"
    assert tables(engines) == BASE
    mended = grown(KEYS_LINE, tmp_path / "mended", 1)
    upgrade(mended, engines, place.state)
    assert tables(engines) == BASE | made_by("0002")
