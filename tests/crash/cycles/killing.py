# SPDX-License-Identifier: Apache-2.0
"""What one cycle does: kill or freeze processes at a moment that chance chooses."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import suppress
from typing import Final

from tests.crash.cycles.house import House

WEIGHTS: Final = {"vault": 5, "transfer": 2, "worker": 2, "audit": 3, "broker": 1}
FREEZE_SECONDS: Final = (0.1, 1.5)
LEAD_SECONDS: Final = (0.1, 1.2)


def cycle(house: House, chance: random.Random) -> dict[str, int]:
    """Wait a moment, do something to one or two processes, wait until all answer.

    Returns:
        How often what was done, such as `{"kill vault": 1}`.

    Raises:
        StartFailed: A part did not come back.
    """
    time.sleep(chance.uniform(*LEAD_SECONDS))
    parts = [name for name in house.supervisor.names() if name in WEIGHTS]
    weights = [WEIGHTS[name] for name in parts]
    victims = {*chance.choices(parts, weights, k=2 if chance.random() < 0.15 else 1)}
    done: dict[str, int] = {}
    for name in sorted(victims):
        act = "freeze" if chance.random() < 0.2 else "kill"
        done[f"{act} {name}"] = 1
        if act == "kill":
            house.supervisor.kill(name)
        else:
            freeze(house.supervisor.pid(name), chance.uniform(*FREEZE_SECONDS))
    with (house.stage.folder / "faults.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": time.monotonic(), "done": sorted(done)}) + "\n")
    house.settle()
    return done


def freeze(pid: int, seconds: float) -> None:
    """Stop a process by SIGSTOP for a while; it never learns that it was away."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
