# SPDX-License-Identifier: Apache-2.0
"""Creating, looking up and importing over HTTP, by one client and by many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from deploy.bench import people
from deploy.bench.house import House
from deploy.bench.load import Ask, cpu_seconds, load
from deploy.bench.reads import CLIENTS, bare_routes
from deploy.bench.rounds import Row
from deploy.bench.run import Run

SECTION: Final = "calls"
KNOWN: Final = 2_000
AT_MOST: Final = 2_500  # requests a second that the client has ready
BATCH: Final = 100
BATCHES_AT_MOST: Final = 40
BARE: Final = b'{"id": "0", "etag": "1"}'


@dataclass
class _Call:
    """A kind of request.

    Attributes:
        make: Returns request number n, never the same twice where `once`.
        once: Whether each is sent once only.
        most: How many of it a second the client has ready.
        next: Number of the next one.
        slowest: Seconds a client may have to wait for each other client's.
    """

    name: str
    make: Callable[[int], Ask]
    once: bool
    most: int
    next: int = 0
    slowest: float = 0.0

    def ready(self, seconds: float) -> list[Ask]:
        """Return requests for so many seconds."""
        first = self.next if self.once else 0
        count = int(self.most * (seconds + 1)) if self.once else KNOWN
        self.next = first + count
        return [self.make(number) for number in range(first, first + count)]


def measure(run: Run, house: House) -> Iterator[Row]:
    """Yield the rows of this section for one engine."""
    run.say(f"importing {KNOWN:,} customers")
    house.import_(people.customers(0, KNOWN))
    house.only("vault")
    calls = [
        _Call("create, three classes", _create, once=True, most=AT_MOST, next=KNOWN),
        _Call("look-up by e-mail", _look_up, once=False, most=AT_MOST),
        _Call(
            f"batch of {BATCH}",
            _batch,
            once=True,
            most=BATCHES_AT_MOST,
            next=100_000,
            slowest=0.3,
        ),
    ]
    with bare_routes(house.folder, BARE) as bare:
        for call in calls:
            for clients in CLIENTS:
                yield from _at(run, house, bare, call, clients)


def _at(run: Run, house: House, bare: str, call: _Call, clients: int) -> Iterator[Row]:
    name = f"{house.engine}, {clients} clients: {call.name}"
    run.say(name)
    rate = Row(SECTION, name, "requests/s", "bare route, dict")
    cpu = Row(SECTION, f"{name}, vault's CPU each", "ms")
    p99 = Row(SECTION, f"{name}, p99", "ms")
    pid = house.supervisor.pid("vault")
    headers = {**house.headers(), "Content-Type": "application/json"}
    for _ in range(run.rounds):
        seconds = max(run.seconds, call.slowest * clients)
        asks = call.ready(seconds)
        spent = cpu_seconds(pid)
        ours = load(
            house.place.vault_url,
            asks,
            clients=clients,
            seconds=seconds,
            headers=headers,
            folder=run.folder,
            once=call.once,
        )
        spent = cpu_seconds(pid) - spent
        floor = load(
            bare,
            [Ask("/dict")],
            clients=clients,
            seconds=run.seconds,
            folder=run.folder,
        )
        rate.ours.append(ours.rate)
        rate.floor.append(floor.rate)
        cpu.ours.append(spent / ours.requests * 1e3)
        p99.ours.append(ours.p99)
    yield from (rate, cpu, p99)


def _create(number: int) -> Ask:
    record = people.customer(number)["record"]
    return Ask("/v1/records", "POST", json.dumps(record))


def _look_up(number: int) -> Ask:
    email = people.customer(number)["record"]["documents"]["basic"]["email"]
    asked = {"identifiers": [{"field": "email", "value": email}]}
    return Ask("/v1/records/lookup", "POST", json.dumps(asked))


def _batch(number: int) -> Ask:
    items = list(people.customers(10_000_000 + number * BATCH, BATCH))
    body = {"all_or_none": False, "items": items}
    return Ask("/v1/records:batch", "POST", json.dumps(body))
