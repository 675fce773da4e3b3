# SPDX-License-Identifier: Apache-2.0
"""SQL expressions over the turns that custody hangs on; see `custody.state`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, and_, exists, or_, select

from services.vault.custody.state import TurnState
from services.vault.custody.tables import custody, turn

arrived: Final = turn.alias("arrived")
left: Final = turn.alias("left_turn")

_TURNED: Final = TurnState.TURNED.value


def is_visible(arrived_by: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row is native, or arrived by a handover that has turned."""
    return or_(
        arrived_by == "",
        exists(
            select(turn.c.handover).where(
                turn.c.handover == arrived_by, turn.c.state == _TURNED
            )
        ),
    )


def is_gone(left_by: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row was taken away by a handover that has turned."""
    return and_(
        left_by != "",
        exists(
            select(turn.c.handover).where(
                turn.c.handover == left_by, turn.c.state == _TURNED
            )
        ),
    )


def is_active() -> ColumnElement[bool]:
    """Whether a row of `custody` is active: what `custody_state` calls so."""
    return and_(
        custody.c.destroyed_at.is_(None),
        is_visible(custody.c.arrived_by),
        ~is_gone(custody.c.left_by),
    )
