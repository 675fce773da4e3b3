# SPDX-License-Identifier: Apache-2.0
"""Disks that are full and disks that fail: nothing is acknowledged that is not kept."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.crash.cycles.house import House, Houses
from tests.crash.faults.scenario import (
    Came,
    Scale,
    Skipped,
    judged_house,
    told_trouble,
)

FULL_SECONDS: Final = 3.0
BROKEN_SECONDS: Final = 3.0
DISK_BYTES: Final = 96 * 2**20
ENDURED: Final = ("vault", "audit", "transfer")
#: Every way in which SQLite and the log's files ask for durability, or write.
CALLS: Final = "fsync,fdatasync,pwrite64"


def disk_full(houses: Houses, scale: Scale, came: Came) -> None:
    """Fill the disk under all services up to its last byte, and free it again."""
    _files(houses)
    if not scale.own_mounts:
        raise Skipped("unshare -m is not permitted here; RLIMIT_FSIZE stands in")
    with _small_disk(came.folder / "state"):
        with judged_house(houses, came, deals=True) as house:
            for _ in range(scale.times):
                time.sleep(1.0)
                since = len(house.recorder.attempts)
                with _filled(came.folder / "state" / "ballast"):
                    time.sleep(FULL_SECONDS)
                came.did["times full"] += 1
                came.did["troubles told"] += told_trouble(house, since)
                _well_again(house, came)
            came.must(came.did["troubles told"] > 0, "nobody noticed the full disk")
        # The disk goes with its mount: what is needed for a look must outlive it.
        shutil.copytree(came.folder / "state", came.folder / "state-kept")


def files_may_not_grow(houses: Houses, scale: Scale, came: Came) -> None:
    """Forbid one service after the other to make any file larger (RLIMIT_FSIZE)."""
    _files(houses)
    with judged_house(houses, came, deals=True) as house:
        for name in ENDURED:
            time.sleep(1.0)
            since = len(house.recorder.attempts)
            pid = house.supervisor.pid(name)
            _limit_files(pid, 4_096)
            time.sleep(FULL_SECONDS)
            with suppress(ProcessLookupError):  # one that ended began anew, unlimited
                _limit_files(pid, resource.RLIM_INFINITY)
            came.did[f"{name} limited"] += 1
            came.did["troubles told"] += told_trouble(house, since)
            _well_again(house, came)
        came.must(came.did["troubles told"] > 0, "nobody noticed the limit")


def disk_answers_eio(houses: Houses, scale: Scale, came: Came) -> None:
    """Have the kernel answer EIO to writes and syncs of one service after the other."""
    _files(houses)
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed")
    with judged_house(houses, came, deals=True) as house:
        for name in ENDURED:
            time.sleep(1.0)
            since = len(house.recorder.attempts)
            hit = _fail_calls(house.supervisor.pid(name), came.folder / "strace.txt")
            came.did[f"{name} errors"] += hit
            came.did["troubles told"] += told_trouble(house, since)
            _well_again(house, came)
            came.must(hit > 0, f"{name} met no error")
        came.must(came.did["troubles told"] > 0, "nobody noticed the errors")


def _well_again(house: House, came: Came) -> None:
    """Wait for all parts, and for a write to be acknowledged: without a hand."""
    house.settle()
    since = len(house.recorder.attempts)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        recent = house.recorder.attempts[since:]
        if any(one.acknowledged and one.kind == "append" for one in recent):
            return
        time.sleep(0.1)
    came.must(condition=False, detail="the vault did not recover by itself")


def _limit_files(pid: int, soft: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _filled(ballast: Path) -> Iterator[None]:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4_096))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """Mount a small disk over a folder, seen by this process and its children alone.

    Raises:
        Skipped: This process may not.
    """
    folder.mkdir(parents=True)
    size = f"size={DISK_BYTES}"
    command = ("mount", "-t", "tmpfs", "-o", size, "keyturn-crash", str(folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skipped(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(("umount", "-l", str(folder)), check=True)


def _fail_calls(pid: int, told: Path) -> int:
    """Let system calls fail for a while; return how many did."""
    command = (
        *("strace", "-f", "-p", str(pid), "-o", str(told), "-e", f"trace={CALLS}"),
        *("-e", f"inject={CALLS}:error=EIO:when=3+"),
    )
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(BROKEN_SECONDS)
    tracer.send_signal(signal.SIGINT)  # it lets go; the process goes on
    tracer.wait(10)
    lines = told.read_text(encoding="utf-8", errors="replace").splitlines()
    return sum("(INJECTED)" in line for line in lines)


def _files(houses: Houses) -> None:
    if houses.engine != "sqlite":
        raise Skipped("the databases are a server's: its disk is not ours to fill")
