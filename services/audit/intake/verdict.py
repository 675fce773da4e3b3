# SPDX-License-Identifier: Apache-2.0
"""Decides which events may be integrated: pure, values in, values out.

Events are parked by leaf hash, so that a bogus one that arrives first cannot take a
place. A verified head names a leaf; from it the chain of `prev` is walked back to the
lane's position. What lies on that way is under the head, byte for byte; nothing else
ever is. Source: audit.md, Delivery 2 and 4.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contracts.events import envelope
from contracts.events.envelope import EventMalformed
from contracts.events.head import Head
from services.audit.log.arrivals import Group, Parked, Position

MAX_PARKED_BYTES: Final = 64 * 1024 * 1024
_CORE: Final = ("lane", "seq", "prev")


def read(raw: bytes) -> Parked | None:
    """Read an event's bytes; None where not even its place on a lane can be read."""
    try:
        event = envelope.parse(raw)
    except EventMalformed:
        return _read_core(raw)
    return Parked(
        raw=raw,
        leaf=envelope.leaf_hash(raw),
        lane=event.lane,
        seq=event.seq,
        prev=event.prev,
        readable=True,
        type=event.type,
        data=event.data,
    )


def _read_core(raw: bytes) -> Parked | None:
    """Read only the place: a later version's event must not stop its lane."""
    try:
        document = json.loads(raw)
        lane, seq, prev = (document[name] for name in _CORE)
        leaf = base64.b64decode(prev, validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return None
    if not isinstance(lane, str) or type(seq) is not int or len(lane) > 64:
        return None
    return Parked(
        raw, envelope.leaf_hash(raw), lane, seq, leaf, readable=False, type="", data={}
    )


@dataclass(slots=True)
class _Lane:
    service: str
    position: Position
    heads: dict[int, bytes] = field(default_factory=dict)


Verify = Callable[[str, Head, bytes], bool]


class Verdict:
    """The parked events and verified heads of all lanes.

    Args of the constructor: the installation's id, and `verify(service, head,
    signature)`, which knows each service's key.
    """

    def __init__(self, installation: str, verify: Verify) -> None:
        self._installation = installation
        self._verify = verify
        self._lanes: dict[str, _Lane] = {}
        self._parked: OrderedDict[bytes, Parked] = OrderedDict()
        self._bytes = 0
        self.dropped = 0

    def place(self, lane: str, service: str, position: Position) -> None:
        """State how far a lane is integrated, from the database or after a commit."""
        known = self._lanes.get(lane)
        if known is None:
            self._lanes[lane] = _Lane(service, position)
            return
        known.position = position
        for seq in [seq for seq in known.heads if seq <= position.seq]:
            del known.heads[seq]

    def position(self, lane: str) -> Position:
        """How far a lane is integrated."""
        known = self._lanes.get(lane)
        return known.position if known is not None else Position()

    @property
    def parked(self) -> int:
        """How many events wait."""
        return len(self._parked)

    def offer(self, service: str, raw: bytes) -> Parked | None:
        """Park one event that arrived as `service`'s; None if it is dropped.

        Already integrated events and events beyond the bound are dropped: the first
        are known, the second come again from the outbox.
        """
        event = read(raw)
        if event is None or not self._belongs(service, event):
            self.dropped += 1
            return None
        if event.seq <= self.position(event.lane).seq:
            return None
        if event.leaf not in self._parked:
            self._parked[event.leaf] = event
            self._bytes += len(raw)
        while self._bytes > MAX_PARKED_BYTES:
            _leaf, oldest = self._parked.popitem(last=False)
            self._bytes -= len(oldest.raw)
            self.dropped += 1
        return event

    def head(self, service: str, head: Head, signature: bytes) -> bool:
        """Take a lane's head if its signature is the service's; whether it was.

        A lane belongs to the service whose verified head named it first.
        """
        known = self._lanes.get(head.lane)
        if known is not None and known.service != service:
            return False
        if not self._verify(service, head, signature):
            return False
        if known is None:
            known = self._lanes[head.lane] = _Lane(service, Position())
        if head.seq > known.position.seq:
            known.heads[head.seq] = head.leaf
        return True

    def ready(self) -> list[Group]:
        """Take out every chain that leads from a verified head to its position."""
        groups = []
        for lane, known in self._lanes.items():
            chain = self._chain(known)
            if not chain:
                continue
            for event in chain:
                del self._parked[event.leaf]
                self._bytes -= len(event.raw)
            groups.append(Group(lane, known.service, tuple(chain)))
            last = chain[-1]
            self.place(lane, known.service, Position(last.seq, last.leaf))
        return groups

    def missing(self) -> dict[str, tuple[str, int, int]]:
        """Lanes with a verified head that is not reached: lane → service, from, to."""
        return {
            lane: (known.service, known.position.seq + 1, max(known.heads))
            for lane, known in self._lanes.items()
            if known.heads
        }

    def _belongs(self, service: str, event: Parked) -> bool:
        """Whether an event may be this service's, as far as it says so itself."""
        if not event.readable:
            return True
        source = envelope.source_urn(self._installation, service)
        return envelope.parse(event.raw).source == source

    def _chain(self, known: _Lane) -> list[Parked]:
        """The longest chain from a head back to the position; empty if none."""
        for seq in sorted(known.heads, reverse=True):
            chain: list[Parked] = []
            wanted = known.heads[seq]
            while len(chain) < seq - known.position.seq:
                event = self._parked.get(wanted)
                if event is None or event.seq != seq - len(chain):
                    break
                chain.append(event)
                wanted = event.prev
            else:
                if wanted == known.position.leaf:
                    return chain[::-1]
        return []
