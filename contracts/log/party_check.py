# SPDX-License-Identifier: Apache-2.0
"""Whether a party's own view of a log is whole: nothing left out, nothing put in.

Owns the rules that hold between a party's events and the sources' party heads.
Never sees tiles or signatures; feed it events and statements that were proven.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.events.envelope import Event, EventMalformed, PartySeq, parse
from contracts.events.party_heads import PartyHeads, PartyLane
from contracts.log.lane_check import LaneFinding
from contracts.log.merkle import leaf_hash


@dataclass(slots=True)
class _Lane:
    """One lane as the party's events so far show it.

    Attributes:
        events: Seq and leaf index of each event, by pseq.
    """

    id: str
    source: str
    pseq: int = 0
    seq: int = 0
    leaf: bytes = b""
    events: dict[int, tuple[int, int]] = field(default_factory=dict)

    def after(self, pseq: int) -> tuple[int, int] | None:
        """Return seq and index of the first event that is numbered above `pseq`."""
        later = [number for number in self.events if number > pseq]
        return self.events[min(later)] if later else None


class PartyChecker:
    """Takes a party's events in order, then the statements; tells what is missing.

    The findings are `LaneFinding`s of these rules: `unreadable`, `foreign-source`,
    `not-named`, `source-changed`, `double`, `party-gap`, `chain`, `lane-missing`,
    `party-short`, `head-differs`, `head-behind`.

    Args:
        installation: The installation that every event must name.
        party: The party that every event must name.
    """

    def __init__(self, installation: str, party: str) -> None:
        self._installation = installation
        self._party = party
        self._lanes: dict[str, _Lane] = {}
        self.findings: list[LaneFinding] = []

    @property
    def lanes(self) -> int:
        """How many lanes the events name."""
        return len(self._lanes)

    def add(self, index: int, entry: bytes) -> Event | None:
        """Take the next event; `index` is its leaf index. None where it is none."""
        try:
            event = parse(entry)
        except EventMalformed:
            self._note("unreadable", index, "the entry is not a Keyturn event")
            return None
        if event.installation != self._installation:
            self._note("foreign-source", index, "the source is not of this log")
        named = next((p for p in event.parties if p.party == self._party), None)
        if named is None:
            self._note("not-named", index, "the event does not concern the party")
            return event
        self._follow(index, event, named)
        return event

    def check_heads(self, heads: PartyHeads) -> None:
        """Check, after the last event, that all a source signed is here.

        What comes after the signed end is younger than the statement, and stands
        because its numbers go on without a gap.
        """
        for item in heads.lanes:
            lane = self._lanes.get(item.lane)
            if lane is None:
                detail = (
                    f"{heads.service} signed {item.pseq} events of the party on lane "
                    f"{item.lane}, and none of them is here"
                )
                self._note("lane-missing", None, detail)
            else:
                self._check_lane(lane, item, heads)
        signed = {item.lane for item in heads.lanes}
        for lane in self._of(heads.service):
            if lane.id not in signed:
                self._check_covered(lane, 0, heads)

    def _of(self, service: str) -> Sequence[_Lane]:
        lanes = self._lanes.values()
        return [lane for lane in lanes if lane.source.rsplit(":", 1)[1] == service]

    def _note(self, rule: str, index: int | None, detail: str) -> None:
        self.findings.append(LaneFinding(rule, index, detail))

    def _follow(self, index: int, event: Event, named: PartySeq) -> None:
        lane = self._lanes.get(event.lane)
        if lane is None:
            lane = self._lanes[event.lane] = _Lane(event.lane, event.source)
        where = f"lane {lane.id}"
        if event.source != lane.source:
            self._note("source-changed", index, f"{where} has two sources")
        if named.pseq <= lane.pseq or event.seq <= lane.seq:
            detail = f"{where} has the party's {named.pseq} at seq {event.seq} too late"
            self._note("double", index, detail)
            return
        if named.pseq != lane.pseq + 1:
            detail = f"{where} jumps from the party's {lane.pseq} to {named.pseq}"
            self._note("party-gap", index, detail)
        elif event.seq == lane.seq + 1 and event.prev != lane.leaf:
            detail = f"{where} seq {event.seq} does not chain to the event before"
            self._note("chain", index, detail)
        lane.pseq, lane.seq, lane.leaf = named.pseq, event.seq, leaf_hash(event.raw)
        lane.events[named.pseq] = (event.seq, index)

    def _check_lane(self, lane: _Lane, item: PartyLane, heads: PartyHeads) -> None:
        where = f"{heads.service}'s head of lane {item.lane}"
        if lane.source.rsplit(":", 1)[1] != heads.service:
            self._note("head-differs", None, f"{where} is of another source's lane")
            return
        if lane.pseq < item.pseq:
            detail = f"{where} goes to {item.pseq}, the events only to {lane.pseq}"
            self._note("party-short", None, detail)
        end, later = lane.events.get(item.pseq), lane.after(item.pseq)
        if (end is not None and end[0] > item.seq) or (
            later is not None and later[0] <= item.seq
        ):
            self._note("head-differs", None, f"{where} names another seq than its end")
        self._check_covered(lane, item.pseq, heads)

    def _check_covered(self, lane: _Lane, pseq: int, heads: PartyHeads) -> None:
        """Check that the statement reaches what was a leaf before it was made."""
        later = lane.after(pseq)
        if later is not None and later[1] < heads.size:
            detail = (
                f"{heads.service} signed for lane {lane.id} less than the log held by "
                "then: it was restored from an older copy, or leaves something out"
            )
            self._note("head-behind", later[1], detail)
