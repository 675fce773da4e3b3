# SPDX-License-Identifier: Apache-2.0
"""The state of custody, derived and never stored per row. Pure.

A handover may cover millions of rows, and one row of `turn` flips them all. Source:
vault.md, Tables.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class CustodyState(StrEnum):
    """What a party's custody of one version is worth now."""

    ACTIVE = "active"
    PENDING = "pending"
    RESTRICTED = "restricted"
    DESTROYED = "destroyed"


class TurnState(StrEnum):
    """Where the one row that turns a handover stands."""

    OPEN = "open"
    TURNED = "turned"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REVOKED = "revoked"
    THAWED = "thawed"


class ScopeState(StrEnum):
    """Where a frozen scope stands; the freeze flag is up in the first three."""

    DECIDING = "deciding"
    DECIDED = "decided"
    MANDATED = "mandated"
    TURNED = "turned"
    RELEASED = "released"


class DropReason(StrEnum):
    """Why a folio left a frozen decision; each may only shrink the set."""

    OBJECTED = "objected"
    WITHDRAWN = "withdrawn"
    CORRECTED = "corrected"
    ERASED = "erased"


class SettlementState(StrEnum):
    """How far the index entries are that came with a handover that turned."""

    RUNNING = "running"
    SETTLED = "settled"


class CollisionState(StrEnum):
    """Where two records that share a unique value stand."""

    OPEN = "open"
    SETTLED = "settled"
    VOID = "void"


class CollisionDecision(StrEnum):
    """What a person decides about two records that share a unique value."""

    KEEP_BOTH = "keep_both"
    MERGE = "merge"


FROZEN: Final = (ScopeState.DECIDING, ScopeState.DECIDED, ScopeState.MANDATED)
"""The states of a scope in which its handover is live and its versions pinned."""

MOVING: Final = ("transfer", "archive_only")
"""The outcomes of a decision that give the buyer custody."""


def custody_state(
    arrived_by: str,
    arrived_turn: str | None,
    left_by: str,
    left_turn: str | None,
    destroyed_at: int | None,
) -> CustodyState:
    """Return the state of one row of custody.

    Args:
        arrived_by: The handover that brought it, or empty for native custody.
        arrived_turn: The state of that handover's turn; None if it has none.
        left_by: The handover that takes it away, or empty. One that was cancelled
            means nothing.
        left_turn: The state of that handover's turn; None if it has none.
        destroyed_at: When its keys were destroyed, milliseconds; None if not.
    """
    if destroyed_at is not None:
        return CustodyState.DESTROYED
    if arrived_by and arrived_turn != TurnState.TURNED:
        return CustodyState.PENDING
    if left_by and left_turn == TurnState.TURNED:
        return CustodyState.RESTRICTED
    return CustodyState.ACTIVE
