# SPDX-License-Identifier: Apache-2.0
"""SQL of records and their aliases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, not_, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.engine import Connection

from services.chassis.clock import milliseconds, random_alias
from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.custody.errors import EtagStale
from services.vault.custody.state import CollisionState, TurnState
from services.vault.custody.store.turns import is_active, is_gone, is_visible
from services.vault.custody.tables import (
    alias,
    collision,
    consent,
    custody,
    objection,
    record,
    turn,
)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record of a party, visible to it.

    Attributes:
        arrived_by: The handover that brought it; empty for a native one.
        alias: Its name in events.
        etag: Counts its changes.
        external_id_sealed: The party's own number for it, or None.
        origin_external_id_sealed: The seller's number, if it arrived.
    """

    party: str
    id: str
    arrived_by: str
    alias: str
    etag: int
    identity_key_version: int
    external_id_sealed: bytes | None = field(repr=False)
    origin_external_id_sealed: bytes | None = field(repr=False)


class Listed(NamedTuple):
    """A record on a page of a list."""

    id: str
    etag: int
    alias: str


class Page(NamedTuple):
    """A page of a list; `ahead` is the id after which it continues, or None."""

    rows: list[Listed]
    ahead: str | None


SCANNED_ROWS: Final = 500  # rows of a group that one page looks at, at least

_ALIAS_OF_RECORD = and_(alias.c.party == record.c.party, alias.c.record == record.c.id)

_SELECT = (
    select(
        record.c.party,
        record.c.id,
        record.c.arrived_by,
        alias.c.alias,
        record.c.etag,
        record.c.identity_key_version,
        record.c.external_id_sealed,
        record.c.origin_external_id_sealed,
    )
    .join(alias, _ALIAS_OF_RECORD)
    .where(
        record.c.id == bindparam("id"),
        record.c.party == bindparam("party"),
        is_visible(record.c.arrived_by),
    )
)
_FIND = Prepared(_SELECT)
_FIND_WITH_FACTS = Prepared(
    _SELECT.add_columns(
        exists()
        .where(
            custody.c.party == record.c.party,
            custody.c.record == record.c.id,
            is_gone(custody.c.left_by),
        )
        .label("handed_over"),
        or_(
            exists().where(
                consent.c.party == record.c.party, consent.c.record == record.c.id
            ),
            exists().where(
                objection.c.party == record.c.party, objection.c.record == record.c.id
            ),
        ).label("has_rights"),
    )
)


class FoundRecord(NamedTuple):
    """A record with what a decision asks of it beside its folios."""

    record: StoredRecord
    handed_over: bool
    has_rights: bool


def find_with_facts(connection: Connection, party: str, id_: str) -> FoundRecord | None:
    """As `find_record`, `is_handed_over`, and whether anything is filed, in one."""
    row = _FIND_WITH_FACTS.first(connection, party=party, id=id_)
    if row is None:
        return None
    return FoundRecord(StoredRecord(*row[:-2]), bool(row[-2]), bool(row[-1]))


def find_record(connection: Connection, party: str, id_: str) -> StoredRecord | None:
    """Return a visible record of the party; None for absent, foreign and pending."""
    row = _FIND.first(connection, party=party, id=id_)
    return None if row is None else StoredRecord(*row)


_ADD_RECORD = Prepared.insert(record)
_ADD_ALIAS = Prepared.insert(alias)


def insert_record(
    tx: Tx,
    party: str,
    id_: str,
    *,
    external_id_sealed: bytes | None,
    identity_key_version: int,
) -> str:
    """Insert a native record; return the alias drawn for it."""
    now = milliseconds(tx.now)
    _ADD_RECORD.execute(
        tx.connection,
        party=party,
        arrived_by="",
        id=id_,
        external_id_sealed=external_id_sealed,
        origin_external_id_sealed=None,
        identity_key_version=identity_key_version,
        etag=1,
        created_at=now,
        updated_at=now,
    )
    return draw_alias(tx, party, id_)


def draw_alias(tx: Tx, party: str, id_: str) -> str:
    """Give a record its alias for the party and return it."""
    drawn = random_alias()
    _ADD_ALIAS.execute(tx.connection, alias=drawn, party=party, record=id_)
    return drawn


