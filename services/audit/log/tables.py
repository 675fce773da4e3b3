# SPDX-License-Identifier: Apache-2.0
"""Tables of the log: leaves, lane positions, offsets, the tree, alerts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from services.audit.schema import LOG

#: INTEGER is SQLite's own row number: no second B-tree, and appends at the end.
_INDEX = BigInteger().with_variant(Integer, "sqlite")

#: `event` holds the exact leaf; the hash is SHA-256(0x00 || event).
leaf = Table(
    "leaf",
    LOG,
    Column("index", _INDEX, primary_key=True, autoincrement=False),
    Column("lane", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("event", LargeBinary, nullable=False),
    UniqueConstraint("lane", "seq"),
)

#: How far each lane is integrated, and what its opening said of the slot's lane before:
#: `previous` is empty for a slot's first lane. Its successor is the lane that names it.
#: `head` is the source's signature over exactly this end of the lane.
position = Table(
    "position",
    LOG,
    Column("lane", String(32), primary_key=True),
    Column("service", String(16), nullable=False),
    Column("slot", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("head", LargeBinary(64), nullable=False),
    Column("previous", String(32), nullable=False, index=True),
    Column("previous_seq", BigInteger, nullable=False),
    Column("previous_leaf", LargeBinary(32), nullable=False),
    Index("ix_position_slot", "service", "slot"),
)

#: The next offset to fetch, stored with the leaves it led to.
offset = Table(
    "offset",
    LOG,
    Column("topic", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
)

#: One row (id 1). `edge` is a TileEdge; `checkpoint` the signed note of `size`.
tree = Table(
    "tree",
    LOG,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("checkpoint", LargeBinary, nullable=False),
)

#: What a person must look at; each is also an event in the log. `evidence` keeps the
#: bytes that contradict it (a forked event, a head).
alert = Table(
    "alert",
    LOG,
    Column("id", String(36), primary_key=True),
    Column("code", String(32), nullable=False),
    Column("lane", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    UniqueConstraint("code", "lane", "seq"),
)
