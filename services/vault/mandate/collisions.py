# SPDX-License-Identifier: Apache-2.0
"""Collisions after a turn: listed for the buyer, and settled as a person decides.

Nobody but the buyer sees one, and the buyer none before the turn: else it could test
guesses against the seller's customers. Never the value, only the field's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

from contracts.events.collisions import CollisionSettled
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.database import Lock, Tx
from services.chassis.lanes import EventRef
from services.vault.custody import FolioMoved, IndexValue, aliases_of, lock_of
from services.vault.custody import handover as custody
from services.vault.custody.handover import Collision, Entry
from services.vault.custody.settlement import UNIQUE
from services.vault.custody.state import (
    CollisionDecision,
    CollisionState,
    TurnState,
)
from services.vault.mandate import errors, merging
from services.vault.mandate.ground import (
    Ground,
    acted,
    party_lock,
    record_locks,
    standing,
)

MAX_ATTEMPTS: Final = 20  # how often it looks again because something came between


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided. `keep` is one of the two records."""

    decision: CollisionDecision
    keep: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled collision; `event` is None for a repetition."""

    collision: Collision
    event: EventRef | None


async def collisions(
    ground: Ground, principal: Principal, handover: str, after: int, limit: int
) -> Sequence[Collision]:
    """Return collisions beyond a position, in order, to the buyer.

    Raises:
        HandoverUnknown: The caller is not of the buyer.
        WrongState: The handover did not turn.
    """

    def look(connection: Connection) -> list[Collision]:
        _require_buyer(connection, principal, handover)
        return custody.collisions_after(connection, handover, after, limit)

    return await ground.changes.read(look)


def _require_buyer(connection: Connection, principal: Principal, handover: str) -> None:
    at = standing(connection, handover, principal)
    if principal.party != at.buyer:
        raise errors.HandoverUnknown
    if at.turn is None or at.turn.state is not TurnState.TURNED:
        raise errors.WrongState(at.state)


async def settle(
    ground: Ground, principal: Principal, handover: str, position: int, choice: Choice
) -> Settled:
    """Settle a collision; the same again returns what was.

    Raises:
        CollisionUnknown: There is none at this position.
        KeepUnknown: The record to keep is none of the two.
        WrongState: It was settled otherwise, or is void.
        BothNumbered, HandedOver, FolioFrozen: See `merging.prepare`.
        HandoverUnknown: The caller is not of the buyer.
    """
    for _attempt in range(MAX_ATTEMPTS):
        found = await ground.changes.read(
            lambda c: _find(c, principal, handover, position, choice)
        )
        if found.state is CollisionState.SETTLED:
            return Settled(found, None)
        try:
            if choice.decision is CollisionDecision.KEEP_BOTH:
                return await _keep_both(ground, principal, found, choice)
            return await _merge(ground, principal, found, choice)
        except (errors.Overtaken, FolioMoved):
            continue
    raise errors.Overtaken("something came between at each attempt")


def _find(
    connection: Connection,
    principal: Principal,
    handover: str,
    position: int,
    choice: Choice,
) -> Collision:
    """Return a collision that is open, or settled as `choice` says."""
    _require_buyer(connection, principal, handover)
    found = custody.find_collision(connection, handover, position)
    if found is None:
        raise errors.CollisionUnknown
    if found.state is CollisionState.OPEN:
        if choice.keep not in {found.record, found.other}:
            raise errors.KeepUnknown
        return found
    if (found.decision, found.kept) != (choice.decision, choice.keep):
        raise errors.WrongState(found.state.value)
    return found


# -- Keep both ------------------------------------------------------------------------


async def _keep_both(
    ground: Ground, principal: Principal, found: Collision, choice: Choice
) -> Settled:
    pair = (found.record, found.other)
    shared = await ground.changes.read(
        lambda c: custody.shared_keys(c, found.party, found.field, *pair)
    )

    def apply(tx: Tx) -> Settled:
        _require_same(tx, principal, found, choice)
        now = custody.shared_keys(tx.connection, found.party, found.field, *pair)
        if not now <= shared:
            raise errors.Overtaken("they share another value meanwhile")
        for entry in custody.native_entries(tx.connection, found.party, now):
            if entry.slot == UNIQUE and entry.record == _other(found, choice.keep):
                custody.move_slot(tx, found.party, entry, entry.record)
        for entry in custody.native_entries(tx.connection, found.party, now):
            if entry.record == choice.keep:
                _make_unique(tx, found.party, entry)
        return close(tx, principal, found, choice)

    locks = [
        party_lock(found.party),
        *record_locks(found.party, pair),
        *_value_locks(found.party, shared),
    ]
    return await ground.changes.write(apply, locks)


def _make_unique(tx: Tx, party: str, entry: Entry) -> None:
    """Give a native entry the unique slot, unless a third record has it."""
    entries = custody.native_entries(tx.connection, party, [entry.key])
    if all(one.slot != UNIQUE for one in entries):
        custody.move_slot(tx, party, entry, UNIQUE)


def _value_locks(party: str, keys: set[tuple[str, bytes]]) -> list[Lock]:
    return [lock_of(party, IndexValue(*key, unique=True)) for key in sorted(keys)]


# -- Merge ----------------------------------------------------------------------------


async def _merge(
    ground: Ground, principal: Principal, found: Collision, choice: Choice
) -> Settled:
    absorbed = _other(found, choice.keep)
    prepared = await merging.prepare(ground, found.party, choice.keep, absorbed)

    def apply(tx: Tx) -> Settled:
        _require_same(tx, principal, found, choice)
        prepared.require_unmoved(tx)
        settled = close(tx, principal, found, choice)
        prepared.apply(tx, acted(tx, principal))
        for one in custody.inherit_collisions(tx, found.party, absorbed, choice.keep):
            _tell(tx, principal, one, choice, prepared.aliases)
        prepared.end(tx)
        return settled

    locks = [
        party_lock(found.party),
        *record_locks(found.party, (found.record, found.other)),
        *_value_locks(found.party, prepared.values),
    ]
    return await ground.changes.write(apply, locks)


# -- Both -----------------------------------------------------------------------------


def _other(found: Collision, keep: str) -> str:
    return found.other if keep == found.record else found.record


def _require_same(
    tx: Tx, principal: Principal, found: Collision, choice: Choice
) -> None:
    """Look again under the locks: an erasure voids it, another settles it.

    Raises:
        Overtaken: It changed since it was looked at.
    """
    handover, position = found.handover, found.position
    if _find(tx.connection, principal, handover, position, choice) != found:
        raise errors.Overtaken("the collision changed meanwhile")


def close(tx: Tx, principal: Principal, found: Collision, choice: Choice) -> Settled:
    """Mark a collision as settled, with its event."""
    if not custody.close_collision(tx, found, choice.decision, choice.keep):
        raise errors.Overtaken("the collision was settled meanwhile")
    pair = (found.record, found.other)
    aliases = aliases_of(tx.connection, found.party, pair)
    ref = _tell(tx, principal, found, choice, aliases)
    settled = found._replace(
        state=CollisionState.SETTLED, decision=choice.decision.value, kept=choice.keep
    )
    return Settled(settled, ref)


def _tell(
    tx: Tx,
    principal: Principal,
    found: Collision,
    choice: Choice,
    aliases: dict[str, str],
) -> EventRef:
    event = CollisionSettled(
        **acted(tx, principal),
        handover=found.handover,
        position=found.position,
        field=found.field,
        decision=choice.decision.value,
        kept=aliases[choice.keep],
        other=aliases[_other(found, choice.keep)],
    )
    return outbox.append(tx, event.draft(found.party))
