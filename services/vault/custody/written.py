# SPDX-License-Identifier: Apache-2.0
"""What the log says was written last, against the rows that are held. Pure.

Every write of a record is in the log with a keyed digest of each new version, so a
row that was put back, removed or made by hand is found and named, by alias, class
and volume. Source: vault.md, A4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from contracts.events.collisions import RecordMerged
from contracts.events.envelope import Event
from contracts.events.vault import (
    EntriesAppended,
    RecordCreated,
    RecordErased,
    RecordPatched,
)
from services.vault.custody.folios import keyed_digest

_WRITES: Final = frozenset(
    {
        RecordCreated.TYPE,
        RecordPatched.TYPE,
        EntriesAppended.TYPE,
        RecordMerged.TYPE,
    }
)


class Spot(NamedTuple):
    """A folio as events name it: the record's alias, and `class/volume`."""

    alias: str
    folio: str


@dataclass(frozen=True, slots=True)
class StandingRow:
    """A folio's current version as it lies in the database.

    Attributes:
        alias: The record's for the party; empty if the row of aliases has none.
        version: The version's id.
        digest: As stored; None where there is no such version.
        whole: Whether the payload has that digest.
        arrived: Whether the record came with a handover.
    """

    party: str
    alias: str
    folio: str
    version: str
    digest: bytes | None
    whole: bool
    arrived: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what the log says.

    Attributes:
        rule: `altered`, `put-back`, `unlogged`, `missing` or `erased`.
        event: The event that says otherwise, `<lane>/<seq>`; empty for none.
    """

    rule: str
    party: str
    alias: str
    folio: str
    event: str = ""


@dataclass(slots=True)
class _Spoken:
    """What the log says of one folio."""

    party: str
    time: str
    event: str
    last: set[str]
    ever: set[str]


@dataclass(slots=True)
class Written:
    """Takes the log's events in order, then compares rows with them.

    Two processes that write one folio do so on lanes of their own, and the log does
    not order lanes: the later time counts, and where times are alike either digest.
    """

    _spots: dict[Spot, _Spoken] = field(default_factory=dict)
    _erased: dict[str, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take one event; those that write no record are passed over."""
        if event.type in {RecordErased.TYPE, RecordMerged.TYPE}:  # it ended
            self._erased[str(event.data["record"])] = event.id
        if event.type not in _WRITES:
            return
        party = event.parties[0].party
        for folio, digest in event.data["digests"].items():
            # What was merged is written in the record that goes on.
            alias = str(event.data.get("into", event.data["record"]))
            spot = Spot(alias, folio)
            said = self._spots.setdefault(
                spot, _Spoken(party, "", event.id, set(), set())
            )
            said.ever.add(digest)
            if event.time > said.time:
                said.time, said.event, said.last = event.time, event.id, {digest}
            elif event.time == said.time:
                same_lane = said.event.split("/")[0] == event.lane
                said.last = {digest} if same_lane else {*said.last, digest}
                said.event = event.id

    def differences(self, rows: Iterable[StandingRow]) -> Iterator[Difference]:
        """Yield what differs; `rows` are all folios whose record is not pending."""
        held: set[Spot] = set()
        arrived: list[StandingRow] = []
        known: dict[str, bool] = {}  # version → the log knows it under some alias
        for row in rows:
            held.add(Spot(row.alias, row.folio))
            rule = self._judge(row)
            known[row.version] = known.get(row.version, False) or not rule
            if rule == "unlogged" and row.arrived:
                arrived.append(row)
            elif rule:
                yield self._difference(rule, row)
        for row in arrived:
            # The version that moved was written by the party that it came from.
            if not known[row.version] and not self._wrote(row):
                yield self._difference("unlogged", row)
        for spot, said in self._spots.items():
            if spot not in held and spot.alias not in self._erased:
                yield Difference("missing", said.party, *spot, said.event)

    def _judge(self, row: StandingRow) -> str:
        """Return the rule that a row breaks; empty for none."""
        if row.digest is None or not row.whole:
            return "altered"
        if row.alias in self._erased:
            return "erased"
        said = self._spots.get(Spot(row.alias, row.folio))
        if said is None:
            return "unlogged"
        digest = keyed_digest(row.digest, row.alias)
        if digest in said.last:
            return ""
        return "put-back" if digest in said.ever else "altered"

    def _wrote(self, row: StandingRow) -> bool:
        """Whether anybody ever wrote an arrived version at this class and volume."""
        assert row.digest is not None  # it would be `altered`
        return any(
            keyed_digest(row.digest, spot.alias) in said.ever
            for spot, said in self._spots.items()
            if spot.folio == row.folio and said.party != row.party
        )

    def _difference(self, rule: str, row: StandingRow) -> Difference:
        said = self._spots.get(Spot(row.alias, row.folio))
        event = self._erased.get(row.alias, "" if said is None else said.event)
        return Difference(rule, row.party, row.alias, row.folio, event)


SENTENCES: Final = {
    "altered": "is not what was written",
    "put-back": "is an earlier state than the one written last",
    "unlogged": "was never written, as far as the log knows",
    "missing": "was written and is not here",
    "erased": "was erased and is here again",
}
"""What a rule means, after the name of a folio."""


def told(found: Sequence[Difference]) -> Iterator[str]:
    """Yield one line for each difference, by party and alias."""
    for one in sorted(found, key=lambda d: (d.party, d.alias, d.folio)):
        where = f"{one.party}: record {one.alias or '(without alias)'}: {one.folio}"
        said = f" (event {one.event})" if one.event else ""
        yield f"{where}: {SENTENCES[one.rule]}{said}"
