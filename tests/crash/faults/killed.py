# SPDX-License-Identifier: Apache-2.0
"""Processes killed by SIGKILL and frozen by SIGSTOP, at moments of chance."""

from __future__ import annotations

import random

from tests.crash.cycles.house import Houses
from tests.crash.cycles.killing import cycle
from tests.crash.faults.scenario import Came, Scale, judged_house


def killed_at_random(houses: Houses, scale: Scale, came: Came) -> None:
    """Live through cycles of kills and freezes, judged once at the end."""
    chance = random.Random(came.seed)
    with judged_house(houses, came, deals=True) as house:
        for _ in range(scale.a_round):
            came.did.update(cycle(house, chance))
            came.did["cycles"] += 1
        came.must(house.supervisor.failure is None, "the supervisor gave up")
