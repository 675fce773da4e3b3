# SPDX-License-Identifier: Apache-2.0
"""Whether the entries of a log add up: per lane, per party, and from lane to lane.

Owns the rules of audit.md (Delivery 1, Event) that a stranger can check with the
entries alone. Never sees tiles or signatures; feed it entries that were proven.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nacl.signing import VerifyKey
from pydantic import ValidationError

from contracts.events.envelope import Event, EventMalformed, parse
from contracts.events.head import Head
from contracts.events.lane import LaneClosed, LaneOpened, LaneRetired
from contracts.log.merkle import leaf_hash

UNREADABLE: Final = "(unreadable)"


@dataclass(frozen=True, slots=True)
class LaneFinding:
    """A rule that an entry breaks.

    Attributes:
        rule: Short code: `unreadable`, `foreign-source`, `first-event`, `gap`,
            `double`, `chain`, `source-changed`, `after-close`, `party-gap`,
            `opened-late`, `predecessor-missing`, `predecessor-short`,
            `predecessor-leaf`, `restored`, `forked`,
            `head-signature`, `head-leaf`, `head-missing`, `unheaded`.
        index: Leaf index of the entry that shows it; None for a head of a lane that
            the log does not hold.
        detail: One sentence. Holds lane ids and numbers, nothing of the payload.
    """

    rule: str
    index: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A source's signed claim that its lane holds `leaf` at `seq`.

    Attributes:
        lane: 32 lower hex digits.
        seq: From 1.
        leaf: Leaf hash, 32 bytes.
        signature: Ed25519 by the source's key, 64 bytes; `contracts.events.head`.
    """

    lane: str
    seq: int
    leaf: bytes
    signature: bytes


@dataclass(slots=True)
class _Lane:
    """One lane as the entries so far show it."""

    id: str
    source: str
    first_index: int
    last_index: int = 0
    seq: int = 0
    leaves: dict[int, bytes] = field(default_factory=dict)
    pseqs: dict[str, int] = field(default_factory=dict)
    opened: LaneOpened | None = None
    closed: bool = False


