# SPDX-License-Identifier: Apache-2.0
"""Loaded by a service's interpreter at its start: its wall clock is wrong by a file.

`services.chassis.clock` is the one place where a service learns the time; the file
says by how many seconds it is wrong. The monotonic clock stays what it is.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from services.chassis.clock import SystemClock

_FILE = Path(os.environ["CRASH_CLOCK_FILE"])
_true_time = SystemClock.now


def _now(self: SystemClock) -> datetime:
    return _true_time(self) + timedelta(seconds=float(_FILE.read_text()))


SystemClock.now = _now  # type: ignore[method-assign]
