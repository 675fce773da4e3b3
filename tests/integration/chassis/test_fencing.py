# SPDX-License-Identifier: Apache-2.0
"""Promise: a paused process that wakes up behind its successor writes nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.chassis.conftest import World
from tests.integration.chassis.paused_writer import FENCED
from tests.integration.chassis.test_group_commit import check_lanes, draft

ROOT = Path(__file__).parents[3]


def _start(world: World) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.integration.chassis.paused_writer"),
            *world.where,
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_a_process_paused_past_its_successor_is_fenced(world: World) -> None:
    with _start(world) as paused:
        try:
            assert paused.stdout is not None
            assert paused.stdout.readline() == "written\n"
            os.kill(paused.pid, signal.SIGSTOP)
            successor = world.journal()
            await successor.append(draft())
            os.kill(paused.pid, signal.SIGCONT)
            paused.communicate("go on\n", timeout=30)
        finally:
            paused.kill()
    assert paused.returncode == FENCED
    # Each lane's opening and its one event; nothing came behind the successor.
    assert check_lanes(world, successor) == 4
    await successor.append(draft())


async def test_without_a_successor_a_paused_process_goes_on(world: World) -> None:
    with _start(world) as paused:
        try:
            assert paused.stdout is not None
            assert paused.stdout.readline() == "written\n"
            os.kill(paused.pid, signal.SIGSTOP)
            os.kill(paused.pid, signal.SIGCONT)
            paused.communicate("go on\n", timeout=30)
        finally:
            paused.kill()
    assert paused.returncode == 0