def bump_etag(tx: Tx, stored: StoredRecord, expected: int | None = None) -> int:
    """Count a change of a record; return the new etag.

    Args:
        tx: The transaction of the change.
        stored: The record.
        expected: The etag that the caller read; None if any will do.

    Raises:
        EtagStale: The record has another etag, or is gone.
    """
    mine = [
        record.c.party == stored.party,
        record.c.arrived_by == stored.arrived_by,
        record.c.id == stored.id,
    ]
    if expected is not None:
        mine.append(record.c.etag == expected)
    moved = tx.execute(
        sql_update(record)
        .where(*mine)
        .values(etag=record.c.etag + 1, updated_at=milliseconds(tx.now))
    )
    if moved.rowcount != 1:
        raise EtagStale
    return int(tx.execute(select(record.c.etag).where(*mine[:3])).scalar_one())


_HANDED_OVER = Prepared(
    select(
        exists().where(
            custody.c.party == bindparam("party"),
            custody.c.record == bindparam("record"),
            is_gone(custody.c.left_by),
        )
    )
)


def is_handed_over(connection: Connection, party: str, id_: str) -> bool:
    """Whether a handover took anything of the record away, also if destroyed since."""
    return bool(_HANDED_OVER.scalar(connection, party=party, record=id_))


def list_records(connection: Connection, party: str, after: str, limit: int) -> Page:
    """Return up to `limit` records of the party with an id beyond `after`, in order.

    Merges the visible arrival groups, each a range of the primary key, so that the
    pending rows of a running handover cost nothing. Handed-over records are left out;
    where very many follow each other, a page may be short or empty and still not be
    the last.
    """
    groups = connection.execute(
        select(turn.c.handover).where(
            turn.c.buyer == party, turn.c.state == TurnState.TURNED.value
        )
    ).scalars()
    scanned = max(limit + 1, SCANNED_ROWS)
    found: list[tuple[Listed, bool]] = []
    ends: list[str] = []
    for arrived_by in ("", *groups):
        rows = _list_group(connection, party, arrived_by, after, scanned)
        found.extend(rows)
        if len(rows) == scanned:
            ends.append(rows[-1][0].id)
    # Beyond the end of the group that was scanned least far, nothing is complete.
    horizon = min(ends, default=None)
    shown = sorted(
        row for row, own in found if own and (horizon is None or row.id <= horizon)
    )
    if len(shown) > limit:
        return Page(shown[:limit], shown[limit - 1].id)
    return Page(shown, horizon)


def _list_group(
    connection: Connection, party: str, arrived_by: str, after: str, scanned: int
) -> list[tuple[Listed, bool]]:
    """Return the next rows of one group, each with whether the party still has it."""
    mine = and_(custody.c.party == record.c.party, custody.c.record == record.c.id)
    rows = connection.execute(
        select(
            record.c.id,
            record.c.etag,
            alias.c.alias,
            or_(
                exists().where(mine, is_active()),
                not_(exists().where(mine, is_gone(custody.c.left_by))),
            ),
        )
        .join(alias, _ALIAS_OF_RECORD)
        .where(
            record.c.party == party,
            record.c.arrived_by == arrived_by,
            record.c.id > after,
        )
        .order_by(record.c.id)
        .limit(scanned)
    )
    return [(Listed(row[0], row[1], row[2]), bool(row[3])) for row in rows]


def aliases_of(
    connection: Connection, party: str, ids: Sequence[str]
) -> dict[str, str]:
    """Return record id → alias of those that are the party's and visible to it."""
    return {
        row.record: row.alias
        for row in connection.execute(
            _VISIBLE_ALIASES.where(alias.c.party == party, alias.c.record.in_(ids))
        )
    }


def records_of(
    connection: Connection, party: str, aliases: Sequence[str]
) -> dict[str, str]:
    """Return alias → record id of those that are the party's and visible to it."""
    return {
        row.alias: row.record
        for row in connection.execute(
            _VISIBLE_ALIASES.where(alias.c.party == party, alias.c.alias.in_(aliases))
        )
    }


_VISIBLE_ALIASES = (
    select(alias.c.alias, alias.c.record)
    .join(record, _ALIAS_OF_RECORD)
    .where(is_visible(record.c.arrived_by))
)


def delete_record(tx: Tx, stored: StoredRecord) -> None:
    """Delete a record's own row and its alias; what hangs on it is deleted before.

    Its open collisions are void: the other record has the value alone.
    """
    tx.execute(
        delete(record).where(
            record.c.party == stored.party,
            record.c.arrived_by == stored.arrived_by,
            record.c.id == stored.id,
        )
    )
    tx.execute(
        delete(alias).where(alias.c.party == stored.party, alias.c.record == stored.id)
    )
    tx.execute(
        sql_update(collision)
        .where(
            or_(collision.c.record == stored.id, collision.c.other == stored.id),
            collision.c.party == stored.party,
            collision.c.state == CollisionState.OPEN.value,
        )
        .values(state=CollisionState.VOID.value)
    )
