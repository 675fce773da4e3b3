# SPDX-License-Identifier: Apache-2.0
"""One audited, authorised, decrypted read over HTTP beside two bare routes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from deploy.bench import people
from deploy.bench.house import House, await_ready
from deploy.bench.load import Ask, Counted, cpu_seconds, load
from deploy.bench.rounds import Aim, Row
from deploy.bench.run import Run
from deploy.demo.playing import free_ports

SECTION: Final = "reads"
RECORDS: Final = 2_000
CLIENTS: Final = (1, 16, 64)
AIMS: Final = {1: (0.25, None), 16: (0.6, 0.33), 64: (0.6, 0.33)}
CPU_AIM: Final = 300.0  # µs a read
P99_AIM: Final = 10.0  # ms at 16 clients


def measure(run: Run, house: House) -> Iterator[Row]:
    """Yield the rows of this section for one engine."""
    run.say(f"importing {RECORDS} customers")
    records = house.import_(people.customers(0, RECORDS))
    asks = [Ask(f"/v1/records/{record}") for record in records.values()]
    body = _one(house, asks[0].path)
    for mode in ("vault alone", "everything running"):
        if mode == "vault alone":
            house.only("vault")
        else:
            _resume(house)
        with bare_routes(house.folder, body) as bare:
            for clients in CLIENTS:
                yield from _at(run, house, bare, asks, clients, mode)


def _at(
    run: Run, house: House, bare: str, asks: list[Ask], clients: int, mode: str
) -> Iterator[Row]:
    name = f"{house.engine}, {clients} clients, {mode}"
    run.say(name)
    as_dict = Row(SECTION, f"{name}: audited read", "reads/s", "bare route, dict")
    as_bytes = Row(SECTION, f"{name}: audited read", "reads/s", "bare route, bytes")
    cpu = Row(SECTION, f"{name}: vault's CPU a read", "µs")
    p99 = Row(SECTION, f"{name}: p99", "ms", "bare route, dict")
    least_dict, least_bytes = AIMS[clients]
    as_dict.aim = Aim(least=least_dict)
    as_bytes.aim = Aim(least=least_bytes) if least_bytes else None
    cpu.aim = Aim(most=CPU_AIM, of="ours")
    p99.aim = Aim(most=P99_AIM, of="ours") if clients == 16 else None
    pid = house.supervisor.pid("vault")
    headers = house.headers()
    for _ in range(run.rounds):
        spent = cpu_seconds(pid)
        ours = _load(run, house.place.vault_url, asks, clients, headers)
        spent = cpu_seconds(pid) - spent
        dicts = _load(run, bare, [Ask("/dict")], clients)
        octets = _load(run, bare, [Ask("/bytes")], clients)
        as_dict.ours.append(ours.rate)
        as_dict.floor.append(dicts.rate)
        as_bytes.ours.append(ours.rate)
        as_bytes.floor.append(octets.rate)
        cpu.ours.append(spent / ours.requests * 1e6)
        p99.ours.append(ours.p99)
        p99.floor.append(dicts.p99)
    yield from (as_dict, as_bytes, cpu, p99)


def _load(
    run: Run,
    url: str,
    asks: list[Ask],
    clients: int,
    headers: dict[str, str] | None = None,
) -> Counted:
    return load(
        url,
        asks,
        clients=clients,
        seconds=run.seconds,
        headers=headers,
        folder=run.folder,
    )


def _one(house: House, path: str) -> bytes:
    headers = house.headers()
    answer = httpx.get(house.place.vault_url + path, headers=headers)
    answer.raise_for_status()
    return answer.content


def _resume(house: House) -> None:
    for name in ("broker", "audit", "transfer", "worker"):
        if name in house.supervisor.names():
            house.supervisor.resume(name)


@contextmanager
def bare_routes(folder: Path, body: bytes) -> Iterator[str]:
    """Serve the two bare routes in a process of their own; give its URL."""
    path, port = folder / "body.json", free_ports()[0]
    path.write_bytes(body)
    server = subprocess.Popen(
        (sys.executable, "-m", "deploy.bench.bare", str(port), str(path))
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await_ready(f"{url}/bytes")
        yield url
    finally:
        server.terminate()
        server.wait()
