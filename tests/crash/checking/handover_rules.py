# SPDX-License-Identifier: Apache-2.0
"""Rules of handovers: a legal way to a legal end, one turn at most, counts that add up.

The ways are written from transfer.md (State machine), not from the code that walks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.crash.checking.evidence import Anomaly, Evidence, Handover

_EARLY = ("draft", "necessity", "scoping", "planning", "review", "approval")
_LATE = (
    *("freeze", "backup", "await_release", "executing", "verify", "reconciled"),
    "disputed",
)
WAYS = frozenset(
    {
        ("draft", "submit", "necessity"),
        ("necessity", "confirm", "scoping"),
        ("scoping", "propose", "scoping"),
        ("scoping", "agree", "scoping"),
        ("scoping", "agree", "planning"),
        ("planning", "ready", "review"),
        ("review", "pass", "approval"),
        ("approval", "approve", "approval"),
        ("approval", "approve", "freeze"),
        ("freeze", "freeze", "freeze"),
        ("freeze", "frozen", "backup"),
        ("backup", "back_up", "backup"),
        ("backup", "backed_up", "await_release"),
        ("await_release", "release", "await_release"),
        ("await_release", "mandated", "executing"),
        ("executing", "executed", "verify"),
        ("verify", "verified", "verify"),
        ("verify", "receive", "reconciled"),
        ("reconciled", "turned", "post_audit"),
        ("post_audit", "pass", "seller_restricted"),
        ("cancelling", "withdrawn", "cancelled"),
        ("cancelling", "turned", "post_audit"),
        *((state, "cancel", "cancelled") for state in _EARLY),
        *((state, "cancel", "cancelling") for state in _LATE),
    }
)
#: Where a handover may stand once nobody acts any more, and where the vault then is.
ENDS = {
    "cancelled": frozenset({"", "lodged", "cancelled"}),
    "seller_restricted": frozenset({"turned"}),
}
#: Steps of the system: each at most once in a handover, however often it was tried.
ONCE = ("frozen", "backed_up", "mandated", "executed", "verified", "turned")


def handover_anomalies(found: Evidence) -> Iterator[Anomaly]:
    """Yield handovers that went where none may go."""
    for handover in found.handovers:
        yield from _way(handover)
        yield from _end(found, handover)
        yield from _told(found, handover)
        yield from _adds_up(handover)
    yield from _moved(found)
    known = {one.id for one in found.handovers}
    for attempt in found.history:
        if attempt.kind == "step" and attempt.customer not in known:
            yield Anomaly("ack-lost", f"handover {attempt.customer} is gone")


def _way(handover: Handover) -> Iterator[Anomaly]:
    at = "draft"
    steps = [one for one in handover.steps if one.event != "create"]
    for n, one in enumerate(handover.steps, 1):
        if one.step != n:
            yield Anomaly("step-gap", f"{handover.id}: {one.step} where {n} was due")
    for one in steps:
        if one.from_state != at or (at, one.event, one.to_state) not in WAYS:
            detail = f"{one.event} from {one.from_state} to {one.to_state} at {at}"
            yield Anomaly("illegal-step", f"{handover.id}: {detail}")
        at = one.to_state
    if at != handover.state:
        yield Anomaly("illegal-step", f"{handover.id}: {handover.state}, not {at}")
    times = Counter(one.event for one in steps if one.role == "SYS")
    for event in ONCE:
        if times[event] > 1:
            yield Anomaly("doubled", f"{handover.id}: {event} {times[event]} times")


def _end(found: Evidence, handover: Handover) -> Iterator[Anomaly]:
    places = ENDS.get(handover.state)
    if places is None or handover.at_the_vault not in places:
        detail = f"{handover.state} at transfer, {handover.at_the_vault} at the vault"
        yield Anomaly("illegal-end", f"{handover.id}: {detail}")
    for short in ("custody.turned", "mandate.accepted", "decision.made"):
        leaves = _leaves(found, short, handover.id)
        due = 1 if handover.state == "seller_restricted" else 0
        if leaves > 1 or leaves < due or (short == "custody.turned" and leaves != due):
            yield Anomaly("doubled", f"{handover.id}: {leaves} leaves {short}")


def _told(found: Evidence, handover: Handover) -> Iterator[Anomaly]:
    """Each step is one leaf, and what a person was told to have happened is a step."""
    steps = len([one for one in handover.steps if one.event != "create"])
    leaves = _leaves(found, "handover.advanced", handover.id)
    if leaves != steps:
        yield Anomaly("event-lost", f"{handover.id}: {steps} steps, {leaves} leaves")
    taken = Counter((one.role, one.event) for one in handover.steps)
    told = Counter(
        (a.client, a.value)
        for a in found.history
        if a.kind == "step" and a.acknowledged and a.customer == handover.id
    )
    for (role, event), times in told.items():
        if taken[(role, event)] < times:
            yield Anomaly("ack-lost", f"{handover.id}: {event} by {role}")


def _adds_up(handover: Handover) -> Iterator[Anomaly]:
    """Inventory = transferred + archive_only + held + excluded, frozen and turned."""
    if handover.frozen is None or handover.turned is None:
        if handover.state == "seller_restricted":
            yield Anomaly("counts", f"{handover.id}: turned without counts")
        return
    for name, outcomes in handover.frozen.items():
        before = sum(sum(reasons.values()) for reasons in outcomes.values())
        after = handover.turned.get(name, {})
        if sum(sum(reasons.values()) for reasons in after.values()) != before:
            yield Anomaly("counts", f"{handover.id}: {name} does not add up")


def _moved(found: Evidence) -> Iterator[Anomaly]:
    """As many customers are at the buyer as all turns say to have transferred."""
    said = sum(
        sum((handover.turned or {}).get("basic", {}).get("transfer", {}).values())
        for handover in found.handovers
        if handover.state == "seller_restricted"
    )
    sellers = {a.customer for a in found.history if a.party == "seller"}
    there = sum(
        "basic" in found.customers[one][1].classes
        for one in sellers & set(found.customers)
    )
    if said != there:
        yield Anomaly("counts", f"{said} transferred, {there} at the buyer")


def _leaves(found: Evidence, short: str, handover: str) -> int:
    wanted = f"org.keyturn.{short}.v1"
    return sum(
        leaf.type == wanted and leaf.data.get("handover") == handover
        for leaf in found.leaves
    )
