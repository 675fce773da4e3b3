# SPDX-License-Identifier: Apache-2.0
"""Before the deal: people, catalogues and customers enter; a clerk does its work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deploy.demo.cast import Tale, choose
from deploy.demo.catalogue import CLASSES, FIELDS, entered
from deploy.demo.importing import Imported, customers, import_customers
from deploy.demo.people_of_the_deal import BUYER_CRM, SELLER_CLERK, SELLER_CRM
from services.cli.http import checked, json_of
from services.cli.pinning import witness

READS: Final = (
    ("customer_service", "full"),
    ("invoicing", "full"),
    ("customer_service", "masked"),
)
PURPOSE: Final = "Keyturn-Purpose"


def agree_on_a_catalogue(tale: Tale) -> None:
    """Enter classes and fields into both parties' catalogues."""
    for client in (SELLER_CRM, BUYER_CRM):
        vault = tale.office.system(client)
        for path, body in entered():
            checked(vault.send("PUT", path, json=body))
    tale.narrator.say(f"{len(CLASSES)} classes and {len(FIELDS)} fields, twice")


def bring_in_the_customers(tale: Tale) -> None:
    """Import both companies' customers from the CRM's files."""
    crm = tale.stage.crm
    items = tale.reading(customers(crm, "customers", "purchases"))
    tale.arrived = _import(tale, SELLER_CRM, "the seller's customers", items)
    others = customers(crm, "buyer-customers", "buyer-purchases")
    known: set[str] = set()
    _import(tale, BUYER_CRM, "the buyer's customers", _emails(others, known))
    shared = frozenset(
        number for number in tale.items if tale.basic(number)["email"] in known
    )
    tale.notes = choose(tale.customers, shared)
    tale.narrator.check(
        "every customer of the export has a record",
        set(tale.arrived.records) == set(tale.items),
        f"{len(tale.items)} customers, {tale.arrived.entries} purchases",
    )


def pin_the_log(tale: Tale) -> None:
    """Pin the checkpoint as it is now: the end must be consistent with it."""
    desk = tale.office.desk("SC")
    witness(desk.audit, desk.pin, desk.log_key)


def let_a_clerk_read(tale: Tale) -> None:
    """Read records for stated purposes; be denied one for advertising."""
    clerk = tale.office.system(SELLER_CLERK)
    numbers = tale.of_note.samples[: len(READS)]
    emails = [tale.basic(number)["email"] for number in numbers]
    found = tale.office.found(SELLER_CLERK, "email", emails)
    tale.narrator.check(
        "the clerk finds customers by their e-mail address",
        found == [[tale.record(number)] for number in numbers],
    )
    for number, (purpose, view) in zip(numbers, READS, strict=True):
        path = f"/v1/records/{tale.record(number)}"
        query = {"view": view, "classes": "basic"}
        answer = clerk.send("GET", path, params=query, headers={PURPOSE: purpose})
        shown = json_of(checked(answer))["documents"]["basic"]
        true = {name: shown.get(name) == v for name, v in tale.basic(number).items()}
        as_it_should = all(true.values()) if view == "full" else not true["email"]
        tale.narrator.check(
            f"a read for {purpose} shows the {view} view and names its event",
            as_it_should and "Audit-Event" in answer.headers,
        )
    path = f"/v1/records/{tale.record(numbers[0])}"
    answer = clerk.send("GET", path, headers={PURPOSE: "advertising"})
    tale.narrator.check(
        "a read for advertising is denied, and the denial is in the log",
        answer.status_code == 403 and "audit_event" in answer.json(),
        answer.json().get("code", ""),
    )


def _import(
    tale: Tale, client: str, what: str, items: Iterator[dict[str, Any]]
) -> Imported:
    people = "customers" if client == SELLER_CRM else "buyer-customers"
    total = _lines(tale.stage.crm / f"{people}.ndjson")
    login = tale.office.login(client)
    with tale.narrator.bar(what, total) as advance:
        return import_customers(tale.stage.place.vault_url, login, items, advance)


def _emails(
    items: Iterator[dict[str, Any]], known: set[str]
) -> Iterator[dict[str, Any]]:
    for item in items:
        known.add(item["record"]["documents"]["basic"]["email"])
        yield item


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
