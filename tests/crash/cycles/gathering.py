# SPDX-License-Identifier: Apache-2.0
"""Asks the services, once all is quiet, what they hold: the evidence of a run."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import httpx

from deploy.bench.people import customer as made_customer
from deploy.demo.cast import Stage, Tale
from deploy.demo.evidence import LogCopy, copy_log
from deploy.demo.narrator import Narrator
from deploy.demo.people_of_the_deal import BUYER_CRM, SELLER_CRM
from services.cli.http import Refused, checked
from tests.crash.checking.evidence import (
    Evidence,
    Handover,
    Holding,
    SignedEnd,
    Step,
)
from tests.crash.checking.history import Attempt
from tests.crash.checking.published import open_note, read_log
from tests.crash.patience import PatientOffice, patiently

CLASSES: Final = ("basic", "habits", "purchases")
PURPOSE: Final = {"Keyturn-Purpose": "customer_service"}
PAGE: Final = 50
CRMS: Final = (("seller", SELLER_CRM), ("buyer", BUYER_CRM))


def gather(
    stage: Stage,
    office: PatientOffice,
    history: list[Attempt],
    handovers: list[str],
    notes: list[bytes],
) -> Evidence:
    """Ask for everything, wait until the log holds it all, and read the log itself.

    Raises:
        NotSettled: The log did not come to hold what the sources committed.
        LogUnreadable: What is published is no log.
    """
    customers = _holdings(office, history)
    ended = [_handover(office, one) for one in handovers]
    copied = patiently(partial(copy_log, Tale(stage, office, Narrator())))
    vkey = (stage.place.state / "log.vkey").read_text(encoding="utf-8").strip()
    checkpoint, leaves = read_log(stage.evidence / "log", vkey)
    sources = json.loads((stage.evidence / "sources.json").read_text(encoding="utf-8"))
    return Evidence(
        history=history,
        leaves=leaves,
        checkpoint=checkpoint,
        seen=[open_note(note, vkey) for note in notes],
        ends=list(_ends(copied)),
        keys=_keys(sources),
        installation=sources["installation"],
        customers=customers,
        handovers=ended,
    )


def _ends(copied: LogCopy) -> Iterator[SignedEnd]:
    for service, items in copied.heads.items():
        for item in items:
            yield SignedEnd(
                service,
                item["lane"],
                item["seq"],
                bytes.fromhex(item["leaf_hash"].removeprefix("sha256:")),
                base64.b64decode(item["head"]),
            )


def _keys(sources: dict[str, Any]) -> dict[str, bytes]:
    return {
        one["service"]: base64.b64decode(one["public_key"])
        for one in sources["sources"]
    }


def _holdings(
    office: PatientOffice, history: list[Attempt]
) -> dict[str, tuple[Holding, Holding]]:
    tried = sorted({a.customer for a in history if a.kind != "step"})
    told: dict[tuple[str, str], str] = {
        (a.party, a.customer): a.record for a in history if a.record
    }
    found: dict[str, list[Holding]] = defaultdict(list)
    for party, client in CRMS:
        records = _looked_up(office, client, tried)
        known: set[str] = set()
        held: dict[str, Holding] = {}
        for one in tried:
            record = told.get((party, one)) or next(iter(records[one]), None)
            held[one] = Holding()
            if record is not None:
                known.add(record)
                held[one] = _holding(office, client, record, len(records[one]))
        _add_nameless(office, client, known, held, history)
        for one, holding in held.items():
            found[one].append(holding)
    return {one: (seller, buyer) for one, (seller, buyer) in found.items()}


def _add_nameless(
    office: PatientOffice,
    client: str,
    known: set[str],
    held: dict[str, Holding],
    history: list[Attempt],
) -> None:
    """Add what stands in records without a name: their entries tell whose they are.

    Entries that came during a handover move with a later one, as a record of their own.
    """
    owners = {a.value: a.customer for a in history if a.kind == "append"}
    listed = patiently(lambda: [record for record, _ in office.listed(client)])
    for record in set(listed) - known:
        more = _holding(office, client, record, 0)
        for one in {owners[entry] for entry in more.entries}:
            own = tuple(entry for entry in more.entries if owners[entry] == one)
            before = held[one]
            held[one] = replace(
                before,
                classes=before.classes | more.classes,
                entries=before.entries + own,
            )


def _looked_up(
    office: PatientOffice, client: str, numbers: list[str]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for at in range(0, len(numbers), PAGE):
        page = numbers[at : at + PAGE]
        emails = [_email(number) for number in page]
        answers = patiently(partial(office.found, client, "email", emails))
        found.update(zip(page, answers, strict=True))
    return found


def _email(external_id: str) -> str:
    number = int(external_id.removeprefix("C-"))
    return str(made_customer(number)["record"]["documents"]["basic"]["email"])


def _holding(office: PatientOffice, client: str, record: str, found: int) -> Holding:
    readable: set[str] = set()
    town, etag, entries = "", 0, tuple[str, ...]()
    for name in CLASSES:
        answer = patiently(partial(_read, office, client, record, name))
        if answer is None:
            continue
        shown = answer.json()
        etag = int(answer.headers["ETag"].strip('"'))
        if name in shown["documents"]:
            readable.add(name)
        if name == "basic":
            town = shown["documents"].get("basic", {}).get("city", "")
        if bought := shown["entries"].get(name, []):
            readable.add(name)
            entries = tuple(entry["entry_id"] for entry in bought)
    return Holding(found, frozenset(readable), town, etag, entries)


def _read(
    office: PatientOffice, client: str, record: str, name: str
) -> httpx.Response | None:
    """Read one class of a record; None where it is refused or absent."""
    path = f"/v1/records/{record}?classes={name}"
    try:
        return checked(office.system(client).send("GET", path, headers=PURPOSE))
    except Refused as refused:
        if refused.status in {403, 404}:
            return None
        raise


def _handover(office: PatientOffice, handover: str) -> Handover:
    shown = office.handover(handover)
    try:
        at_the_vault = str(office.custody(handover)["state"])
    except Refused as refused:
        if refused.status != 404:
            raise
        at_the_vault = ""
    path = f"/v1/handovers/{handover}/report"
    report: dict[str, Any] = patiently(lambda: office.desk("SC").transfer.get(path))
    steps = [
        Step(
            one["step"],
            one["role"],
            one["event"],
            one["from_state"],
            one["to_state"],
        )
        for one in office.history(handover)
    ]
    return Handover(
        handover,
        shown["state"],
        at_the_vault,
        steps,
        report["frozen_counts"],
        report["turned_counts"],
    )
