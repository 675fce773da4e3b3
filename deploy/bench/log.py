# SPDX-License-Identifier: Apache-2.0
"""The way of events: how fast what waits reaches a signed checkpoint, and verifies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import httpx

from deploy.bench import people
from deploy.bench.house import House
from deploy.bench.load import load
from deploy.bench.rounds import Aim, Row
from deploy.bench.run import Run
from services.cli.verify import verify_directory

SECTION: Final = "log"
RECORDS: Final = 500
CLIENTS: Final = 32
DRAIN_AIM: Final = 15_000.0
POLL_SECONDS: Final = 0.02
BOUND_SECONDS: Final = 300.0
QUIET_SECONDS: Final = 1.5  # without growth, and the log has everything


def measure(run: Run, house: House) -> Iterator[Row]:
    """Yield the rows of this section for one engine."""
    records = house.import_(people.customers(0, RECORDS))
    paths = [f"/v1/records/{record}" for record in records.values()]
    drained = Row(
        SECTION,
        f"{house.engine}: events that waited, from the bus to a signed checkpoint",
        "events/s",
        aim=Aim(least=DRAIN_AIM, of="ours"),
        notes="audit was away meanwhile; its start is not counted",
    )
    for number in range(run.rounds):
        run.say(f"events gather while audit is away, round {number + 1}")
        before = _settled(house)
        house.supervisor.halt("audit")
        headers = house.headers()
        url = house.place.vault_url
        load(
            url,
            paths,
            clients=CLIENTS,
            seconds=run.seconds,
            headers=headers,
            folder=run.folder,
        )
        house.supervisor.resume("audit")
        started, first = time.perf_counter(), _size(house)
        last = _settled(house, at_least=before + 1)
        took = time.perf_counter() - started - QUIET_SECONDS
        drained.ours.append((last - first) / max(took, POLL_SECONDS))
    yield drained
    yield _verified(run, house)


def _verified(run: Run, house: House) -> Row:
    row = Row(SECTION, f"{house.engine}: leaves verified offline", "leaves/s")
    state = house.place.state
    folder = house.folder / "evidence"
    folder.mkdir(exist_ok=True)
    for name in ("log.vkey", "sources.json"):
        (folder / name).write_bytes((state / name).read_bytes())
    if not (folder / "log").exists():
        (folder / "log").symlink_to(state.resolve() / "audit" / "log")
    for _ in range(run.rounds):
        started = time.perf_counter()
        report = verify_directory(folder, allow_unchecked=True)
        assert report.ok, [found.detail for found in report.findings]
        row.ours.append(report.size / (time.perf_counter() - started))
    return row


def _settled(house: House, at_least: int = 0) -> int:
    """Wait until the log grows no more; return its size."""
    deadline = time.monotonic() + BOUND_SECONDS
    size, since = _size(house), time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        found = _size(house)
        if found != size:
            size, since = found, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS and size >= at_least:
            break
    return size


def _size(house: House) -> int:
    note = httpx.get(f"{house.place.audit_url}/checkpoint", trust_env=False)
    note.raise_for_status()
    return int(note.text.splitlines()[1])
