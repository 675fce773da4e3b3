# SPDX-License-Identifier: Apache-2.0
"""Lanes: the numbered, hash-chained, signed sequences of a source's events.

Owns the tables `lane`, `lane_party`, `outbox` and `log_pin` of a journal, and the
group step that numbers and signs. A process opens a new lane for each journal at
each start; a number is never used twice. Source: audit.md, Delivery.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nacl.signing import SigningKey
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from contracts.events import envelope
from contracts.events.head import Head
from contracts.events.lane import LaneClosed, LaneOpened
from contracts.events.payload import EventDraft
from contracts.log import merkle
from services.chassis.clock import milliseconds, rfc3339
from services.chassis.database import Fenced
from services.chassis.prepared import Prepared


@dataclass(frozen=True)
class LaneTables:
    """The four tables of a journal, in the journal's own database."""

    lane: Table
    lane_party: Table
    outbox: Table
    pin: Table


def define_tables(metadata: MetaData) -> LaneTables:
    """Define the journal's tables in `metadata`.

    `lane.head` is the last signature and stays when the outbox row is trimmed;
    `lane.successor` is the fence: no commit to a lane that has one.
    """
    return LaneTables(
        lane=Table(
            "lane",
            metadata,
            Column("id", String(32), primary_key=True),
            Column("slot", String(64), nullable=False, index=True),
            Column("opened_at", BigInteger, nullable=False),
            Column("seq", BigInteger, nullable=False),
            Column("leaf_hash", LargeBinary(32), nullable=False),
            Column("receipted_seq", BigInteger, nullable=False),
            Column("head", LargeBinary(64), nullable=False),
            Column("successor", String(32), nullable=False),
            Column("closed", Integer, nullable=False),
        ),
        lane_party=Table(
            "lane_party",
            metadata,
            Column("lane", String(32), primary_key=True),
            Column("party", String(64), primary_key=True),
            Column("pseq", BigInteger, nullable=False),
        ),
        outbox=Table(
            "outbox",
            metadata,
            Column("lane", String(32), primary_key=True),
            Column("seq", BigInteger, primary_key=True, autoincrement=False),
            Column("event", LargeBinary, nullable=False),
            Column("leaf_hash", LargeBinary(32), nullable=False),
            Column("head", LargeBinary(64)),
            Column("created_at", BigInteger, nullable=False),
        ),
        pin=Table(
            "log_pin",
            metadata,
            Column("origin", String(128), primary_key=True),
            Column("size", BigInteger, nullable=False),
            Column("edge", LargeBinary, nullable=False),
            Column("checkpoint", LargeBinary, nullable=False),
        ),
    )


@dataclass(frozen=True, slots=True)
class EventRef:
    """Where an event stands: the value of the `Audit-Event` header."""

    lane: str
    seq: int

    def __str__(self) -> str:
        return f"{self.lane}/{self.seq}"


@dataclass(slots=True)
class _Open:
    """An open lane, as this process believes it to be on disk plus `rows`."""

    id: str
    seq: int
    leaf: bytes
    pseqs: dict[str, int]
    rows: list[dict[str, Any]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)

    def copy(self) -> _Open:
        return _Open(self.id, self.seq, self.leaf, dict(self.pseqs))


@dataclass(frozen=True, slots=True)
class _Mark:
    rows: int
    seq: int
    leaf: bytes
    pseqs: dict[str, int]


@dataclass(frozen=True)
class Source:
    """Who writes a lane: the service, its installation and its signing key."""

    installation: str
    service: str
    key: SigningKey = field(repr=False)

    @property
    def urn(self) -> str:
        """The CloudEvents source."""
        return envelope.source_urn(self.installation, self.service)


