# SPDX-License-Identifier: Apache-2.0
"""Rules of the log by itself: it only grew, and each lane is 1..n, chained and signed."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Sequence

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from tests.crash.checking.evidence import Anomaly, Evidence
from tests.crash.checking.published import Leaf, root_of

OPENED = "org.keyturn.lane.opened.v1"


def log_anomalies(found: Evidence) -> Iterator[Anomaly]:
    """Yield what is wrong with the log, whatever clients saw."""
    yield from _checkpoints(found)
    yield from _lanes(found.leaves)
    yield from _slots(found.leaves)
    yield from _ends(found)


def _checkpoints(found: Evidence) -> Iterator[Anomaly]:
    """The last checkpoint covers the entries; each seen one was a prefix of them."""
    hashes = [leaf.hash for leaf in found.leaves]
    largest = 0
    for seen in [*found.seen, found.checkpoint]:
        if seen.size < largest:
            yield Anomaly("shrunk", f"{seen.size} leaves after {largest}")
        largest = max(largest, seen.size)
        if seen.size > len(hashes):
            yield Anomaly("shrunk", f"{len(hashes)} leaves after {seen.size}")
        elif root_of(hashes[: seen.size]) != seen.root:
            yield Anomaly("fork", f"another tree of {seen.size} leaves was signed")
    if found.checkpoint.size != len(hashes):
        yield Anomaly("shrunk", "the last checkpoint does not cover the entries")


def _lanes(leaves: Sequence[Leaf]) -> Iterator[Anomaly]:
    last: dict[str, Leaf] = {}
    places: set[str] = set()
    for leaf in leaves:
        before = last.get(leaf.lane)
        due = 1 if before is None else before.seq + 1
        if leaf.event in places:
            yield Anomaly("leaf-twice", leaf.event)
            continue
        places.add(leaf.event)
        if leaf.seq != due:
            yield Anomaly("lane-gap", f"{leaf.event} where {due} was due")
        elif leaf.prev != (b"" if before is None else before.hash):
            yield Anomaly("lane-chain", f"{leaf.event} follows another event")
        last[leaf.lane] = leaf


def _slots(leaves: Sequence[Leaf]) -> Iterator[Anomaly]:
    """Each lane of a slot follows the one before it, from its very end."""
    ends: dict[str, Leaf] = {}
    followed: dict[str, str] = {}
    for leaf in leaves:
        ends[leaf.lane] = leaf
    for leaf in leaves:
        if leaf.type != OPENED or not leaf.data["previous"]:
            continue
        previous = leaf.data["previous"]
        if previous in followed:
            yield Anomaly("lane-fork", f"{leaf.lane} and {followed[previous]}")
        followed[previous] = leaf.lane
        end = ends.get(previous)
        claimed = base64.b64decode(leaf.data["previous_leaf"])
        if end is None or (end.seq, end.hash) != (leaf.data["previous_seq"], claimed):
            yield Anomaly("lane-restored", f"{leaf.lane} follows an older end")


def _ends(found: Evidence) -> Iterator[Anomaly]:
    """The log holds each lane up to the end that its source signed, and no further."""
    held: dict[str, Leaf] = {leaf.lane: leaf for leaf in found.leaves}
    by_service: dict[str, set[str]] = defaultdict(set)
    for end in found.ends:
        by_service[end.service].add(end.lane)
        text = base64.b64encode(end.leaf).decode()
        message = (
            f"keyturn-head/1\n{found.installation}\n{end.lane}\n{end.seq}\n{text}\n"
        )
        try:
            VerifyKey(found.keys[end.service]).verify(message.encode(), end.signature)
        except BadSignatureError:
            yield Anomaly("head-forged", f"{end.lane}/{end.seq}")
        leaf = held.get(end.lane)
        if leaf is None or leaf.seq < end.seq:
            yield Anomaly("event-lost", f"{end.lane} ends before {end.seq}")
        elif (leaf.seq, leaf.hash) != (end.seq, end.leaf):
            yield Anomaly("event-without-commit", f"{leaf.event} after {end.seq}")
    for leaf in held.values():
        if leaf.lane not in by_service[leaf.source.rpartition(":")[2]]:
            yield Anomaly("event-without-commit", f"no source signs lane {leaf.lane}")


def slot_positions(leaves: Sequence[Leaf]) -> dict[str, tuple[str, int, int]]:
    """Return of each event its slot, and its place in the slot's order.

    A slot's lanes follow each other; the place is (which lane, seq).
    """
    slots: dict[str, str] = {}
    depth: dict[str, int] = {}
    opened = {leaf.lane: leaf.data for leaf in leaves if leaf.type == OPENED}
    for lane, data in opened.items():
        slots[lane] = data["slot"]
        steps, at = 0, lane
        while (at := opened[at]["previous"]) in opened and steps <= len(opened):
            steps += 1
        depth[lane] = steps
    return {
        leaf.event: (slots[leaf.lane], depth[leaf.lane], leaf.seq)
        for leaf in leaves
        if leaf.lane in slots
    }
