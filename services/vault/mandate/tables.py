# SPDX-License-Identifier: Apache-2.0
"""Tables of plans, the documents of a mandate, batches and backups."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from services.vault.schema import RECORDS

plan = Table(
    "plan",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("seller", String(64), nullable=False),
    Column("buyer", String(64), nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("plan_hash", String(71), nullable=False),
    Column("lodged_at", BigInteger, nullable=False),
)

#: `kind` is approval or release; one per role.
document = Table(
    "document",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("role", String(2), primary_key=True),
    Column("key_id", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("filed_at", BigInteger, nullable=False),
)

#: A slice of the decision, never through a record. `result` is canonical JSON and
#: empty until executed.
batch = Table(
    "batch",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("folios", Integer, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("result", Text, nullable=False),
    Column("executed_at", BigInteger),
    Column("verified_at", BigInteger),
)

#: State: running, passed, failed.
backup = Table(
    "backup",
    RECORDS,
    Column("handover", String(36), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("folios", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)
