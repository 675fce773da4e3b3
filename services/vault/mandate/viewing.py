# SPDX-License-Identifier: Apache-2.0
"""What a handover shows: its state, its decision, and its rows to the entitled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from contracts.custody.decision import DecisionRow, DecisionSummary, row_leaf, salt
from services.chassis.auth import Principal
from services.vault.custody import handover as custody
from services.vault.custody.handover import Scope, Settlement, StoredRow
from services.vault.custody.state import ScopeState, TurnState
from services.vault.mandate import store
from services.vault.mandate.errors import HandoverUnknown, WrongState
from services.vault.mandate.ground import Ground, Standing, standing
from services.vault.mandate.releasing import summary_of
from services.vault.mandate.store import BatchTotals, StoredBackup, StoredBatch


@dataclass(frozen=True, slots=True)
class Status:
    """Where a handover stands; counts only.

    Attributes:
        collisions: Open, and found in all; None to all but the buyer, whom alone it
            concerns how many of its customers the seller had too.
    """

    at: Standing
    decided: int
    dropped: Mapping[str, Mapping[str, int]]
    batches: BatchTotals
    backup: StoredBackup | None
    after_snapshot: Mapping[str, int]
    settlement: Settlement | None
    collisions: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, as both compliance officers sign it."""

    scope: Scope
    summary: DecisionSummary


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row with its salt; of a dropped one the buyer gets its leaf hash only."""

    position: int
    row: DecisionRow
    dropped: str
    salt: bytes | None
    leaf: bytes


async def status(ground: Ground, principal: Principal, handover: str) -> Status:
    """Return where a handover stands; to the buyer without drops until the turn.

    Raises:
        HandoverUnknown: See `standing`.
    """

    def look(connection: Connection) -> Status:
        at = standing(connection, handover, principal)
        scope = at.scope
        after: Mapping[str, int] = {}
        dropped: Mapping[str, Mapping[str, int]] = {}
        # How the seller's business goes on is not the buyer's to watch.
        turned = scope is not None and scope.state is ScopeState.TURNED
        if turned or principal.party != at.buyer:
            dropped = custody.dropped_counts(connection, handover)
            after = _after(connection, at)
        settlement = custody.find_settlement(connection, handover)
        collisions = None
        if settlement is not None and principal.party == at.buyer:
            waiting = custody.open_collisions(connection, handover)
            collisions = (waiting, settlement.collisions)
        return Status(
            at=at,
            decided=0 if scope is None else scope.folios,
            dropped=dropped,
            batches=store.batch_totals(connection, handover),
            backup=store.find_backup(connection, handover),
            after_snapshot=after,
            settlement=settlement,
            collisions=collisions,
        )

    return await ground.changes.read(look)


def _after(connection: Connection, at: Standing) -> Mapping[str, int]:
    scope = at.scope
    if scope is None or scope.state not in (ScopeState.DECIDED, ScopeState.MANDATED):
        return {}
    return custody.after_snapshot(
        connection, at.seller, scope.handover, scope.frozen_at
    )


async def decision(ground: Ground, principal: Principal, handover: str) -> Decided:
    """Return counts and root of a decision.

    Raises:
        WrongState: It is not made yet.
        HandoverUnknown: See `standing`.
    """
    at = await ground.changes.read(lambda c: standing(c, handover, principal))
    if at.scope is None or not at.scope.decision_root:
        raise WrongState(at.state)
    return Decided(at.scope, summary_of(at.scope))


async def rows(
    ground: Ground, principal: Principal, handover: str, after: int, limit: int
) -> list[ShownRow]:
    """Return rows of a decision beyond a position, in order.

    The seller gets all of them; the buyer, after the turn, the groups that moved,
    of a dropped row its leaf hash only. Nobody else gets any, also not transfer.

    Raises:
        WrongState: The decision is not made; or, for the buyer, did not turn.
        HandoverUnknown: The caller is of neither party.
    """

    def look(connection: Connection) -> tuple[Standing, list[StoredRow]]:
        at = standing(connection, handover, principal)
        is_buyer = principal.party == at.buyer
        if not is_buyer and principal.party != at.seller:
            raise HandoverUnknown
        if at.scope is None or not at.scope.decision_root:
            raise WrongState(at.state)
        turned = at.turn is not None and at.turn.state is TurnState.TURNED
        if is_buyer and not turned:
            raise WrongState(at.state)
        found = custody.rows_after(
            connection, handover, after, limit=limit, moving=is_buyer
        )
        return at, found

    at, found = await ground.changes.read(look)
    assert at.scope is not None
    secret = ground.secret_of(at.scope)
    to_buyer = principal.party == at.buyer
    return [
        _shown(one, salt(one.row.position, secret), to_buyer=to_buyer) for one in found
    ]


def _shown(one: StoredRow, row_salt: bytes, *, to_buyer: bool) -> ShownRow:
    hidden = to_buyer and one.dropped != ""
    return ShownRow(
        position=one.row.position,
        row=one.row,
        dropped=one.dropped,
        salt=None if hidden else row_salt,
        leaf=row_leaf(one.row, row_salt),
    )


async def batches(
    ground: Ground, principal: Principal, handover: str, after: int, limit: int
) -> Sequence[StoredBatch]:
    """Return the batches of a decision beyond a number, in order.

    Raises:
        WrongState: The decision is not made yet.
        HandoverUnknown: See `standing`.
    """

    def look(connection: Connection) -> list[StoredBatch]:
        at = standing(connection, handover, principal)
        if at.scope is None or not at.scope.decision_root:
            raise WrongState(at.state)
        return store.batches_after(connection, handover, after, limit)

    return await ground.changes.read(look)
