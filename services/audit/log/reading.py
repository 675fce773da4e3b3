# SPDX-License-Identifier: Apache-2.0
"""What the log offers to other rooms: its published leaves, their proofs, its end.

Nothing that no published checkpoint covers is ever shown. Whoever reads leaves a
trace first: `record` is durable, signed and published when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.events.audit import LogSearched
from contracts.events.payload import EventDraft
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.proof import TlogProof
from contracts.log.tiles import inclusion_from_tiles, tile_path
from contracts.scopes import Scope
from services.audit.errors import EventNotFound, LeafNotFound
from services.audit.log import store
from services.audit.log.files import CHECKPOINT, FileMissing
from services.audit.log.operations import Batch, Log
from services.chassis.auth import PLATFORM, Principal, PrincipalKind
from services.chassis.lanes import EventRef

PUBLISH_SECONDS: Final = 0.01  # how often an unpublished snapshot looks again


@dataclass(frozen=True, slots=True)
class Leaf:
    """One published leaf: its index in the log and its exact bytes."""

    index: int
    event: bytes


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """A lane's end, and its source's signature over exactly this end."""

    lane: str
    slot: str
    seq: int
    leaf_hash: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """A published checkpoint: the signed note and what it says."""

    note: bytes
    checkpoint: Checkpoint


def sees_all(principal: Principal) -> bool:
    """Whether the caller may see every party's events, as the operator may."""
    return Scope.AUDIT_MONITOR in principal.scopes or principal.party == PLATFORM


def actor_of(principal: Principal) -> dict[str, str]:
    """Return how an event of audit names its actor: a client by id, else an alias."""
    if principal.kind is PrincipalKind.CLIENT:
        return {"client": principal.id}
    return {"actor": principal.id} if _is_alias(principal.id) else {}


def _is_alias(text: str) -> bool:
    return len(text) == 32 and not set(text) - set("0123456789abcdef")


class LogReadings:
    """Reads one log as far as it is published."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @property
    def size(self) -> int:
        """Leaves under the published checkpoint."""
        return self._log.size

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, on the event loop, after each publication."""
        self._log.listen(listener)

    async def record(self, draft: EventDraft) -> EventRef:
        """Integrate one of audit's own events, and return its place.

        Raises:
            DatabaseError: As `Log.integrate`; nothing may be shown.
        """
        refs = await self._log.integrate(Batch(drafts=[draft]))
        return refs[0]

    async def trace(
        self, principal: Principal, filters: list[str], hits: int
    ) -> EventRef:
        """Record what kind of look at the log a caller takes, before it is shown.

        Raises:
            DatabaseError: As `record`.
        """
        event = LogSearched(filters=filters, hits=hits, **actor_of(principal))
        return await self.record(event.draft(principal.party))

    async def slice(self, first: int, last: int) -> list[Leaf]:
        """Return the published leaves of indexes `first`..`last - 1`."""
        end = min(last, self.size)
        found = await self._log.journal.read(lambda c: store.events(c, first, end))
        return [Leaf(first + i, event) for i, event in enumerate(found)]

    async def leaves(self, indexes: Sequence[int]) -> list[Leaf]:
        """Return the published leaves of these indexes, in order."""
        wanted = [index for index in indexes if index < self.size]
        found = await self._log.journal.read(lambda c: store.events_at(c, wanted))
        return [Leaf(index, event) for index, event in found]

    async def leaf(self, lane: str, seq: int) -> Leaf:
        """Return the published leaf of a lane's event.

        Raises:
            LeafNotFound: None, or no checkpoint covers it yet.
        """
        found = await self._log.journal.read(lambda c: store.leaf_at(c, lane, seq))
        if found is None or found[0] >= self.size:
            raise LeafNotFound("no such event under the published checkpoint")
        return Leaf(*found)

    def published(self) -> Published:
        """Return the published checkpoint.

        Raises:
            EventNotFound: Nothing is published yet.
        """
        try:
            note = self.file(CHECKPOINT)
        except FileMissing:
            raise EventNotFound("nothing is published yet") from None
        return Published(note, open_checkpoint(note, self._log.verifier))

    async def snapshot(self) -> tuple[Published, list[LaneEnd]]:
        """Return a published checkpoint with the end of every lane under it.

        Raises:
            EventNotFound: Nothing is published yet.
        """
        tree, rows = await self._log.journal.read(store.tree_and_positions)
        while self.size < tree.size:  # noqa: ASYNC110 - an event cannot be missed so
            # Committed, and on its way to the disk; `integrate` publishes in order.
            await asyncio.sleep(PUBLISH_SECONDS)
        if not tree.checkpoint:
            raise EventNotFound("nothing is published yet")
        checkpoint = open_checkpoint(tree.checkpoint, self._log.verifier)
        ends = [
            LaneEnd(row.lane, row.slot, row.seq, row.leaf_hash, row.head)
            for row in rows
        ]
        return Published(tree.checkpoint, checkpoint), ends

    def file(self, path: str) -> bytes:
        """Return a published file: the checkpoint, a hash tile or a bundle.

        Raises:
            FileMissing: It is not published.
        """
        return self._log.files.read(path)

    def proof(self, index: int, published: Published) -> TlogProof:
        """Return the inclusion proof of a leaf under a published checkpoint.

        Raises:
            TreePositionError: The checkpoint does not cover the leaf.
        """
        hashes = inclusion_from_tiles(
            index,
            published.checkpoint.size,
            lambda level, n, width: self.file(tile_path(level, n, width)),
        )
        return TlogProof(index, tuple(hashes), published.note)
