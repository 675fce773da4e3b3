# SPDX-License-Identifier: Apache-2.0
"""Signs how far a source's lanes go for one party (`contracts.events.party_heads`).

Reads what is committed and nothing else. A lane and the numbers on it stay when its
outbox rows are trimmed, so a statement always names every lane there ever was.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.engine import Connection

from contracts.events.party_heads import PartyHeads, PartyLane, SignedPartyHeads
from services.chassis.clock import Clock, rfc3339
from services.chassis.journal import Journal
from services.chassis.lanes import LaneTables


class PartyHeadSigner:
    """Signs statements over all journals of one source."""

    def __init__(self, journals: Sequence[Journal], clock: Clock) -> None:
        # Journals that share their tables are read once.
        self._journals = list({id(one.tables): one for one in journals}.values())
        self._clock = clock

    async def sign(self, party: str, size: int, root: bytes) -> SignedPartyHeads:
        """Return what is committed of a party now, signed with the lanes' key.

        The time is taken before anything is read, and each journal is read in one
        statement: what was committed by `time` is covered, seq and pseq fit.

        Args:
            party: Whose numbers; a party without an event gets an empty list.
            size: Leaves of a checkpoint that the asker saw.
            root: Its root, 32 bytes; the statement is younger than it.

        Raises:
            PartyHeadsMalformed: A party, size or root that no statement may hold.
            DatabaseError: The journals could not be read.
        """
        source, time = self._journals[0].source, rfc3339(self._clock.now())
        lanes: list[PartyLane] = []
        for journal in self._journals:
            lanes += await _read(journal, party)
        # Sorted here: a database's collation need not be the order of the bytes.
        heads = PartyHeads(
            installation=source.installation,
            service=source.service,
            party=party,
            time=time,
            size=size,
            root=root,
            lanes=tuple(sorted(lanes, key=lambda item: item.lane)),
        )
        return SignedPartyHeads(heads, heads.sign(source.key))


async def _read(journal: Journal, party: str) -> list[PartyLane]:
    return await journal.read(lambda c: _lanes(c, journal.tables, party))


def _lanes(connection: Connection, tables: LaneTables, party: str) -> list[PartyLane]:
    lane, counted = tables.lane, tables.lane_party
    rows = connection.execute(
        select(lane.c.id, lane.c.seq, counted.c.pseq)
        .join(counted, counted.c.lane == lane.c.id)
        .where(counted.c.party == party)
    )
    return [PartyLane(*row) for row in rows]
