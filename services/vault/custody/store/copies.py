# SPDX-License-Identifier: Apache-2.0
"""SQL of a backup: a decided folio's rows as they stand, and an empty place for them.

Everything here is ciphertext, wraps and facts; nothing is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, func, insert, select
from sqlalchemy.engine import Connection

from contracts import base64text
from services.chassis.engines import sqlite_engines
from services.vault.custody.tables import custody, decision, folio, version
from services.vault.schema import RECORDS

_TABLES: Final = (folio, version, custody)

Copy = dict[str, Any]
"""The rows of one folio: `position`, `folio`, `version`, `custody`; JSON values."""


class Totals(NamedTuple):
    """How many rows a database holds of each table."""

    folios: int
    versions: int
    custodies: int


def copies_after(
    connection: Connection, handover: str, seller: str, after: int, limit: int
) -> list[Copy]:
    """Return the next decided folios with their frozen version and its wrap.

    What was erased since the freeze is left out: it is gone for good.
    """
    same = [
        and_(
            table.c.party == seller,
            table.c.record == decision.c.record,
            table.c["class"] == decision.c["class"],
            table.c.volume == decision.c.volume,
        )
        for table in (folio, custody)
    ]
    labelled = [
        column.label(f"{table.name}__{column.name}")
        for table in _TABLES
        for column in table.c
    ]
    rows = connection.execute(
        select(decision.c.position, *labelled)
        .outerjoin(folio, same[0])
        .outerjoin(custody, and_(same[1], custody.c.version == decision.c.version))
        .outerjoin(version, version.c.id == custody.c.version)
        .where(decision.c.handover == handover, decision.c.position > after)
        .order_by(decision.c.position)
        .limit(limit)
    )
    return [_copy(row._asdict()) for row in rows]


def _copy(row: dict[str, Any]) -> Copy:
    found: Copy = {"position": row["position"]}
    for table in _TABLES:
        values = {c.name: row[f"{table.name}__{c.name}"] for c in table.c}
        found[table.name] = {name: _spelled(value) for name, value in values.items()}
    return found


def is_complete(copy: Copy) -> bool:
    """Whether all three rows are there: the folio was not erased."""
    keys = (copy["folio"]["record"], copy["version"]["id"], copy["custody"]["record"])
    return None not in keys


def _spelled(value: Any) -> Any:
    return base64text.encode(value) if isinstance(value, bytes) else value


@contextmanager
def empty_copy(path: Path, key: bytes) -> Iterator[Connection]:
    """Open an empty encrypted database for a drill, at `path`, under `key`."""
    engines = sqlite_engines(path, key)
    try:
        RECORDS.create_all(engines.writer, tables=list(_TABLES))
        with engines.writer.connect() as connection:
            yield connection
            connection.rollback()
    finally:
        engines.dispose()


def restore(connection: Connection, copies: Sequence[Copy]) -> None:
    """Insert copied folios into a drill's database and commit them."""
    if not copies:
        return
    for table in _TABLES:
        rows = [_values(table, copy[table.name]) for copy in copies]
        connection.execute(insert(table), rows)
    connection.commit()


def _values(table: Any, row: dict[str, Any]) -> dict[str, Any]:
    binary = {c.name for c in table.c if c.type.python_type is bytes}
    return {
        name: base64text.decode(value) if name in binary else value
        for name, value in row.items()
    }


def restored_copies(
    connection: Connection, after: tuple[str, str, str], limit: int
) -> list[Copy]:
    """Return restored folios beyond (record, class, volume), in that order."""
    labelled = [
        column.label(f"{table.name}__{column.name}")
        for table in _TABLES
        for column in table.c
    ]
    key = (folio.c.record, folio.c["class"], folio.c.volume)
    rows = connection.execute(
        select(*labelled)
        .join(
            custody,
            and_(
                custody.c.party == folio.c.party,
                custody.c.record == folio.c.record,
                custody.c["class"] == folio.c["class"],
                custody.c.volume == folio.c.volume,
            ),
        )
        .join(version, version.c.id == custody.c.version)
        .where(
            (key[0] > after[0])
            | ((key[0] == after[0]) & (key[1] > after[1]))
            | ((key[0] == after[0]) & (key[1] == after[1]) & (key[2] > after[2]))
        )
        .order_by(*key)
        .limit(limit)
    )
    return [_copy({"position": 0, **row._asdict()}) for row in rows]


def totals(connection: Connection) -> Totals:
    """Return how many rows a drill's database holds."""
    counts = [
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in _TABLES
    ]
    return Totals(*counts)
