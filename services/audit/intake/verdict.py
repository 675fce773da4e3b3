# SPDX-License-Identifier: Apache-2.0
"""Decides which events may be integrated: pure, values in, values out.

Events are parked by leaf hash, so that a bogus one that arrives first cannot take a
place. A verified head names a leaf; from it the chain of `prev` is walked back to the
lane's position. What lies on that way is under the head, byte for byte; nothing else
ever is. Source: audit.md, Delivery 2 and 4.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from contracts.events import envelope
from contracts.events.head import Head
from services.audit.log.arrivals import Fork, Group, Parked, Position, read

MAX_PARKED_BYTES: Final = 64 * 1024 * 1024
MAX_HEADS: Final = 10_000  # of one lane; more come only while a gap holds it


@dataclass(frozen=True, slots=True)
class _Signed:
    leaf: bytes
    signature: bytes


@dataclass(slots=True)
class _Lane:
    service: str
    position: Position
    heads: dict[int, _Signed] = field(default_factory=dict)


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
        self._forks: list[Fork] = []
        self.parked_bytes = 0
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

    def offer(
        self, service: str, raw: bytes, named: bytes | None = None
    ) -> Parked | None:
        """Park one event that arrived as `service`'s; None if it is refused.

        An integrated event is not parked again. Beyond the bound the oldest are
        dropped: they come again from the outbox.

        Args:
            service: Whose topic or outbox it came from.
            raw: The event's bytes.
            named: The id that its headers gave it, if any.
        """
        event = read(raw)
        if event is None or not self._belongs(service, event, named):
            self.dropped += 1
            return None
        if event.seq > self.position(event.lane).seq and event.leaf not in self._parked:
            self._parked[event.leaf] = event
            self.parked_bytes += len(raw)
        while self.parked_bytes > MAX_PARKED_BYTES:
            _leaf, oldest = self._parked.popitem(last=False)
            self.parked_bytes -= len(oldest.raw)
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
            first = known.heads.setdefault(head.seq, _Signed(head.leaf, signature))
            if first.leaf != head.leaf:
                evidence = head.message() + signature
                self._forks.append(Fork(head.lane, head.seq, evidence))
            if len(known.heads) > MAX_HEADS:
                del known.heads[min(known.heads)]  # the gap's filling brings it again
        return True

    def forks(self) -> list[Fork]:
        """Take out what contradicted a verified head."""
        found, self._forks = self._forks, []
        return found

    def ready(self) -> list[Group]:
        """Take out every chain that leads from a verified head to its position."""
        groups = []
        for lane, known in self._lanes.items():
            found = self._chain(lane, known)
            if found is None:
                continue
            chain, signature = found
            for event in chain:
                del self._parked[event.leaf]
                self.parked_bytes -= len(event.raw)
            groups.append(Group(lane, known.service, tuple(chain), signature))
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

    def _belongs(self, service: str, event: Parked, named: bytes | None) -> bool:
        """Whether an event may be this service's, as far as it says so itself."""
        if named is not None and named != f"{event.lane}/{event.seq}".encode():
            return False
        source = envelope.source_urn(self._installation, service)
        return not event.readable or event.source == source

    def _chain(self, lane: str, known: _Lane) -> tuple[list[Parked], bytes] | None:
        """The longest chain from a head back to the position, and its signature."""
        absent = None
        for seq in sorted(known.heads, reverse=True):
            if absent is not None and seq >= absent:
                continue  # its way back leads over the same absent event
            head = known.heads[seq]
            chain, wanted = self._walk(lane, head.leaf, seq, known.position.seq)
            if len(chain) < seq - known.position.seq:
                absent = seq - len(chain)
            elif wanted == known.position.leaf:
                return chain[::-1], head.signature
            else:
                # Signed, whole, and about another past than the log holds.
                message = Head(self._installation, lane, seq, head.leaf).message()
                self._forks.append(Fork(lane, seq, message + head.signature))
                del known.heads[seq]
        return None

    def _walk(
        self, lane: str, wanted: bytes, seq: int, end: int
    ) -> tuple[list[Parked], bytes]:
        """Walk `prev` from `seq` to `end`; return what is there, what is wanted."""
        chain: list[Parked] = []
        while seq > end:
            event = self._parked.get(wanted)
            if event is None or event.seq != seq or event.lane != lane:
                break
            chain.append(event)
            wanted = event.prev
            seq -= 1
        return chain, wanted
