# SPDX-License-Identifier: Apache-2.0
"""Tables of the log: leaves, lane positions, offsets, the tree, alerts."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from services.audit.schema import LOG

#: `event` holds the exact leaf; the hash is SHA-256(0x00 || event).
leaf = Table(
    "leaf",
    LOG,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("event", LargeBinary, nullable=False),
    UniqueConstraint("lane", "seq"),
)

#: How far each lane is integrated. `successor` is the lane that named it as previous.
position = Table(
    "position",
    LOG,
    Column("lane", String(32), primary_key=True),
    Column("service", String(16), nullable=False),
    Column("slot", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("successor", String(32), nullable=False),
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
