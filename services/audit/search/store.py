# SPDX-License-Identifier: Apache-2.0
"""All SQL of the search room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Select, delete, insert, or_, select, update
from sqlalchemy.engine import Connection

from services.audit.search.tables import (
    found_alias,
    found_leaf,
    found_party,
    progress,
)
from services.audit.search.terms import Terms
from services.chassis.database import Tx
from services.chassis.prepared import Prepared

_ADD_LEAF: Final = Prepared.insert(found_leaf)
_ADD_PARTY: Final = Prepared.insert(found_party)
_ADD_ALIAS: Final = Prepared.insert(found_alias)


@dataclass(frozen=True, slots=True)
class Progress:
    """How many leaves are indexed, and the leaf hash of the last one."""

    size: int = 0
    last: bytes = b""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; an empty string or None asks nothing.

    Attributes:
        sees: The party whose events may be shown; empty for every party's.
        since, until: Milliseconds since 1970 UTC; from `since`, before `until`.
    """

    sees: str = ""
    party: str = ""
    handover: str = ""
    alias: str = ""
    actor: str = ""
    type: str = ""
    since: int | None = None
    until: int | None = None


def read_progress(connection: Connection) -> Progress:
    """Return how far the projection is."""
    row = connection.execute(select(progress.c.size, progress.c.last)).first()
    return Progress(*row) if row is not None else Progress()


def add(tx: Tx, old: Progress, terms: Sequence[Terms], last: bytes) -> bool:
    """Index the leaves after `old`; False where another one was there before."""
    now = read_progress(tx.connection)
    if now != old or not terms:
        return False
    numbered = list(enumerate(terms, start=old.size))
    _ADD_LEAF.execute_many(
        tx.connection,
        [
            {
                "index": index,
                "at": term.at,
                "type": term.type,
                "handover": term.handover or None,
                "actor": term.actor or None,
                "client": term.client or None,
            }
            for index, term in numbered
        ],
    )
    parties = [{"party": p, "index": i} for i, term in numbered for p in term.parties]
    aliases = [{"alias": a, "index": i} for i, term in numbered for a in term.aliases]
    if parties:
        _ADD_PARTY.execute_many(tx.connection, parties)
    if aliases:
        _ADD_ALIAS.execute_many(tx.connection, aliases)
    _put_progress(tx, Progress(old.size + len(terms), last))
    return True


def clear(tx: Tx) -> None:
    """Empty the projection; it is built again from the log."""
    for table in (found_leaf, found_party, found_alias, progress):
        tx.execute(delete(table))


def find(
    connection: Connection,
    wanted: Wanted,
    first: int,
    end: int,
    limit: int,
    *,
    newest: bool = False,
) -> list[int]:
    """Return up to `limit` indexes from `first` to below `end`, in log order.

    With `newest` the last of them, backwards.
    """
    statement, index = _joined(wanted)
    for condition in _conditions(wanted):
        statement = statement.where(condition)
    order = index.desc() if newest else index
    rows = connection.execute(
        statement.where(index >= first, index < end).order_by(order).limit(limit)
    )
    return [row[0] for row in rows]


def _joined(wanted: Wanted) -> tuple[Select[int], ColumnElement[int]]:
    """Return the statement and the index column that leads it.

    The rarest term leads: its own index is read in log order, so that a page of a
    small party costs a page, however long the log is.
    """
    leading = found_leaf.c.index
    statement = select(found_leaf.c.index)
    for party in sorted({wanted.sees, wanted.party} - {""}):
        one = found_party.alias()
        statement = statement.join(one, one.c.index == found_leaf.c.index)
        statement = statement.where(one.c.party == party)
        leading = one.c.index
    if wanted.alias:
        same = found_alias.c.index == found_leaf.c.index
        statement = statement.join(found_alias, same)
        statement = statement.where(found_alias.c.alias == wanted.alias)
        leading = found_alias.c.index
    return statement, leading


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    row = found_leaf.c
    found: list[ColumnElement[bool]] = []
    if wanted.handover:
        found.append(row.handover == wanted.handover)
    if wanted.type:
        found.append(row.type == wanted.type)
    if wanted.actor:
        found.append(or_(row.actor == wanted.actor, row.client == wanted.actor))
    if wanted.since is not None:
        found.append(row.at >= wanted.since)
    if wanted.until is not None:
        found.append(row.at < wanted.until)
    return found


def _put_progress(tx: Tx, now: Progress) -> None:
    values = {"size": now.size, "last": now.last}
    moved = tx.execute(update(progress).where(progress.c.id == 1).values(**values))
    if moved.rowcount == 0:
        tx.execute(insert(progress).values(id=1, **values))
