# SPDX-License-Identifier: Apache-2.0
"""Runs the scenarios one after the other, and says what came of each."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.crash.checking.evidence import Anomaly
from tests.crash.cycles.house import Houses
from tests.crash.faults.broker import (
    broker_answers_errors,
    broker_frozen,
    broker_killed_and_wiped,
    broker_overflows,
)
from tests.crash.faults.clock import clocks_jump
from tests.crash.faults.disk import disk_answers_eio, disk_full, files_may_not_grow
from tests.crash.faults.killed import killed_at_random
from tests.crash.faults.scenario import Came, Fault, Scale, Skipped

KILLED: Final = "killed at random"
FAULTS: Final[dict[str, Fault]] = {
    KILLED: killed_at_random,
    "broker killed and wiped": broker_killed_and_wiped,
    "broker frozen": broker_frozen,
    "broker answers errors": broker_answers_errors,
    "broker overflows": broker_overflows,
    "disk full": disk_full,
    "files may not grow": files_may_not_grow,
    "disk answers EIO": disk_answers_eio,
    "clocks jump": clocks_jump,
}
SHOWN_ANOMALIES: Final = 20


class Programme:
    """One run of the programme: its scale, its seed, its folder."""

    def __init__(
        self, folder: Path, engine: str, seed: str, scale: Scale, console: Console
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._scale = scale
        self._houses = Houses(folder, engine)
        self._console = console

    def run(self, names: list[str]) -> list[Came]:
        """Run the named scenarios; return what came of each, rounds summed up."""
        return [self._add_up(name, list(self._rounds(name))) for name in names]

    def _rounds(self, name: str) -> Iterator[Came]:
        rounds = 1
        if name == KILLED:
            rounds = -(-self._scale.cycles // self._scale.a_round)
        for nth in range(rounds):
            yield self._one(name, nth)

    def _one(self, name: str, nth: int) -> Came:
        seed = f"{self._seed}:{name}:{nth}"
        folder = self._folder / f"{name.replace(' ', '-')}-{nth}"
        came = Came(name, seed, folder)
        begun = time.monotonic()
        try:
            FAULTS[name](self._houses, self._scale, came)
        except Skipped as skipped:
            came.skipped = str(skipped)
        except Exception as error:  # noqa: BLE001 - the run goes on, and fails
            came.anomalies.append(
                Anomaly("broke-off", f"{type(error).__name__}: {error}")
            )
        came.seconds = time.monotonic() - begun
        verdict = came.skipped or ("held" if came.held else "NOT HELD")
        self._console.print(f"{name} ({seed}): {verdict}, {came.seconds:.0f} s")
        for one in came.anomalies[:SHOWN_ANOMALIES]:
            self._console.print(f"  {one.rule}: {one.detail}", markup=False)
        if came.held:
            shutil.rmtree(folder, ignore_errors=True)
        return came

    def _add_up(self, name: str, parts: list[Came]) -> Came:
        whole = Came(name, self._seed, self._folder)
        for part in parts:
            whole.did += part.did
            whole.saw += part.saw
            whole.anomalies += part.anomalies
            whole.seconds += part.seconds
            whole.skipped = whole.skipped or part.skipped
        return whole


def show(came: list[Came], seed: str, console: Console) -> None:
    """Print what was done, how often, and what came of it."""
    table = Table(title=f"Faults, seed {seed}", title_justify="left")
    for heading in ("fault", "what, how often", "told the clients", "s", "result"):
        table.add_column(heading)
    for one in came:
        result = one.skipped and f"skipped: {one.skipped}"
        result = result or ("held" if one.held else f"{len(one.anomalies)} anomalies")
        table.add_row(
            one.name, _listed(one.did), _listed(one.saw), f"{one.seconds:.0f}", result
        )
    console.print(table)


def write_report(path: Path, came: list[Came], engine: str, scale: Scale) -> None:
    """Write the same as JSON."""
    report: dict[str, Any] = {
        "engine": engine,
        "scale": asdict(scale),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "held": all(one.held for one in came),
        "faults": [
            {
                "fault": one.name,
                "seed": one.seed,
                "did": dict(one.did),
                "told": dict(one.saw),
                "seconds": round(one.seconds, 1),
                "skipped": one.skipped,
                "anomalies": [asdict(x) for x in one.anomalies],
            }
            for one in came
        ],
    }
    text = json.dumps(report, indent=1) + "\n"
    path.write_text(text, encoding="utf-8")


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counted.items()))
