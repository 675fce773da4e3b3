# SPDX-License-Identifier: Apache-2.0
"""A small run in which all holds, made by hand: what planted faults are planted into."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nacl.signing import SigningKey

from tests.crash.checking.evidence import (
    Evidence,
    Handover,
    Holding,
    SignedEnd,
    Step,
)
from tests.crash.checking.history import ACKNOWLEDGED, UNKNOWN, Attempt
from tests.crash.checking.published import Checkpoint, Leaf, parse_leaf, root_of

INSTALLATION = "0123456789abcdef"
KEYS = {
    "vault": SigningKey(b"v" * 32),
    "transfer": SigningKey(b"t" * 32),
}
CHANGES, LATER, READS, STEPS = (letter * 32 for letter in "abcd")
HANDOVER = "h-1"
STORY = (
    ("SO", "submit", "draft", "necessity"),
    ("SC", "confirm", "necessity", "scoping"),
    ("SR", "propose", "scoping", "scoping"),
    ("SO", "agree", "scoping", "scoping"),
    ("BO", "agree", "scoping", "planning"),
    ("SR", "ready", "planning", "review"),
    ("PR", "pass", "review", "approval"),
    ("SO", "approve", "approval", "approval"),
    ("SC", "approve", "approval", "approval"),
    ("BO", "approve", "approval", "approval"),
    ("BC", "approve", "approval", "freeze"),
    ("SC", "freeze", "freeze", "freeze"),
    ("SYS", "frozen", "freeze", "backup"),
    ("SR", "back_up", "backup", "backup"),
    ("SYS", "backed_up", "backup", "await_release"),
    ("SC", "release", "await_release", "await_release"),
    ("BC", "release", "await_release", "await_release"),
    ("SYS", "mandated", "await_release", "executing"),
    ("SYS", "executed", "executing", "verify"),
    ("SYS", "verified", "verify", "verify"),
    ("BC", "receive", "verify", "reconciled"),
    ("SYS", "turned", "reconciled", "post_audit"),
    ("PR", "pass", "post_audit", "seller_restricted"),
)
COUNTS = {"basic": {"transfer": {"eligible": 1}, "excluded": {"consent": 1}}}


class Lane:
    """Writes the events of one lane, chained."""

    def __init__(self, name: str, service: str, slot: str) -> None:
        self.name, self.service, self.slot = name, service, slot
        self.leaves: list[Leaf] = []

    def write(self, kind: str, **data: Any) -> Leaf:
        """Write an event."""
        prev = self.leaves[-1].hash if self.leaves else b""
        leaf = leaf_of(self.name, len(self.leaves) + 1, prev, self.service, kind, data)
        self.leaves.append(leaf)
        return leaf

    def open(self, after: Lane | None = None) -> Leaf:
        """Write the first event, which names the lane before."""
        last = after.leaves[-1] if after else None
        return self.write(
            "lane.opened",
            slot=self.slot,
            previous=after.name if after else "",
            previous_seq=last.seq if last else 0,
            previous_leaf=base64.b64encode(last.hash).decode() if last else "",
        )

    def end(self) -> SignedEnd:
        """Sign the lane as far as it is written."""
        return signed_end(self.service, self.leaves[-1])


def leaf_of(
    lane: str, seq: int, prev: bytes, service: str, kind: str, data: dict[str, Any]
) -> Leaf:
    """Return an entry of the log."""
    document = {
        "lane": lane,
        "seq": seq,
        "prev": base64.b64encode(prev).decode(),
        "type": f"org.keyturn.{kind}.v1",
        "source": f"urn:keyturn:{INSTALLATION}:{service}",
        "data": data,
    }
    return parse_leaf(json.dumps(document, sort_keys=True).encode())


def signed_end(service: str, leaf: Leaf) -> SignedEnd:
    """Return a source's head."""
    text = base64.b64encode(leaf.hash).decode()
    message = f"keyturn-head/1\n{INSTALLATION}\n{leaf.lane}\n{leaf.seq}\n{text}\n"
    signature = KEYS[service].sign(message.encode()).signature
    return SignedEnd(service, leaf.lane, leaf.seq, leaf.hash, signature)


def checkpoint_of(leaves: Iterable[Leaf]) -> Checkpoint:
    """Return the checkpoint of some leaves."""
    hashes = [leaf.hash for leaf in leaves]
    return Checkpoint(len(hashes), root_of(hashes))


def good_run() -> Evidence:
    """Two customers of the seller, one of whom is handed over; one client, one deal."""
    changes, later = (Lane(n, "vault", "vault-1/changes") for n in (CHANGES, LATER))
    reads = Lane(READS, "vault", "vault-1/reads")
    steps = Lane(STEPS, "transfer", "transfer-1/changes")
    for lane in (changes, reads, steps):
        lane.open()
    history, say = [], _Clerk()
    for customer in ("C-1", "C-2"):
        event = changes.write("record.created").event
        record = f"r-{customer}"
        facts = {"record": record, "etag": 1, "event": event, "new": True}
        history.append(say("create", customer, value=f"town-{customer}", **facts))
    written = {"record": "r-C-1", "event": changes.write("record.patched").event}
    history.append(say("patch", "C-1", value="town-new", base=1, etag=2, **written))
    written = {"record": "r-C-1", "event": changes.write("entries.appended").event}
    history.append(say("append", "C-1", value="e-1", etag=3, **written))
    history.append(say("append", "C-1", value="e-1", etag=3, again=True, **written))
    shown = {"record": "r-C-1", "event": reads.write("record.read").event, "etag": 3}
    history.append(say("read", "C-1", town="town-new", entries=("e-1",), **shown))
    history.append(say("append", "C-2", value="e-2", outcome=UNKNOWN))
    later.open(changes)
    event = later.write("objection.recorded").event
    history.append(say("objection", "C-2", event=event, record="r-C-2"))
    for kind in ("decision.made", "mandate.accepted", "custody.turned"):
        later.write(kind, handover=HANDOVER)
    for role, moved, _, _ in STORY:
        steps.write("handover.advanced", handover=HANDOVER)
        if role != "SYS":
            history.append(replace(say("step", HANDOVER, value=moved), client=role))
    leaves = [leaf for x in (changes, reads, later, steps) for leaf in x.leaves]
    return Evidence(
        history=history,
        leaves=leaves,
        checkpoint=checkpoint_of(leaves),
        seen=[checkpoint_of(leaves[:n]) for n in (1, 4, 9)],
        ends=[lane.end() for lane in (changes, later, reads, steps)],
        keys={name: bytes(key.verify_key) for name, key in KEYS.items()},
        installation=INSTALLATION,
        customers={
            "C-1": (
                Holding(),
                Holding(1, frozenset({"basic", "purchases"}), "town-new", 3, ("e-1",)),
            ),
            "C-2": (Holding(1, frozenset({"basic"}), "town-C-2", 1), Holding()),
        },
        handovers=[
            Handover(
                HANDOVER,
                "seller_restricted",
                "turned",
                [Step(n, *one) for n, one in enumerate(STORY, 1)],
                COUNTS,
                COUNTS,
            )
        ],
    )


class _Clerk:
    """Makes one attempt after the other."""

    def __init__(self) -> None:
        self._at = 0.0

    def __call__(self, kind: str, customer: str, **facts: Any) -> Attempt:
        self._at += 1.0
        return Attempt(
            client="seller-0",
            party="seller",
            kind=kind,
            begun=self._at,
            ended=self._at + 0.5,
            outcome=facts.pop("outcome", ACKNOWLEDGED),
            customer=customer,
            **facts,
        )
