# SPDX-License-Identifier: Apache-2.0
"""After the turn: who reads whom now, and what the counts came to."""

from __future__ import annotations

from typing import Any

from deploy.demo.before import PURPOSE
from deploy.demo.cast import Tale
from deploy.demo.expectation import expected_counts, without_zeros
from deploy.demo.people_of_the_deal import (
    BUYER_CLERK,
    SELLER_CLERK,
    SELLER_CRM,
)
from services.cli.http import checked, json_of


def sync_at_night(tale: Tale) -> None:
    """Let the seller's CRM upsert a sold customer, and one who stayed."""
    crm = tale.office.system(SELLER_CRM)
    sold = tale.items[tale.of_note.sold]["record"]
    answer = crm.send("POST", "/v1/records", json=sold)
    tale.narrator.check(
        "the nightly upsert of a sold customer gets 409 handed-over",
        answer.status_code == 409 and answer.json()["code"] == "handed-over",
    )
    stayed = tale.items[tale.of_note.early]["record"]
    answer = crm.send("POST", "/v1/records", json=stayed)
    tale.narrator.check(
        "that of a customer who objected goes on as ever", answer.status_code == 200
    )


def read_on_both_sides(tale: Tale) -> None:
    """Read as the buyer what moved, as the seller what did not."""
    notes = tale.of_note
    moved, stayed = notes.sold, [notes.early, notes.late]
    late = next(n for n in tale.items if n not in tale.arrived.records)
    numbers = [moved, *stayed, late]
    emails = [tale.basic(number)["email"] for number in numbers]
    found = tale.office.found(BUYER_CLERK, "email", emails)
    tale.narrator.check(
        "the buyer finds the customer who moved, and none who stayed",
        [len(records) for records in found] == [1, 0, 0, 0],
        "two objected, one came during the freeze",
    )
    if found[0]:
        _buyer_reads(tale, moved, found[0][0])
    _seller_reads(tale, moved, [*stayed, late])
    _compliance_reads(tale, moved)


def _buyer_reads(tale: Tale, number: str, record: str) -> None:
    answer = tale.office.system(BUYER_CLERK).send("GET", f"/v1/records/{record}")
    shown = json_of(checked(answer))
    item = tale.items[number]["record"]
    bought = sorted(entry["entry_id"] for entry in item["entries"]["purchases"])
    got = sorted(entry["entry_id"] for entry in shown["entries"]["purchases"])
    tale.narrator.check(
        "the buyer reads a record, whole and unchanged, under a new id",
        shown["documents"] == item["documents"]
        and got == bought
        and record != tale.record(number),
        f"{len(got)} purchases",
    )


def _seller_reads(tale: Tale, moved: str, stayed: list[str]) -> None:
    clerk = tale.office.system(SELLER_CLERK)
    answer = clerk.send("GET", f"/v1/records/{tale.record(moved)}")
    tale.narrator.check(
        "the seller is refused what it sold",
        answer.status_code == 403,
        answer.json().get("reason", ""),
    )
    records = [tale.arrived.records.get(n, tale.late_record) for n in stayed]
    answers = [clerk.send("GET", f"/v1/records/{record}") for record in records]
    tale.narrator.check(
        "the seller still reads those who objected and those who came late",
        all(answer.status_code == 200 for answer in answers),
    )


def _compliance_reads(tale: Tale, moved: str) -> None:
    vault = tale.office.desk("SC").vault
    path = f"/v1/records/{tale.record(moved)}"
    answer = vault.send("GET", path, headers={PURPOSE: "legal_obligation"})
    tale.narrator.check(
        "its compliance officer reads the restricted copy to obey a law, and is logged",
        answer.status_code == 200 and "Audit-Event" in answer.headers,
    )


def count(tale: Tale) -> dict[str, Any]:
    """Compare frozen and final counts with those of the export; return the report."""
    path = f"/v1/handovers/{tale.handover}/report"
    report: dict[str, Any] = tale.office.desk("SC").transfer.get(path)
    custody = tale.office.custody(tale.handover)
    objecting = frozenset({tale.of_note.early, tale.of_note.late})
    narrator = tale.narrator
    narrator.check(
        "the frozen decision is what the export lets one count by hand",
        without_zeros(report["frozen_counts"]) == expected_counts(tale.customers),
    )
    narrator.check(
        "so are the counts after the two objections",
        without_zeros(report["turned_counts"])
        == expected_counts(tale.customers, objecting),
    )
    narrator.check(
        "a new order and a new customer stay with the seller",
        tale.after_snapshot == {"basic": 1, "purchases": 1},
        ", ".join(f"{n} {name}" for name, n in tale.after_snapshot.items()),
    )
    outcomes = {o for counts in report["turned_counts"].values() for o in counts}
    narrator.check(
        "every outcome but the archive occurs",
        {"transfer", "held", "excluded"} <= outcomes,
    )
    return {**report, "custody": custody}