class LaneWriter:
    """The group step of a journal: numbers, chains and signs its events.

    Owned by the database's writer thread. A crash at any moment leaves whole
    groups: the next process opens a lane that names this one's last position.
    """

    def __init__(
        self,
        tables: LaneTables,
        source: Source,
        slot: str,
        new_id: Callable[[], str],
    ) -> None:
        self.tables = tables
        self.source = source
        self.slot = slot
        self._new_id = new_id
        self._durable: _Open | None = None
        self._lane: _Open | None = None
        self._now = 0
        self._said: tuple[datetime | None, str] = (None, "")
        self._advance, self._insert, self._count = _statements(tables)

    # --- what operations call, through outbox.append ------------------------

    def append(self, draft: EventDraft, now: datetime) -> EventRef:
        """Number and chain one event in this group.

        Raises:
            EventMalformed: The event is too large or not canonical.
        """
        lane = self._open_lane()
        parties = tuple(
            envelope.PartySeq(party, lane.pseqs.get(party, 0) + 1)
            for party in draft.parties
        )
        raw = envelope.encode(
            source=self.source.urn,
            type_=draft.type,
            time=self._time_of(now),
            classification=draft.classification,
            lane=lane.id,
            seq=lane.seq + 1,
            prev=lane.leaf,
            parties=parties,
            data=draft.data,
        )
        lane.seq += 1
        lane.leaf = merkle.leaf_hash(raw)
        for item in parties:
            lane.pseqs[item.party] = item.pseq
            lane.touched.add(item.party)
        lane.rows.append(
            {
                "lane": lane.id,
                "seq": lane.seq,
                "event": raw,
                "leaf_hash": lane.leaf,
                "head": None,
                "created_at": self._now,
            }
        )
        return EventRef(lane.id, lane.seq)

    def _time_of(self, now: datetime) -> str:
        if now is not self._said[0]:
            self._said = (now, rfc3339(now))  # a group's events share their time
        return self._said[1]

    def gathered(self) -> list[tuple[str, int, bytes, bytes]]:
        """The group's events so far: (lane, seq, leaf hash, bytes), in order.

        For audit alone, whose own events are leaves in the transaction that raises
        them.
        """
        return [
            (row["lane"], row["seq"], row["leaf_hash"], row["event"])
            for row in self._open_lane().rows
        ]

    @property
    def lane_id(self) -> str | None:
        """The open lane's id, None before the first commit."""
        return self._durable.id if self._durable is not None else None

    # --- GroupStep ------------------------------------------------------------

    def begin(self, connection: Connection, now: datetime) -> None:
        """Open a lane if none is open; its `lane.opened` is the group's first event."""
        self._now = milliseconds(now)
        if self._lane is None:
            self._lane = self._open(connection, now)

    def mark(self) -> _Mark:
        """Return the lane's position before a request."""
        lane = self._open_lane()
        return _Mark(len(lane.rows), lane.seq, lane.leaf, dict(lane.pseqs))

    def rewind(self, mark: _Mark) -> None:
        """Give back the numbers that a rolled-back request took."""
        lane = self._open_lane()
        del lane.rows[mark.rows :]
        lane.seq, lane.leaf, lane.pseqs = mark.seq, mark.leaf, mark.pseqs

    def finish(self, connection: Connection) -> bool:
        """Write the group's rows under one signature; whether there were any.

        Raises:
            Fenced: The lane has a successor, or ends elsewhere than this process left
                it (its database was restored under it); this process must stop.
        """
        lane = self._open_lane()
        if not lane.rows:
            return False
        began = self._durable.seq if self._durable is not None else 0
        head = Head(self.source.installation, lane.id, lane.seq, lane.leaf)
        signature = head.sign(self.source.key)
        lane.rows[-1]["head"] = signature
        moved = self._advance.execute(
            connection,
            of_lane=lane.id,
            began=began,
            to_seq=lane.seq,
            to_leaf=lane.leaf,
            to_head=signature,
        )
        if moved != 1:
            raise Fenced("this lane has a successor, or was rolled back")
        self._insert.execute_many(connection, lane.rows)
        self._write_pseqs(connection, lane)
        return True

    def committed(self) -> None:
        """What was gathered is durable."""
        lane = self._open_lane()
        lane.rows.clear()
        lane.touched.clear()
        self._durable = lane.copy()

    def rolled_back(self) -> None:
        """Give back all numbers of the group, and the lane if it was just opened."""
        self._lane = self._durable.copy() if self._durable is not None else None

    def unknown(self) -> None:
        """Abandon the lane: its end on disk is unknown, so no number may follow."""
        self._lane = self._durable = None

    def close(self, now: datetime) -> None:
        """Append the orderly last event; the caller commits and stops."""
        self.append(LaneClosed(slot=self.slot).draft(), now)

    # --- private --------------------------------------------------------------

    def _open_lane(self) -> _Open:
        if self._lane is None:
            msg = "no lane is open outside a group"
            raise RuntimeError(msg)
        return self._lane

    def _open(self, connection: Connection, now: datetime) -> _Open:
        """Insert the new lane and fence its predecessor, whose row is locked first.

        The lock waits for a commit that is still under way on a dropped connection,
        so that the position named here is the predecessor's true end.
        """
        table = self.tables.lane
        previous = connection.execute(
            select(table.c.id, table.c.seq, table.c.leaf_hash)
            .where(table.c.slot == self.slot, table.c.successor == "")
            .with_for_update()
        ).first()
        lane = _Open(self._new_id(), 0, b"", {})
        if previous is not None:
            connection.execute(
                update(table)
                .where(table.c.id == previous.id, table.c.successor == "")
                .values(successor=lane.id)
            )
        connection.execute(
            insert(table).values(
                id=lane.id,
                slot=self.slot,
                opened_at=self._now,
                seq=0,
                leaf_hash=b"",
                receipted_seq=0,
                head=b"",
                successor="",
                closed=0,
            )
        )
        self._lane = lane
        opened = LaneOpened(
            slot=self.slot,
            previous=previous.id if previous is not None else "",
            previous_seq=previous.seq if previous is not None else 0,
            previous_leaf=base64.b64encode(previous.leaf_hash).decode()
            if previous is not None
            else "",
        )
        self.append(opened.draft(), now)
        return lane

    def _write_pseqs(self, connection: Connection, lane: _Open) -> None:
        table = self.tables.lane_party
        for party in sorted(lane.touched):
            pseq = lane.pseqs.get(party, 0)
            if pseq == 0:
                continue  # only a rolled-back request had touched it
            moved = self._count.execute(
                connection, of_lane=lane.id, of_party=party, to_pseq=pseq
            )
            if moved == 0:
                connection.execute(
                    insert(table).values(lane=lane.id, party=party, pseq=pseq)
                )


def _statements(tables: LaneTables) -> tuple[Prepared, Prepared, Prepared]:
    """Return what every group runs: advance the lane, insert events, count for one."""
    lane, box, counted = tables.lane, tables.outbox, tables.lane_party
    advance = (
        update(lane)
        .where(
            lane.c.id == bindparam("of_lane"),
            lane.c.successor == "",
            lane.c.seq == bindparam("began"),
        )
        .values(
            seq=bindparam("to_seq"),
            leaf_hash=bindparam("to_leaf"),
            head=bindparam("to_head"),
        )
    )
    count = (
        update(counted)
        .where(
            counted.c.lane == bindparam("of_lane"),
            counted.c.party == bindparam("of_party"),
        )
        .values(pseq=bindparam("to_pseq"))
    )
    return Prepared(advance), Prepared.insert(box), Prepared(count)