class LaneChecker:
    """Takes all entries of a log in order, then tells what does not add up.

    Args:
        installation: The installation that every event must name.
        services: The services whose events belong into the log.
    """

    def __init__(self, installation: str, services: frozenset[str]) -> None:
        self._installation = installation
        self._services = services
        self._lanes: dict[str, _Lane] = {}
        self._types: Counter[str] = Counter()
        self._unreadable: set[bytes] = set()
        self._retired: list[tuple[int, LaneRetired]] = []
        self._findings: list[LaneFinding] = []

    @property
    def types(self) -> Mapping[str, int]:
        """How many entries there are of each event type."""
        return self._types

    @property
    def lanes(self) -> int:
        """How many lanes the entries name."""
        return len(self._lanes)

    def add(self, index: int, entry: bytes) -> Event | None:
        """Take the next entry; `index` is its leaf index.

        Returns:
            The event, or None where the entry is none.
        """
        try:
            event = parse(entry)
        except EventMalformed:
            self._types[UNREADABLE] += 1
            self._unreadable.add(leaf_hash(entry))
            self._note("unreadable", index, "the entry is not a Keyturn event")
            return None
        self._types[event.type] += 1
        if (
            event.installation != self._installation
            or event.service not in self._services
        ):
            self._note("foreign-source", index, "the source is not of this log")
        lane = self._lanes.get(event.lane)
        if lane is None:
            lane = self._lanes[event.lane] = _Lane(event.lane, event.source, index)
        self._follow(lane, index, event)
        return event

    def finish(self) -> list[LaneFinding]:
        """Return all findings, those between lanes included, by leaf index."""
        for lane in self._lanes.values():
            self._check_predecessor(lane)
        self._check_siblings()
        for index, retired in self._retired:
            self._check_retired(index, retired)
        return sorted(self._findings, key=lambda found: (found.index or 0, found.rule))

    def check_heads(
        self, heads: Iterable[SignedHead], keys: Mapping[str, bytes]
    ) -> None:
        """Check, after the last entry, that each lane's end was signed by its source.

        So whoever holds the log's key can still not make an entry in a source's name.

        Args:
            heads: Heads as the sources signed them, any number for a lane.
            keys: Raw Ed25519 public key, 32 bytes, of each service.
        """
        covered: dict[str, int] = {}
        for head in heads:
            lane = self._lanes.get(head.lane)
            if lane is None:
                detail = f"lane {head.lane} has a head, but no entry"
                self._note("head-missing", None, detail)
            elif self._head_holds(lane, head, keys):
                covered[lane.id] = max(head.seq, covered.get(lane.id, 0))
        for lane in self._lanes.values():
            if covered.get(lane.id, 0) < lane.seq:
                detail = f"lane {lane.id} ends at {lane.seq} without its source's head"
                self._note("unheaded", lane.last_index, detail)

    def _head_holds(
        self, lane: _Lane, head: SignedHead, keys: Mapping[str, bytes]
    ) -> bool:
        where = f"the head of lane {lane.id} at seq {head.seq}"
        key = keys.get(lane.source.rsplit(":", 1)[1])
        claim = Head(self._installation, head.lane, head.seq, head.leaf)
        if key is None or not claim.verifies(head.signature, VerifyKey(key)):
            detail = f"{where} is not signed by the lane's source"
            self._note("head-signature", lane.last_index, detail)
        elif head.seq > lane.seq:
            detail = f"{where} is signed, the log ends at {lane.seq}"
            self._note("head-missing", lane.last_index, detail)
        elif lane.leaves.get(head.seq) != head.leaf:
            self._note("head-leaf", lane.last_index, f"{where} names another leaf")
        else:
            return True
        return False

    def _note(self, rule: str, index: int | None, detail: str) -> None:
        self._findings.append(LaneFinding(rule, index, detail))

    def _follow(self, lane: _Lane, index: int, event: Event) -> None:
        where = f"lane {lane.id}"
        if event.seq <= lane.seq:
            self._note("double", index, f"{where} has seq {event.seq} a second time")
            return
        if event.source != lane.source:
            self._note("source-changed", index, f"{where} has two sources")
        if lane.closed:
            self._note("after-close", index, f"{where} goes on after it was closed")
        # An unreadable event still stands in the chain by its leaf hash.
        if event.prev not in self._unreadable:
            self._check_step(lane, index, event)
        self._check_parties(lane, index, event)
        lane.seq = event.seq
        lane.leaves[event.seq] = leaf_hash(event.raw)
        lane.last_index = index
        self._read_lane_event(lane, index, event)

    def _check_step(self, lane: _Lane, index: int, event: Event) -> None:
        where = f"lane {lane.id}"
        if event.seq != lane.seq + 1:
            detail = f"{where} jumps from seq {lane.seq} to {event.seq}"
            self._note("gap", index, detail)
        elif event.prev != lane.leaves.get(lane.seq, b""):
            detail = f"{where} seq {event.seq} does not chain to the event before"
            self._note("chain", index, detail)

    def _check_parties(self, lane: _Lane, index: int, event: Event) -> None:
        for item in event.parties:
            last = lane.pseqs.get(item.party, 0)
            if item.pseq != last + 1:
                detail = (
                    f"lane {lane.id} party {item.party} jumps from pseq {last} "
                    f"to {item.pseq}"
                )
                self._note("party-gap", index, detail)
            lane.pseqs[item.party] = max(last, item.pseq)

    def _read_lane_event(self, lane: _Lane, index: int, event: Event) -> None:
        is_opened = event.type == LaneOpened.TYPE
        if is_opened != (event.seq == 1):
            rule = "opened-late" if is_opened else "first-event"
            if is_opened or event.seq == 1:
                self._note(rule, index, f"lane {lane.id} does not begin by lane.opened")
        payload = {name: v for name, v in event.data.items() if name != "parties"}
        try:
            if is_opened:
                lane.opened = LaneOpened.model_validate(payload)
            elif event.type == LaneClosed.TYPE:
                LaneClosed.model_validate(payload)
                lane.closed = True
            elif event.type == LaneRetired.TYPE:
                self._retired.append((index, LaneRetired.model_validate(payload)))
        except ValidationError:
            self._note("unreadable", index, "the lane event has another payload")

    def _check_predecessor(self, lane: _Lane) -> None:
        opened, index = lane.opened, lane.first_index
        if opened is None or not opened.previous:
            return
        before = self._lanes.get(opened.previous)
        if before is None:
            detail = f"lane {lane.id} follows lane {opened.previous}, which is not here"
            self._note("predecessor-missing", index, detail)
            return
        self._check_position(lane, before, opened)

    def _check_position(self, lane: _Lane, before: _Lane, opened: LaneOpened) -> None:
        index, at = lane.first_index, opened.previous_seq
        where = f"lane {lane.id} follows lane {before.id} at seq {at}"
        if before.opened is not None and before.opened.slot != opened.slot:
            self._note("predecessor-leaf", index, f"{where}, of another slot")
        elif before.source != lane.source:
            self._note("predecessor-leaf", index, f"{where}, of another source")
        if before.seq < at:
            detail = f"{where}, but the log holds it up to {before.seq} only"
            self._note("predecessor-short", index, detail)
        elif base64.b64encode(before.leaves.get(at, b"")).decode() != (
            opened.previous_leaf
        ):
            self._note("predecessor-leaf", index, f"{where}, but with another leaf")
        if before.seq > at:
            detail = (
                f"{where}, but the log holds it up to {before.seq}: "
                "the source was restored from an older copy"
            )
            self._note("restored", index, detail)

    def _check_siblings(self) -> None:
        """Find two lanes that follow the same one, or two first lanes of a slot."""
        seen: dict[tuple[str, str, str], str] = {}
        for lane in self._lanes.values():
            if lane.opened is None:
                continue
            place = (lane.source, lane.opened.slot, lane.opened.previous)
            other = seen.setdefault(place, lane.id)
            if other == lane.id:
                continue
            if lane.opened.previous:
                rule = "forked"
                detail = f"lanes {other} and {lane.id} follow the same lane"
            else:
                rule = "restored"
                detail = f"lanes {other} and {lane.id} both begin the same slot"
            self._note(rule, lane.first_index, detail)

    def _check_retired(self, index: int, retired: LaneRetired) -> None:
        lane = self._lanes.get(retired.retired)
        if lane is None or lane.seq < retired.retired_seq:
            detail = f"lane {retired.retired} was retired, its end is not here"
            self._note("predecessor-short", index, detail)
            return
        leaf = lane.leaves.get(retired.retired_seq, b"")
        if base64.b64encode(leaf).decode() != retired.retired_leaf:
            detail = f"lane {retired.retired} was retired with another leaf"
            self._note("predecessor-leaf", index, detail)
        if lane.seq > retired.retired_seq:
            detail = f"lane {retired.retired} goes on after it was retired"
            self._note("after-close", lane.last_index, detail)
