# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump under load: minutes, days, more than a year, and back.

The services' own seam is moved, not the host: libfaketime was tried, and slowed every
call of the C library down so much that the services no longer answered in time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.crash.checking.history import Attempt
from tests.crash.cycles.house import Houses
from tests.crash.faults.scenario import Came, Scale, judged_house

DAY: Final = 86_400
#: Seconds by which the clock is wrong, one after the other; then the true time again.
JUMPS: Final = {
    "+5 min": 300,
    "-5 min": -300,
    "+1 d": DAY,
    "-1 d": -DAY,
    "+400 d": 400 * DAY,
    "-2 d": -2 * DAY,
    "true time": 0,
}
HELD_SECONDS: Final = 2.5
PATIENCE_SECONDS: Final = 10.0
ROOT: Final = Path(__file__).parents[3]
SEAM: Final = Path(__file__).parent / "skewed"


def clocks_jump(houses: Houses, scale: Scale, came: Came) -> None:
    """Let the clock of all services jump under load, then turn a handover."""
    clock = came.folder.with_name(f"{came.folder.name}.clock")
    _set(clock, 0)
    environ = {
        "CRASH_CLOCK_FILE": str(clock),
        "PYTHONPATH": os.pathsep.join((str(SEAM), str(ROOT))),
    }
    with judged_house(houses, came, environ, deals=False) as house:
        for jump, seconds in list(JUMPS.items()) * max(1, scale.times // 3):
            since = len(house.recorder.attempts)
            _set(clock, seconds)
            came.did["jumps"] += 1
            deadline = time.monotonic() + PATIENCE_SECONDS
            time.sleep(HELD_SECONDS)
            while not any(_written(house.recorder.attempts[since:])):
                if time.monotonic() > deadline:
                    came.must(condition=False, detail=f"at {jump} nothing was written")
                    break
                time.sleep(0.1)
        stop = threading.Event()
        stop.set()
        house.dealer.work(stop)  # one handover, to its turn


def _set(clock: Path, seconds: int) -> None:
    draft = clock.with_suffix(".new")
    draft.write_text(str(seconds), encoding="utf-8")
    draft.replace(clock)


def _written(attempts: list[Attempt]) -> Iterator[Attempt]:
    return (one for one in attempts if one.acknowledged and one.kind != "read")
