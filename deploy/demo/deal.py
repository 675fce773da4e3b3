# SPDX-License-Identifier: Apache-2.0
"""The deal: a handover that is cancelled, and the one that goes through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from deploy.demo.access_picture import take_picture
from deploy.demo.before import PURPOSE
from deploy.demo.cast import Tale
from deploy.demo.crm import late_entry
from deploy.demo.dataset import ZONE, Dataset
from deploy.demo.importing import customers
from deploy.demo.people_of_the_deal import BUYER, SELLER_CRM
from deploy.demo.walking import (
    back_up,
    executed,
    frozen,
    receive_and_close,
    walk_to_freeze,
)
from services.chassis.clock import rfc3339
from services.cli.http import checked, json_of

FIRST_CLASSES: Final = ["basic"]
ALL_CLASSES: Final = ["basic", "habits", "purchases"]
LATE_ORDER: Final = datetime(2018, 2, 3, 15, 30, tzinfo=ZONE)


def cancel_one_in_the_middle(tale: Tale) -> None:
    """Run a handover until customers lie ready at the buyer, then cancel it."""
    office, narrator = tale.office, tale.narrator
    before = take_picture(office, tale.sample())
    note = "The first attempt; it is cancelled."
    handover = walk_to_freeze(office, FIRST_CLASSES, note, narrator.say)
    tale.first_handover = handover
    frozen(office, handover)
    back_up(office, handover)
    for seat in ("SC", "BC"):
        office.release(seat, handover)
    shown = office.await_handover(
        handover, lambda shown: shown["progress"]["executed"] > 0
    )
    during = take_picture(office, tale.sample())
    office.cancel("BO", handover, "The buyer's bank asked for time.")
    office.await_handover(
        handover,
        lambda shown: (
            shown["state"] == "cancelled"
            and office.custody(handover)["state"] == "cancelled"
        ),
    )
    after = take_picture(office, tale.sample())
    done = shown["progress"]["executed"]
    narrator.check(
        "while batches ran, nobody saw more or less than before",
        during == before,
        f"cancelled after {done} of {shown['progress']['batches']} batches",
    )
    narrator.check(
        "after the cancelling everybody sees what they saw before",
        after == before,
        f"{len(before.seller_records)} and {len(before.buyer_records)} records",
    )


def decide_and_back_up(tale: Tale, dataset: Dataset) -> None:
    """Freeze, let the shop go on, take an objection, back up."""
    office, narrator = tale.office, tale.narrator
    note = "The sale of the business."
    tale.handover = walk_to_freeze(office, ALL_CLASSES, note, narrator.say)
    shown = frozen(office, tale.handover)
    narrator.say(f"the vault decided: {shown['decision_root']}")
    _go_on_trading(tale, dataset)
    _object(tale, tale.of_note.early)
    narrator.say("a customer objected between freeze and release")
    tale.backup = back_up(office, tale.handover)
    narrator.check(
        "the backup was restored into an empty database and has the same digests",
        tale.backup["drill"] == "passed",
        f"{tale.backup['folios']} folios",
    )


def release_and_execute(tale: Tale) -> None:
    """Sign the decision twice, move every batch, verify it at the buyer."""
    office, narrator = tale.office, tale.narrator
    for seat in ("SC", "BC"):
        office.release(seat, tale.handover)
    narrator.say("SC and BC signed the frozen decision; the mandate is complete")
    begun = office.await_handover(
        tale.handover, lambda shown: shown["state"] != "await_release"
    )
    total = begun["progress"]["folios_total"]
    with narrator.bar("folios moved", total) as advance:
        moved = 0

        def seen(shown: dict[str, Any]) -> None:
            nonlocal moved
            folios = shown["progress"]["folios"] + shown["progress"]["dropped"]
            advance(folios - moved)
            moved = folios

        shown = executed(office, tale.handover, seen)
    progress = shown["progress"]
    narrator.check(
        "every batch was executed and verified under the buyer's key",
        progress["batches"] == progress["executed"] == progress["verified"] > 0,
        f"{progress['batches']} batches",
    )
    _object(tale, tale.of_note.late)
    narrator.say("a customer objected after the batch with their folios")


def turn(tale: Tale) -> None:
    """Sign the receipt, turn custody, pass the audit."""
    # The vault counts what came during the freeze while there is one.
    tale.after_snapshot = tale.office.custody(tale.handover)["after_snapshot"]
    receive_and_close(tale.office, tale.handover)
    tale.narrator.say("BC signed the receipt, custody turned, PR signed the audit")


def _go_on_trading(tale: Tale, dataset: Dataset) -> None:
    """Take a new order and a new customer; refuse a change of what is frozen."""
    crm = tale.office.system(SELLER_CRM)
    ordering = tale.record(tale.of_note.orders)
    body = {"class": "purchases", "entries": [late_entry(dataset, LATE_ORDER)]}
    checked(crm.send("POST", f"/v1/records/{ordering}/entries", json=body))
    (late,) = customers(tale.stage.crm, "late-customers", None)
    tale.items[late["ref"]] = late
    answer = json_of(checked(crm.send("POST", "/v1/records", json=late["record"])))
    tale.late_record = answer["id"]
    change = {"documents": {"basic": {"city": "Elsewhere"}}}
    headers = {"If-Match": _etag(tale, ordering)}
    patched = crm.send("PATCH", f"/v1/records/{ordering}", json=change, headers=headers)
    tale.narrator.check(
        "during the freeze orders and customers come in, and what is frozen stays",
        patched.status_code == 409 and patched.json()["code"] == "folio-frozen",
    )


def _etag(tale: Tale, record: str) -> str:
    headers = {PURPOSE: "customer_service"}
    crm = tale.office.system(SELLER_CRM)
    answer = crm.send("GET", f"/v1/records/{record}", headers=headers)
    return checked(answer).headers["ETag"]


def _object(tale: Tale, number: str) -> None:
    path = f"/v1/records/{tale.record(number)}/objections"
    now = rfc3339(tale.office.clock.now())
    body = {"recipient": BUYER, "objected_at": now}
    checked(tale.office.system(SELLER_CRM).send("PUT", path, json=body))
