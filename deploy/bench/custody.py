# SPDX-License-Identifier: Apache-2.0
"""A handover by custody beside the crypto that it cannot do without.

Each round is a whole handover of every customer, walked by its people and moved by
the real worker; all but the last are cancelled before the turn. Rates are rows per
second of the vault's processor time: what a core could do that did nothing else.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from deploy.bench import people
from deploy.bench.house import House
from deploy.bench.load import Ask, cpu_seconds, load, resident_bytes
from deploy.bench.rounds import Aim, Row
from deploy.bench.run import Run
from deploy.demo.people_of_the_deal import BUYER, BUYER_CRM, SELLER_CRM
from deploy.demo.walking import back_up, receive_and_close, walk_to_freeze
from services.chassis.clock import uuid7
from services.vault.keys.sealing import Key, unwrap_key, wrap_context, wrap_key

SECTION: Final = "custody"
CLASSES: Final = ["basic", "purchases"]
SMALL_SHARE: Final = 5  # the small handover has a fifth of the customers
POLL_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 7_200.0
FLOOR_ROWS: Final = 10_000
CLIENTS: Final = 16
BATCH_AIM: Final = 0.4
VERIFIED_AIM: Final = 0.25
LINEAR_AIM: Final = 0.9
PAIR_AIM: Final = 1.6
TURN_AIM: Final = 100.0  # ms
MEMORY_AIM: Final = 300.0  # MiB a process


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of a handover: how long it took, and the vaults' processor time."""

    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A handover until it waits for its receipt."""

    handover: str
    folios: int
    decided: Phase
    executed: Phase
    verified: Phase

    @property
    def rows_a_core(self) -> float:
        """Folio rows executed per second of processor time."""
        return self.folios / self.executed.cpu

    @property
    def rows_a_second(self) -> float:
        """Folio rows executed and verified per second of the clock."""
        return self.folios / (self.executed.seconds + self.verified.seconds)


def measure(run: Run, house: House) -> Iterator[Row]:
    """Yield the rows of this section for one engine."""
    customers = run.size
    small = customers // SMALL_SHARE
    _import(run, house, 0, small)
    few = [_cancelled(run, house, 1) for _ in range(run.rounds)]
    _import(run, house, small, customers - small)
    floor: list[float] = []
    alone: list[Moved] = []
    paired: list[Moved] = []
    for _ in range(run.rounds):
        floor.append(_crypto_rows_a_core())
        alone.append(_cancelled(run, house, 1))
        with house.second_vault_and_worker():
            paired.append(_cancelled(run, house, 2))
    yield from _ratios(house.engine, customers, floor, alone)
    yield _linear(house.engine, small, customers, few, alone)
    yield Row(
        SECTION,
        f"{house.engine}: folio rows moved and verified by two vaults and workers",
        "rows/s",
        "by one vault and worker",
        ours=[one.rows_a_second for one in paired],
        floor=[one.rows_a_second for one in alone],
        aim=Aim(least=PAIR_AIM),
        notes="clients, transfer, audit and the database share the same cores",
    )
    yield from _turned(run, house, customers)
    yield from _memory(house)


def _ratios(
    engine: str, customers: int, floor: list[float], alone: list[Moved]
) -> Iterator[Row]:
    crypto = "unwrap and wrap alone"
    unit = "rows/s a core"
    name = f"{engine}: {customers:,} customers, folio rows"
    verified = [one.folios / (one.executed.cpu + one.verified.cpu) for one in alone]
    executed = [one.rows_a_core for one in alone]
    opened = "the crypto of a batch also opens what the buyer will find records by"
    yield Row(
        SECTION,
        f"{name} in batches over HTTP",
        *(unit, crypto, executed, floor),
        aim=Aim(least=BATCH_AIM),
        notes=opened,
    )
    yield Row(
        SECTION,
        f"{name} in batches and verified",
        *(unit, crypto, verified, floor),
        aim=Aim(least=VERIFIED_AIM),
    )
    yield Row(
        SECTION,
        f"{name} decided",
        unit,
        ours=[one.folios / one.decided.cpu for one in alone],
    )
    seconds = [
        one.decided.seconds + one.executed.seconds + one.verified.seconds
        for one in alone
    ]
    yield Row(SECTION, f"{name}: decided, moved and verified", "s", ours=seconds)


def _linear(
    engine: str, small: int, customers: int, few: list[Moved], many: list[Moved]
) -> Row:
    return Row(
        SECTION,
        f"{engine}: folio rows in batches, {customers:,} customers",
        "rows/s a core",
        f"{small:,} customers",
        ours=[one.rows_a_core for one in many],
        floor=[one.rows_a_core for one in few],
        aim=Aim(least=LINEAR_AIM),
    )


def _turned(run: Run, house: House, customers: int) -> Iterator[Row]:
    """Turn custody once; the buyer's first reads beside the seller's last."""
    office = house.office
    before = _reads(run, house, SELLER_CRM)
    moved = _moved(run, house, 1)
    receive_and_close(office, moved.handover)
    yield Row(
        SECTION,
        f"{house.engine}: the turn of {moved.folios:,} folio rows",
        "ms",
        ours=[_last_milliseconds(house, ":turn")],
        aim=Aim(most=TURN_AIM, of="ours"),
        notes="once, as the vault's own log says",
    )
    after = _reads(run, house, BUYER_CRM)
    yield Row(
        SECTION,
        f"{house.engine}: the buyer's first reads of {customers:,}, {CLIENTS} clients",
        "reads/s",
        "the seller's before",
        ours=after,
        floor=before,
    )


def _memory(house: House) -> Iterator[Row]:
    for name in ("vault", "transfer", "worker", "audit"):
        peak = resident_bytes(house.supervisor.pid(name), peak=True)
        yield Row(
            SECTION,
            f"{house.engine}: {name}'s memory at its peak",
            "MiB",
            ours=[peak / 2**20],
            aim=Aim(most=MEMORY_AIM, of="ours"),
        )


# -- Walking ------------------------------------------------------------------------


def _import(run: Run, house: House, first: int, count: int) -> None:
    run.say(f"importing {count:,} customers")
    numbers = range(first, first + count)
    house.import_(people.customer(number, consents_to=BUYER) for number in numbers)


def _cancelled(run: Run, house: House, pairs: int) -> Moved:
    """Walk a handover until it is verified, and cancel it."""
    moved = _moved(run, house, pairs)
    office = house.office
    office.cancel("BO", moved.handover, "Measured.")
    _until(
        house,
        moved.handover,
        lambda shown: (
            shown["state"] == "cancelled"
            and office.custody(moved.handover)["state"] == "cancelled"
        ),
    )
    return moved


def _moved(run: Run, house: House, pairs: int) -> Moved:
    run.say(f"{house.engine}: a handover, {pairs} vault and worker")
    office = house.office
    handover = walk_to_freeze(office, CLASSES, "Measured.", lambda _line: None)
    decided = _phase(house, handover, lambda shown: shown["state"] == "backup")
    back_up(office, handover)
    office.release("SC", handover)
    office.release("BC", handover)
    _until(house, handover, lambda shown: shown["state"] != "await_release")
    executed = _phase(house, handover, _all("executed"))
    verified = _phase(house, handover, _all("verified"))
    shown = _until(house, handover, lambda shown: shown["state"] == "verify")
    folios = shown["progress"]["folios"]
    assert folios > 0, shown["progress"]
    return Moved(handover, folios, decided, executed, verified)


def _all(what: str) -> Callable[[dict[str, Any]], bool]:
    def reached(shown: dict[str, Any]) -> bool:
        progress = shown["progress"]
        return bool(0 < progress["batches"] == progress[what])

    return reached


def _phase(
    house: House, handover: str, reached: Callable[[dict[str, Any]], bool]
) -> Phase:
    started, spent = time.perf_counter(), _vaults_cpu(house)
    _until(house, handover, reached)
    return Phase(time.perf_counter() - started, _vaults_cpu(house) - spent)


def _until(
    house: House, handover: str, reached: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    return house.office.await_handover(
        handover,
        reached,
        lambda _shown: time.sleep(POLL_SECONDS),
        patience=PATIENCE_SECONDS,
    )


def _vaults_cpu(house: House) -> float:
    return sum(cpu_seconds(pid) for pid in house.vaults())


# -- Beside it ------------------------------------------------------------------------


def _crypto_rows_a_core() -> float:
    """Return how many data keys a core unwraps and wraps again in a second."""
    seller, buyer = Key(secrets.token_bytes(32)), Key(secrets.token_bytes(32))
    places = [
        ("seller", str(uuid7()), "basic", "", str(uuid7()), 1)
        for _ in range(FLOOR_ROWS)
    ]
    nonces = [secrets.token_bytes(24) for _ in places]
    wraps = [
        wrap_key(seller, Key(secrets.token_bytes(32)), wrap_context(*place), nonce)
        for place, nonce in zip(places, nonces, strict=True)
    ]
    started = time.process_time()
    for place, wrap, nonce in zip(places, wraps, nonces, strict=True):
        data_key = unwrap_key(seller, wrap, wrap_context(*place))
        moved = ("buyer", *place[1:])
        wrap_key(buyer, data_key, wrap_context(*moved), nonce)
    return FLOOR_ROWS / (time.process_time() - started)


def _reads(run: Run, house: House, client: str) -> list[float]:
    listed = house.office.listed(client)
    asks = [Ask(f"/v1/records/{record}") for record, _etag in listed]
    return [
        load(
            house.place.vault_url,
            asks,
            clients=CLIENTS,
            seconds=run.seconds,
            headers=house.headers(client),
            folder=run.folder,
        ).rate
        for _ in range(run.rounds)
    ]


def _last_milliseconds(house: House, ending: str) -> float:
    """Return how long the vault took for the last request of a route."""
    path = house.place.state / "logs" / "vault.log"
    found = [
        float(line["milliseconds"])
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if line.get("event") == "http.request"
        and str(line.get("route", "")).endswith(ending)
        and line["status"] < 300
    ]
    return found[-1]
