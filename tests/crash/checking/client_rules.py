# SPDX-License-Identifier: Apache-2.0
"""Rules of what clients were told: every acknowledgement is a leaf, once, in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.crash.checking.evidence import Anomaly, Evidence
from tests.crash.checking.history import Attempt, of_kinds
from tests.crash.checking.log_rules import slot_positions

#: What a request of a kind leaves in the log. A write that changes nothing discloses
#: that, and leaves a read; a create of a known customer is a change.
LEAVES = {
    "create": ("record.created", "record.patched", "record.read"),
    "patch": ("record.patched", "record.read"),
    "append": ("entries.appended", "record.read"),
    "read": ("record.read",),
    # Where a live handover loses folios by it, the answer names that, the later event.
    "consent": ("consent.recorded", "folio.dropped"),
    "objection": ("objection.recorded", "folio.dropped"),
}
DROPPED = "org.keyturn.folio.dropped.v1"
#: Kinds of leaves that nobody but the clients of the history makes.
COUNTED = {
    "create": "record.created",
    "patch": "record.patched",
    "append": "entries.appended",
    "consent": "consent.recorded",
    "objection": "objection.recorded",
}


def client_anomalies(found: Evidence) -> Iterator[Anomaly]:
    """Yield where the log and the answers to clients contradict each other."""
    yield from _every_event_once(found)
    yield from _counted(found)
    yield from _in_order(found)
    yield from _etags(found)
    yield from _reads(found)


def _every_event_once(found: Evidence) -> Iterator[Anomaly]:
    held = Counter(leaf.event for leaf in found.leaves)
    types = {leaf.event: leaf.type for leaf in found.leaves}
    told: dict[str, Attempt] = {}
    for attempt in found.history:
        if attempt.acknowledged and attempt.kind in LEAVES and not attempt.event:
            rule = "read-without-event" if attempt.kind == "read" else "write-unlogged"
            yield Anomaly(rule, f"{attempt.kind} of {attempt.customer}")
        if not attempt.event:
            continue
        if held[attempt.event] != 1:
            rule = "read-without-event" if attempt.kind == "read" else "ack-lost"
            detail = f"{attempt.event} is {held[attempt.event]} leaves"
            yield Anomaly(rule, f"{attempt.kind} of {attempt.customer}: {detail}")
        elif attempt.acknowledged and attempt.kind in LEAVES:
            short = (
                types[attempt.event].removeprefix("org.keyturn.").removesuffix(".v1")
            )
            if short not in LEAVES[attempt.kind]:
                yield Anomaly("wrong-event", f"{attempt.kind} names a {short}")
        if attempt.again:
            firsts = {a.event for a in found.history if _same_write(a, attempt)}
            if attempt.event not in firsts:
                yield Anomaly("doubled", f"{attempt.value} was done again")
            continue
        if (first := told.setdefault(attempt.event, attempt)) is not attempt:
            detail = f"{attempt.event} answers {first.kind} and {attempt.kind}"
            yield Anomaly("event-shared", detail)


def _same_write(one: Attempt, other: Attempt) -> bool:
    """Whether one is the first time that the other's write was acknowledged."""
    return one.acknowledged and not one.again and one.value == other.value


def _counted(found: Evidence) -> Iterator[Anomaly]:
    """No more leaves of a kind than attempts that may have come to something."""
    for kind, short in COUNTED.items():
        wanted = f"org.keyturn.{short}.v1"
        leaves = sum(leaf.type == wanted for leaf in found.leaves)
        tried = [a for a in found.history if a.kind == kind and not a.again]
        told = {x.event for x in found.leaves if x.type in {wanted, DROPPED}}
        sure = sum(a.acknowledged and a.event in told for a in tried)
        perhaps = sum(not a.acknowledged and not a.refused for a in tried)
        if not sure <= leaves <= sure + perhaps:
            detail = f"{leaves} {short}, {sure} acknowledged, {perhaps} unknown"
            yield Anomaly("event-without-commit", detail)


def _in_order(found: Evidence) -> Iterator[Anomaly]:
    """What a client was told first stands first, in each journal."""
    places = slot_positions(found.leaves)
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for attempt in sorted(found.history, key=lambda a: a.begun):
        place = places.get(attempt.event)
        if place is None or attempt.again:
            continue
        slot, lane, seq = place
        before = last.get((attempt.client, slot), (-1, 0))
        if (lane, seq) <= before:
            detail = f"{attempt.client}: {attempt.event} stands before an earlier one"
            yield Anomaly("reordered", detail)
        last[(attempt.client, slot)] = (lane, seq)


def _etags(found: Evidence) -> Iterator[Anomaly]:
    """A record's etag rises with each change, and each is changed from once."""
    of_record: dict[str, list[Attempt]] = defaultdict(list)
    based: dict[tuple[str, int], str] = {}
    for attempt in of_kinds(found.history, "create", "patch", "append", "read"):
        if attempt.acknowledged and attempt.etag and not attempt.again:
            of_record[attempt.record].append(attempt)
    for attempts in of_record.values():
        for attempt in attempts:
            if attempt.kind == "patch":
                key = (attempt.record, attempt.base)
                if (other := based.setdefault(key, attempt.value)) != attempt.value:
                    detail = f"{other} and {attempt.value} from etag {attempt.base}"
                    yield Anomaly("lost-update", f"{attempt.customer}: {detail}")
        yield from _rising(attempts)


def _rising(attempts: list[Attempt]) -> Iterator[Anomaly]:
    ended = sorted(attempts, key=lambda a: a.ended)
    highest, nth = 0, 0
    for attempt in attempts:  # by begin
        while nth < len(ended) and ended[nth].ended < attempt.begun:
            highest = max(highest, ended[nth].etag)
            nth += 1
        if attempt.etag < highest:
            detail = f"etag {attempt.etag} after {highest}"
            yield Anomaly("etag-backwards", f"{attempt.customer}: {detail}")


def _reads(found: Evidence) -> Iterator[Anomaly]:
    writes: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in of_kinds(found.history, "create", "patch", "append"):
        writes[attempt.customer].append(attempt)
    for read in of_kinds(found.history, "read"):
        if read.acknowledged:
            yield from _read(found, read, writes[read.customer])


def _read(found: Evidence, read: Attempt, writes: list[Attempt]) -> Iterator[Anomaly]:
    """A read shows what was committed, all that was told before, and nothing else."""
    begun = [w for w in writes if w.begun < read.ended and not w.refused]
    towns = {w.value for w in begun if w.kind in {"create", "patch"}}
    if read.town and read.town not in towns:
        yield Anomaly("aborted-read", f"{read.customer}: a town that nobody wrote")
    entries = {w.value for w in begun if w.kind == "append"}
    if set(read.entries) - entries:
        yield Anomaly("aborted-read", f"{read.customer}: an entry that nobody wrote")
    if len(set(read.entries)) != len(read.entries):
        yield Anomaly("doubled", f"{read.customer}: an entry is shown twice")
    _, buyer = found.customers[read.customer]
    if read.party == "seller" and (buyer.records or buyer.classes):
        return  # after the turn the seller is shown what stayed, and no more
    told = {w.value for w in begun if w.acknowledged and w.ended < read.begun}
    if missing := (told & entries) - set(read.entries):
        yield Anomaly("stale-read", f"{read.customer}: {len(missing)} entries missing")
