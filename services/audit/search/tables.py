# SPDX-License-Identifier: Apache-2.0
"""Tables of the projection: what the log's leaves can be found by.

They hold nothing that the log does not, and can be dropped and built again.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from services.audit.schema import SEARCH

#: INTEGER is SQLite's own row number: appends go to the end of the table.
_INDEX = BigInteger().with_variant(Integer, "sqlite")


def _sparse(column: str) -> Index:
    """Index the leaves that have a value; most leaves have none."""
    present = text(f"{column} IS NOT NULL")
    return Index(
        f"ix_found_leaf_{column}",
        column,
        "index",
        sqlite_where=present,
        postgresql_where=present,
    )


#: NULL where the event names none; such rows are not in the term's index at all.
found_leaf = Table(
    "found_leaf",
    SEARCH,
    Column("index", _INDEX, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("type", String(96), nullable=False),
    Column("handover", String(64)),
    Column("actor", String(64)),
    Column("client", String(64)),
    Index("ix_found_leaf_at", "at"),
    Index("ix_found_leaf_type", "type", "index"),
    _sparse("handover"),
    _sparse("actor"),
    _sparse("client"),
)

found_party = Table(
    "found_party",
    SEARCH,
    Column("party", String(64), primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

found_alias = Table(
    "found_alias",
    SEARCH,
    Column("alias", String(32), primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

#: One row (id 1): leaves indexed so far, and the hash of the last of them.
progress = Table(
    "search_progress",
    SEARCH,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("last", LargeBinary(32), nullable=False),
)
