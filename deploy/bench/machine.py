# SPDX-License-Identifier: Apache-2.0
"""Says on what was measured: cores, memory, versions, what a commit waits for."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from services.chassis.engines import sqlite_engines

LIBRARIES: Final = ("fastapi", "uvicorn", "sqlalchemy", "sqlcipher3", "pynacl")
SYNCS: Final = 200


def machine(folder: Path) -> dict[str, Any]:
    """Return the facts of this machine; `folder` is where the databases lie."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(pages * size / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_at_start": round(os.getloadavg()[0], 2),
        "sqlite": _sqlite(folder),
        "syncs_per_second": round(_syncs(folder)),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _sqlite(folder: Path) -> dict[str, Any]:
    """Ask an engine like the services' own what a COMMIT waits for."""
    engines = sqlite_engines(folder / "asked.db", bytes(32))
    try:
        with engines.writer.connect() as connection:
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "cipher_version")
            }
    finally:
        engines.dispose()
    levels = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
    return {**found, "synchronous": levels[int(found["synchronous"])]}


def _syncs(folder: Path) -> float:
    """Return how many times a second a small write reaches the disk."""
    path = folder / "synced"
    with path.open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(SYNCS):
            file.write(b"x" * 512)
            os.fdatasync(file.fileno())
        took = time.perf_counter() - started
    path.unlink()
    return SYNCS / took
