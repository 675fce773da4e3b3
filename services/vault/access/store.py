# SPDX-License-Identifier: Apache-2.0
"""SQL of the daily quota."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import bindparam, delete, select, tuple_, update

from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.access.tables import TABLES

SWEPT_ROWS: Final = 500  # rows of old days that one transaction deletes

_used, _shown = TABLES.used, TABLES.shown
_MINE = (_used.c.day == bindparam("on"), _used.c.actor == bindparam("by"))
_USED = Prepared(select(_used.c.used).where(*_MINE))
_COUNT = Prepared(update(_used).where(*_MINE).values(used=bindparam("total")))
_BEGIN = Prepared.insert(_used)
_SHOWN = Prepared(
    select(_shown.c.record).where(
        _shown.c.day == bindparam("day"),
        _shown.c.actor == bindparam("actor"),
        _shown.c.record == bindparam("record"),
    )
)
_SHOW = Prepared.insert(_shown)


def count(
    tx: Tx, day: str, actor: str, records: Collection[str], limit: int
) -> int | None:
    """Count what an actor is shown; None, and nothing counted, if it is too much.

    The caller holds the actor's lock: two that count at once would both have room.

    Args:
        tx: The transaction of the read events.
        day: ISO date.
        actor: Alias.
        records: Aliases; those of today already cost nothing.
        limit: Distinct records a day.

    Returns:
        How many distinct records it was shown today.
    """
    connection = tx.connection
    used = _USED.scalar(connection, on=day, by=actor)
    fresh = [
        {"day": day, "actor": actor, "record": record}
        for record in sorted(records)
        if _SHOWN.first(connection, day=day, actor=actor, record=record) is None
    ]
    total = int(used or 0) + len(fresh)
    if not fresh:
        return total
    if total > limit:
        return None
    _SHOW.execute_many(connection, fresh)
    if used is None:
        _BEGIN.execute(connection, day=day, actor=actor, used=total)
    else:
        _COUNT.execute(connection, on=day, by=actor, total=total)
    return total


def sweep(tx: Tx, before: str) -> int:
    """Delete some rows of days before the ISO date `before`; 0 when none is left."""
    key = (_shown.c.day, _shown.c.actor, _shown.c.record)
    old = select(*key).where(_shown.c.day < before).limit(SWEPT_ROWS)
    gone = tx.execute(delete(_shown).where(tuple_(*key).in_(old))).rowcount
    if gone == 0:
        gone = tx.execute(delete(_used).where(_used.c.day < before)).rowcount
    return gone
