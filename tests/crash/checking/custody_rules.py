# SPDX-License-Identifier: Apache-2.0
"""Rules of what is held at the end: nothing lost, nothing doubled, one owner each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.crash.checking.evidence import Anomaly, Evidence, Holding
from tests.crash.checking.history import Attempt
from tests.crash.checking.log_rules import slot_positions

TURNED = "org.keyturn.custody.turned.v1"
EXECUTED = "org.keyturn.batch.executed.v1"


def custody_anomalies(found: Evidence) -> Iterator[Anomaly]:
    """Yield what is held by two, by none, or not as it was acknowledged."""
    tried: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in found.history:
        if attempt.kind != "step":
            tried[attempt.customer].append(attempt)
    for customer, attempts in tried.items():
        seller, buyer = found.customers.get(customer, (Holding(), Holding()))
        yield from _exists(customer, attempts, seller, buyer)
        yield from _documents(customer, attempts, seller, buyer)
        yield from _entries(customer, attempts, seller, buyer)
    yield from _objections(found)


def _exists(
    customer: str, attempts: list[Attempt], seller: Holding, buyer: Holding
) -> Iterator[Anomaly]:
    creates = [a for a in attempts if a.kind == "create"]
    records = {a.record for a in attempts if a.acknowledged and a.record}
    if len(records) > 1:
        yield Anomaly("doubled", f"{customer}: {len(records)} record ids")
    if seller.records > 1 or buyer.records > 1:
        yield Anomaly("doubled", f"{customer}: a party finds it twice")
    told = any(a.acknowledged for a in creates)
    holders = sum("basic" in one.classes for one in (seller, buyer))
    if told and holders == 0:
        yield Anomaly("no-owner", f"{customer}: nobody reads what was acknowledged")
    if holders > 1:
        yield Anomaly("two-owners", f"{customer}: both parties read basic")
    if holders and all(a.refused for a in creates):
        yield Anomaly("aborted-write", f"{customer}: was refused and is there")
    if shared := (seller.classes & buyer.classes) - {"basic", "purchases"}:
        yield Anomaly("two-owners", f"{customer}: both parties read {sorted(shared)}")


def _documents(
    customer: str, attempts: list[Attempt], seller: Holding, buyer: Holding
) -> Iterator[Anomaly]:
    """The town is the last acknowledged one, or one whose outcome is unknown."""
    holder = seller if "basic" in seller.classes else buyer
    if not holder.town:
        return
    writes = [a for a in attempts if a.kind in {"create", "patch"} and not a.again]
    told = [a for a in writes if a.acknowledged and a.etag]
    last = max(told, key=lambda a: a.etag, default=None)
    reached = 0 if last is None else last.etag
    possible = {a.value for a in writes if not a.acknowledged and not a.refused}
    if last is not None:
        possible = {
            a.value
            for a in writes
            if a.value in possible and (a.kind == "create" or a.base >= reached)
        } | {last.value}
    if holder.town not in possible:
        yield Anomaly("ack-lost", f"{customer}: not the town that was acknowledged")
    highest = max((a.etag for a in attempts if a.acknowledged), default=0)
    if holder is seller and holder.etag < highest:
        detail = f"etag {holder.etag} after {highest}"
        yield Anomaly("etag-backwards", f"{customer}: {detail}")


def _entries(
    customer: str, attempts: list[Attempt], seller: Holding, buyer: Holding
) -> Iterator[Anomaly]:
    """Each acknowledged entry is read by exactly one party, once."""
    shown = Counter(seller.entries) + Counter(buyer.entries)
    appends = [a for a in attempts if a.kind == "append"]
    for attempt in appends:
        times = shown[attempt.value]
        if attempt.acknowledged and times == 0:
            yield Anomaly("ack-lost", f"{customer}: entry {attempt.value} is gone")
    for entry, times in shown.items():
        if times > 1:
            both = entry in seller.entries and entry in buyer.entries
            rule = "two-owners" if both else "doubled"
            yield Anomaly(rule, f"{customer}: entry {entry} is shown {times} times")
        if all(a.refused for a in appends if a.value == entry):
            yield Anomaly("aborted-write", f"{customer}: entry {entry} was refused")


def _objections(found: Evidence) -> Iterator[Anomaly]:
    """Who objected before the turn is not read by the buyer after it."""
    places = slot_positions(found.leaves)
    turns = [places[x.event] for x in found.leaves if x.type == TURNED]
    for attempt in found.history:
        at = places.get(attempt.event)
        if attempt.kind != "objection" or not attempt.acknowledged or at is None:
            continue
        _, buyer = found.customers.get(attempt.customer, (Holding(), Holding()))
        earlier = any(turn[0] == at[0] and turn[1:] < at[1:] for turn in turns)
        if buyer.classes and not earlier:
            yield Anomaly("objection-ignored", attempt.customer)
