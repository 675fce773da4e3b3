# SPDX-License-Identifier: Apache-2.0
"""Imports over REST beside the raw driver, what they take, and look-ups as it grows."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from deploy.bench import cdnow, people
from deploy.bench.house import House
from deploy.bench.load import resident_bytes
from deploy.bench.rounds import Aim, Row
from deploy.bench.run import Run
from deploy.bench.stored import stored_bytes
from services.chassis.engines import sqlite_engines

SECTION: Final = "imports"
BATCH: Final = 1_000  # customers of one round
SLICE: Final = 100  # of one commit of the floor, as of one request
LOOKUPS: Final = 200
IMPORT_AIM: Final = 0.5
BEYOND_AIM: Final = 350.0  # bytes
CDNOW_CUSTOMERS: Final = 23_570
FLAT_AIM: Final = 1.3


def measure(run: Run, house: House) -> Iterator[Row]:
    """Yield the rows of this section for one engine."""
    imported = Row(
        SECTION,
        f"{house.engine}: customers imported over REST, 3 classes each",
        "customers/s",
        "raw driver, the same bytes",
        aim=Aim(least=IMPORT_AIM),
    )
    floor = _Floor(house.folder / "floor.db")
    for number in range(run.rounds):
        first = number * BATCH
        run.say(f"importing {BATCH} customers, round {number + 1} of {run.rounds}")
        started = time.perf_counter()
        house.import_(people.customers(first, BATCH))
        imported.ours.append(BATCH / (time.perf_counter() - started))
        imported.floor.append(BATCH / floor.insert(first, BATCH))
    floor.close()
    yield imported
    if house.engine == "sqlite":
        yield _beyond_payload(house, run.rounds * BATCH)
    yield _published(run, house)
    yield from _grown(run, house, run.rounds * BATCH)


def _beyond_payload(house: House, first: int) -> Row:
    """What a customer of three classes takes in the database beyond its own bytes."""
    before = stored_bytes(house)
    house.import_(people.customers(first, BATCH))
    grown = stored_bytes(house) - before
    plain = sum(len(part) for n in range(first, first + BATCH) for part in _payloads(n))
    return Row(
        SECTION,
        f"{house.engine}: stored beyond the payload, three classes, three indexes",
        "bytes a customer",
        ours=[(grown - plain) / BATCH],
        aim=Aim(most=BEYOND_AIM, of="ours"),
        notes="the database after VACUUM, without outbox; the payload is the JSON sent",
    )


def _published(run: Run, house: House) -> Row:
    """Import the published CDNOW purchases once."""
    run.say("importing CDNOW: 69,659 purchases by 23,570 customers")
    started = time.perf_counter()
    records = house.import_(cdnow.customers(run.folder))
    took = time.perf_counter() - started
    assert len(records) == CDNOW_CUSTOMERS
    return Row(
        SECTION,
        f"{house.engine}: CDNOW, 23,570 customers with 69,659 purchases",
        "customers/s",
        ours=[CDNOW_CUSTOMERS / took],
        notes=f"once, in {took:.0f} s",
    )


def _grown(run: Run, house: House, small: int) -> Iterator[Row]:
    """Look-ups by e-mail among few and among many customers."""
    large = max(run.size, small)
    before = [_lookup_seconds(house, small) * 1e3 for _ in range(run.rounds)]
    run.say(f"importing until there are {large:,} customers")
    first = small + BATCH
    started = time.perf_counter()
    house.import_(people.customers(first, max(0, large - first)))
    took = time.perf_counter() - started
    yield Row(
        SECTION,
        f"{house.engine}: {max(0, large - first):,} customers imported in one go",
        "customers/s",
        ours=[max(0, large - first) / took],
        notes="once",
    )
    after = [_lookup_seconds(house, large) * 1e3 for _ in range(run.rounds)]
    yield Row(
        SECTION,
        f"{house.engine}: look-up by e-mail among {large:,}",
        "ms",
        f"among {small:,}",
        ours=after,
        floor=before,
        aim=Aim(most=FLAT_AIM),
        notes="one client, one identifier, the event of each durable before its answer",
    )
    memory = resident_bytes(house.supervisor.pid("vault"), peak=True)
    yield Row(
        SECTION,
        f"{house.engine}: the vault's memory at its peak",
        "MiB",
        ours=[memory / 2**20],
    )


def _lookup_seconds(house: House, known: int) -> float:
    """Return the mean of some look-ups, one after the other."""
    headers = house.headers()
    url = f"{house.place.vault_url}/v1/records/lookup"
    with httpx.Client(headers=headers, trust_env=False) as http:
        http.post(url, json=_asked(0)).raise_for_status()
        started = time.perf_counter()
        for i in range(LOOKUPS):
            answer = http.post(url, json=_asked(i * 7919 % known))
            assert len(answer.json()["items"][0]["records"]) == 1, answer.text
        return (time.perf_counter() - started) / LOOKUPS


def _asked(number: int) -> dict[str, list[dict[str, str]]]:
    record = people.customer(number)["record"]
    email = record["documents"]["basic"]["email"]
    return {"identifiers": [{"field": "email", "value": email}]}


class _Floor:
    """A table of an encrypted file like the vault's, filled by the driver alone."""

    def __init__(self, path: Path) -> None:
        self._engines = sqlite_engines(path, secrets.token_bytes(32))
        raw = self._engines.writer.raw_connection()
        raw.cursor().execute("CREATE TABLE row (id TEXT PRIMARY KEY, payload BLOB)")
        self._raw = raw

    def insert(self, first: int, count: int) -> float:
        """Insert what as many customers are in plain; return how long it took."""
        rows = [
            [(f"{number:012d}-{part}", payload) for part, payload in enumerate(parts)]
            for number in range(first, first + count)
            for parts in [_payloads(number)]
        ]
        cursor = self._raw.cursor()
        started = time.perf_counter()
        for start in range(0, count, SLICE):
            cursor.execute("BEGIN IMMEDIATE")
            for one in rows[start : start + SLICE]:
                cursor.executemany("INSERT INTO row VALUES (?, ?)", one)
            cursor.execute("COMMIT")
        return time.perf_counter() - started

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        self._engines.dispose()


def _payloads(number: int) -> list[bytes]:
    record = people.customer(number)["record"]
    parts = [*record["documents"].values(), *record["entries"].values()]
    return [json.dumps(part).encode() for part in parts]
