# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump: minutes, days, more than a year, and back (libfaketime)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.crash.checking.history import Attempt
from tests.crash.cycles.house import Houses
from tests.crash.faults.scenario import Came, Scale, Skipped, judged_house

#: As libfaketime writes them; the last one is the true time again.
JUMPS: Final = ("+5m", "-5m", "+1d", "-1d", "+400d", "-2d", "+0")
HELD_SECONDS: Final = 2.5
LIBRARIES: Final = "*/faketime/libfaketime.so.1"


def clocks_jump(houses: Houses, scale: Scale, came: Came) -> None:
    """Let the clock of all services jump under load, then turn a handover."""
    library = next(Path("/usr/lib").glob(LIBRARIES), None)
    if library is None:
        raise Skipped("libfaketime is not installed")
    clock = came.folder.with_name(f"{came.folder.name}.clock")
    clock.write_text("+0\n", encoding="utf-8")
    environ = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # Deadlines and leases are measured by the clock that never jumps.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with judged_house(houses, came, environ, deals=False) as house:
        for jump in JUMPS * max(1, scale.times // 3):
            since = len(house.recorder.attempts)
            _set(clock, jump)
            time.sleep(HELD_SECONDS)
            told = list(_written(house.recorder.attempts[since:]))
            came.did[f"at {jump}"] += len(told)
            came.must(bool(told), f"at {jump} nothing was acknowledged")
            came.did["jumps"] += 1
        stop = threading.Event()
        stop.set()
        house.dealer.work(stop)  # one handover, to its turn


def _set(clock: Path, jump: str) -> None:
    draft = clock.with_suffix(".new")
    draft.write_text(f"{jump}\n", encoding="utf-8")
    draft.replace(clock)


def _written(attempts: list[Attempt]) -> Iterator[Attempt]:
    return (one for one in attempts if one.acknowledged and one.kind != "read")
