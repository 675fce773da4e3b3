# SPDX-License-Identifier: Apache-2.0
"""The follower: finds a source's own leaves in the published log.

Owns the pinned checkpoint of a journal's database, the receipts and the trimming of
its outbox. It checks the signature, extends its own compact range over the hash
tiles and compares the root: each source is thereby a full witness, and a forked or
rolled-back log stops the trimming and raises an alarm. Source: audit.md, Receipts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.errors import LogError
from contracts.log.merkle import CompactRange
from contracts.log.note import NoteVerifier
from services.chassis import outbox
from services.chassis.clock import Clock, milliseconds
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.database import DatabaseError, Tx
from services.chassis.journal import Journal
from services.chassis.outbox import Outstanding, Places

POLL_SECONDS: Final = 0.25  # while events of ours wait for their receipt
MANY: Final = 500  # that wait: the relay's window is filling, and opens by receipts
STEP_SECONDS: Final = 0.1  # between two steps that both found leaves
WITNESS_SECONDS: Final = 1.0  # else: only to notice a log that contradicts itself
SLICE_LEAVES: Final = 16 * 256  # leaves followed in one pass


class LogUnreachable(Exception):  # noqa: N818 - a state, not a mistake
    """The published log did not answer; nothing is concluded from it."""


class LogRefused(Exception):  # noqa: N818
    """The published log contradicts what was seen before; `code` says how.

    Codes: `rollback`, `fork`, `twice`, `gap`, `note`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LogReader(Protocol):
    """Reads the published log; bounded, and says LogUnreachable when it cannot."""

    async def checkpoint(self) -> bytes:
        """Return the signed note at /checkpoint."""

    async def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """Return `width` hashes of 32 bytes."""


@dataclass(frozen=True, slots=True)
class _Pin:
    edge: CompactRange
    checkpoint: bytes

    @property
    def size(self) -> int:
        return self.edge.size


class Follower:
    """Follows the log for one journal."""

    def __init__(
        self,
        journal: Journal,
        log: LogReader,
        verifier: NoteVerifier,
        *,
        clock: Clock,
        horizon_seconds: float,
        on_alarm: Callable[[str], Awaitable[None] | None] = lambda _code: None,
    ) -> None:
        self._journal = journal
        self._log = log
        self._verifier = verifier
        self._clock = clock
        self._horizon_ms = int(horizon_seconds * 1000)
        self._on_alarm = on_alarm
        self._outstanding = Outstanding(journal.tables)
        self.alarm: str | None = None
        self.published = 0  # leaves under the last checkpoint that was looked at
        self.followed = 0

    async def run(self) -> None:
        """Follow until cancelled. An alarm stops trimming until it is gone."""
        while True:
            try:
                more = await self.step()
                self.alarm = None
            except LogRefused as refused:
                more = False
                if self.alarm != refused.code:
                    self.alarm = refused.code
                    said = self._on_alarm(refused.code)
                    if said is not None:
                        await said
            except (LogUnreachable, DatabaseError):
                more = False
            # A step reads and writes the journal: under load one carries many leaves.
            await asyncio.sleep(STEP_SECONDS if more else await self._pause())

    async def _pause(self) -> float:
        """Return how long to wait before the log is looked at again."""
        try:
            found = await self._journal.read(
                lambda c: outbox.stats(c, self._journal.tables, 0).rows
            )
        except DatabaseError:
            return POLL_SECONDS
        if found >= MANY:
            return STEP_SECONDS
        return POLL_SECONDS if found else WITNESS_SECONDS

    async def step(self) -> bool:
        """Follow one slice; whether the log is further on than we are.

        Raises:
            LogUnreachable: The log does not answer.
            LogRefused: The log contradicts what was seen before.
            DatabaseError: The journal's database does not answer.
        """
        note = await self._log.checkpoint()
        checkpoint = self._open(note)
        pin = await self._journal.read(self._pin)
        self.published, self.followed = checkpoint.size, pin.size
        if checkpoint.size < pin.size:
            raise LogRefused("rollback")
        if checkpoint.size == pin.size:
            if pin.size and checkpoint.root != pin.edge.root():
                raise LogRefused("fork")
            return False
        edge, leaves = await self._extend(pin.edge, checkpoint)
        receipted, places = await self._journal.read(self._outstanding.read)
        upto = _receipts(leaves, receipted, places)
        CRASH_POINTS.reach("follower.before_receipt")
        await self._journal.write(lambda tx: self._store(tx, edge, note, upto))
        CRASH_POINTS.reach("follower.after_receipt")
        self._outstanding.drop(leaves)
        self.followed = edge.size
        return True

    def _open(self, note: bytes) -> Checkpoint:
        try:
            return open_checkpoint(note, self._verifier)
        except LogError as exc:
            raise LogRefused("note") from exc

    async def _extend(
        self, edge: CompactRange, checkpoint: Checkpoint
    ) -> tuple[CompactRange, list[bytes]]:
        """Return the range over the whole checkpoint and the hashes that were added.

        The whole distance is checked at once: a part of it has no root to compare.
        """
        leaves: list[bytes] = []
        position = edge.size
        while position < checkpoint.size:
            index = position // 256
            width = min(256, checkpoint.size - index * 256)
            tile = await self._log.hash_tile(0, index, width)
            if len(tile) != width * 32:
                raise LogRefused("fork")
            start = position - index * 256
            leaves.extend(tile[i * 32 : i * 32 + 32] for i in range(start, width))
            position = index * 256 + width
        extended = edge.extend(leaves)
        if extended.root() != checkpoint.root:
            raise LogRefused("fork")
        return extended, leaves

    def _pin(self, connection: Connection) -> _Pin:
        table = self._journal.tables.pin
        row = connection.execute(
            select(table.c.edge, table.c.checkpoint).where(
                table.c.origin == self._verifier.name
            )
        ).first()
        if row is None:
            return _Pin(CompactRange(), b"")
        return _Pin(CompactRange.from_bytes(row.edge), row.checkpoint)

    def _store(
        self, tx: Tx, edge: CompactRange, note: bytes, upto: dict[str, int]
    ) -> None:
        outbox.receipt(tx, self._journal.tables, upto)
        now_ms = milliseconds(self._clock.now())
        outbox.trim(tx, self._journal.tables, now_ms - self._horizon_ms)
        table = self._journal.tables.pin
        values = {"size": edge.size, "edge": edge.to_bytes(), "checkpoint": note}
        moved = tx.execute(
            update(table).where(table.c.origin == self._verifier.name).values(**values)
        )
        if moved.rowcount == 0:
            tx.execute(insert(table).values(origin=self._verifier.name, **values))


def _receipts(
    leaves: list[bytes], receipted: Mapping[str, int], places: Places
) -> dict[str, int]:
    """Return lane → last receipted number from the new leaves, in log order.

    Args:
        leaves: The new leaves.
        receipted: The last number before them of each lane that waits.
        places: Of the events that wait.

    Raises:
        LogRefused: `twice`, an event stands in the log twice; `gap`, an event stands
            before its lane's previous one.
    """
    upto = dict(receipted)
    for leaf in leaves:
        place = places.get(leaf)
        if place is None:
            continue
        lane, seq = place
        if seq <= receipted.get(lane, seq):
            continue  # receipted since it was read
        if seq <= upto[lane]:
            raise LogRefused("twice")
        if seq != upto[lane] + 1:
            raise LogRefused("gap")
        upto[lane] = seq
    return {lane: seq for lane, seq in upto.items() if seq > receipted[lane]}
