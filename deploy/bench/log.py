# SPDX-License-Identifier: Apache-2.0
"""The way of events: from the commit at a source to a signed checkpoint over them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

import httpx

from deploy.bench import people
from deploy.bench.house import House
from deploy.bench.load import Ask, LoadFailed, load
from deploy.bench.rounds import Aim, Row
from deploy.bench.run import Run
from services.cli.verify import verify_directory

SECTION: Final = "log"
WRITERS: Final = (1, 32, 128)
EASY_PACE: Final = 500.0  # events a second
EASY_AIM: Final = 10.0  # ms, the median at that pace
P99_AIM: Final = 150.0  # ms at 128 writers
RECORDS: Final = 500
CLIENTS: Final = 32
DRAIN_AIM: Final = 15_000.0
POLL_SECONDS: Final = 0.02
BOUND_SECONDS: Final = 300.0
QUIET_SECONDS: Final = 1.5  # without growth, and the log has everything


def measure(run: Run, house: House) -> Iterator[Row]:
    """Yield the rows of this section for one engine."""
    records = house.import_(people.customers(0, RECORDS))
    asks = [Ask(f"/v1/records/{record}") for record in records.values()]
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
            asks,
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
    house.only("audit", "broker")
    for writers in WRITERS:
        yield from _written(run, house, writers)
    yield _easy(run, house)


def _written(run: Run, house: House, writers: int) -> Iterator[Row]:
    """Events of as many writers, each waiting for its own commit."""
    run.say(f"{house.engine}: {writers} writers of events, the vault is down")
    seen = [_write(run, house, writers, 0.0) for _ in range(run.rounds)]
    most = writers == max(WRITERS) and house.engine == "sqlite"
    name = f"{house.engine}: {writers} writers, from commit to signed checkpoint"
    committed = [one["committed"] for one in seen]
    yield Row(
        SECTION,
        name,
        "events/s",
        "committed at the source",
        ours=[one["integrated"] for one in seen],
        floor=committed,
        aim=Aim(least=DRAIN_AIM, of="ours") if most else None,
    )
    for figure, aim in (("p50", None), ("p99", P99_AIM if most else None)):
        yield Row(
            SECTION,
            f"{name}, {figure}",
            "ms",
            ours=[one[figure] for one in seen],
            aim=Aim(most=aim, of="ours") if aim else None,
        )


def _easy(run: Run, house: House) -> Row:
    """The median wait of events that come at an easy pace."""
    seen = [_write(run, house, 32, EASY_PACE) for _ in range(run.rounds)]
    return Row(
        SECTION,
        f"{house.engine}: at {EASY_PACE:.0f} events/s, from commit to checkpoint, p50",
        "ms",
        ours=[one["p50"] for one in seen],
        aim=Aim(most=EASY_AIM, of="ours") if house.engine == "sqlite" else None,
    )


def _write(run: Run, house: House, writers: int, pace: float) -> dict[str, float]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "deploy.bench.writers"),
            *("--writers", str(writers), "--seconds", str(run.seconds)),
            *("--pace", str(pace)),
        ],
        env=house.place.settings(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LoadFailed(f"the writers: {done.stderr.strip()[-400:]}")
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


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
