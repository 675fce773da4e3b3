# SPDX-License-Identifier: Apache-2.0
"""A small handover through real processes, and what must be true of it at its end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from deploy.demo.cast import Stage, Tale
from deploy.demo.catalogue import entered
from deploy.demo.evidence import LogCopy, copy_log
from deploy.demo.expectation import (
    Customer,
    customer_of,
    expected_counts,
    without_zeros,
)
from deploy.demo.importing import customers
from deploy.demo.narrator import Narrator
from deploy.demo.people_of_the_deal import BUYER_CRM, SELLER_CRM
from deploy.demo.proving import tally
from deploy.demo.walking import (
    back_up,
    executed,
    frozen,
    receive_and_close,
    walk_to_freeze,
)
from services.cli.supervisor import Supervisor
from services.cli.verify import verify_directory
from services.cli.verify_report import Level
from tests.crash.patience import PatientOffice, patiently, send_all

ALL_CLASSES: Final = ["basic", "habits", "purchases"]
SYSTEM_STEPS: Final = [
    "frozen",
    "backed_up",
    "mandated",
    "executed",
    "verified",
    "turned",
]
#: Moments of the story at which a test may do something to the installation.
MOMENTS: Final = ("import", "imported", "planned", "released", "turned")


@dataclass
class Played:
    """A handover that came to its end, and the log as copied afterwards."""

    shown: dict[str, Any]
    history: list[dict[str, Any]]
    report: dict[str, Any]
    expected: dict[str, Any]
    created: int
    at_the_buyer: tuple[int, int]
    log: LogCopy
    findings: list[str]
    ends: dict[str, list[int]] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """Return how many leaves are events of a kind, such as `custody.turned`."""
        wanted = f"org.keyturn.{kind}.v1"
        return sum(json.loads(entry)["type"] == wanted for entry in self.log.entries)


def play(
    stage: Stage,
    supervisor: Supervisor,
    at: dict[str, Callable[[], None]] | None = None,
) -> Played:
    """Import, hand over, and copy the log; at some moments do what `at` says."""
    moments = at or {}
    assert moments.keys() <= set(MOMENTS)

    def moment(name: str) -> None:
        moments.get(name, lambda: None)()

    log_key = (stage.place.state / "log.vkey").read_text(encoding="utf-8").strip()
    office = PatientOffice(stage.place, log_key)
    try:
        return _play(office, stage, supervisor, moment)
    finally:
        office.close()


def _play(
    office: PatientOffice,
    stage: Stage,
    supervisor: Supervisor,
    moment: Callable[[str], None],
) -> Played:
    _catalogue(office)
    moment("import")
    items = list(customers(stage.crm, "customers", "purchases"))
    records = send_all(office.system(SELLER_CRM), iter(items))
    buyers = customers(stage.crm, "buyer-customers", "buyer-purchases")
    own = send_all(office.system(BUYER_CRM), buyers)
    moment("imported")
    handover = walk_to_freeze(office, ALL_CLASSES, "crash", lambda _line: None)
    frozen(office, handover)
    back_up(office, handover)
    moment("planned")
    for seat in ("SC", "BC"):
        office.release(seat, handover)
    moment("released")
    executed(office, handover, lambda _shown: None)
    shown = receive_and_close(office, handover)
    moment("turned")
    supervisor.await_all_ready()
    listed = len(patiently(lambda: list(office.listed(BUYER_CRM))))
    seen = [customer_of(item) for item in items]
    arrived = sum(any(_moves(one, name) for name in one.classes) for one in seen)
    log = patiently(partial(copy_log, Tale(stage, office, Narrator())))
    path = f"/v1/handovers/{handover}/report"
    return Played(
        shown=shown,
        history=office.history(handover),
        report=patiently(lambda: office.desk("SC").transfer.get(path)),
        expected=expected_counts(seen),
        created=len(records) + len(own),
        at_the_buyer=(listed, len(own) + arrived),
        log=log,
        findings=[
            f"{found.rule}: {found.detail}"
            for found in verify_directory(stage.evidence, allow_unchecked=True).findings
            if found.level is Level.FAILURE  # the log alone: no papers were written
        ],
        ends=dict(supervisor.ends),
    )


def _moves(customer: Customer, name: str) -> bool:
    return "transfer" in expected_counts([customer]).get(name, {})


def _catalogue(office: PatientOffice) -> None:
    for client in (SELLER_CRM, BUYER_CRM):
        for path, body in entered():
            office.system_call(client, "PUT", path, body)


def check(played: Played) -> None:
    """Assert that nothing was lost, doubled or left half done."""
    assert played.shown["state"] == "seller_restricted"
    progress = played.shown["progress"]
    assert progress["batches"] == progress["executed"] == progress["verified"] > 0
    system = [step["event"] for step in played.history if step["role"] == "SYS"]
    assert system == SYSTEM_STEPS
    assert without_zeros(played.report["frozen_counts"]) == played.expected
    assert without_zeros(played.report["turned_counts"]) == played.expected
    operations, missing, duplicates = tally(played.log)
    assert (missing, duplicates) == (0, 0)
    assert _leaves_of_sources(played.log) == operations > 0
    assert played.findings == []
    assert played.count("custody.turned") == 1
    assert played.count("mandate.accepted") == 1
    assert played.count("decision.made") == 1
    assert played.count("batch.executed") == progress["batches"]
    assert played.count("record.created") == played.created
    found, due = played.at_the_buyer
    assert found == due


def _leaves_of_sources(log: LogCopy) -> int:
    lanes = {item["lane"] for s in ("vault", "transfer") for item in log.heads[s]}
    held = Counter(json.loads(entry)["lane"] for entry in log.entries)
    return sum(held[lane] for lane in lanes)
