# SPDX-License-Identifier: Apache-2.0
"""Loads a server with `wrk` and reads what it counted, and what a process spent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).with_name("load.lua")
TICKS: Final = os.sysconf("SC_CLK_TCK")


class LoadFailed(Exception):  # noqa: N818 - it names what happened
    """`wrk` is missing, or a server answered something else than asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; `body` is JSON in one line."""

    path: str
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """What a run of load counted.

    Attributes:
        rate: Answers per second.
        p50, p99: Milliseconds.
        requests: Answers of the whole run.
    """

    rate: float
    p50: float
    p99: float
    requests: int


def load(
    url: str,
    asks: Sequence[Ask],
    *,
    clients: int,
    seconds: float,
    headers: dict[str, str] | None = None,
    folder: Path,
    once: bool = False,
) -> Counted:
    """Send `asks` to `url`, at random or each once, over `clients` connections.

    Headers go through a file of mode 0600: a token on a command line is seen by all.

    Raises:
        LoadFailed: `wrk` is not there, an answer was not 2xx, or `asks` did not last.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadFailed("`wrk` is not installed (Debian: apt-get install wrk)")
    plan = folder / "load.txt"
    lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
    plan.touch(mode=0o600)
    said = [f"{ask.method} {ask.path} {ask.body}" for ask in asks]
    plan.write_text("\n".join([*lines, "", *said]), encoding="utf-8")
    done = subprocess.run(
        [
            *(wrk, "--threads", "1", "--connections", str(clients)),
            *("--duration", f"{max(1, round(seconds))}s", "--timeout", "10s"),
            *("--script", str(SCRIPT), url),
        ],
        env={**os.environ, "LOAD_PLAN": str(plan), "LOAD_ONCE": str(int(once))},
        capture_output=True,
        text=True,
        check=False,
    )
    plan.unlink()
    last = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode != 0 or not last[0].startswith("{"):
        raise LoadFailed(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    counted = json.loads(last[0])
    if counted["failed"]:
        failed, all_ = counted["failed"], counted["requests"]
        raise LoadFailed(f"{failed} of {all_} answers: not 2xx")
    if counted["requests"] == 0:
        raise LoadFailed("nothing was answered in time: load it for longer")
    if once and counted["requests"] > len(asks):
        raise LoadFailed("the prepared requests did not last: prepare more")
    return Counted(
        rate=counted["requests"] / (counted["microseconds"] / 1e6),
        p50=counted["p50"] / 1000,
        p99=counted["p99"] / 1000,
        requests=counted["requests"],
    )


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds that a process has used until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / TICKS


def resident_bytes(pid: int, *, peak: bool = False) -> int:
    """Return how much memory a process holds, or has held at most."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0
