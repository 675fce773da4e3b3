# SPDX-License-Identifier: Apache-2.0
"""Tables of handovers, their steps, seats, scopes and signed documents."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from services.chassis.idempotency import define_table
from services.transfer.schema import TRANSFER

#: One row per handover; moved by compare-and-swap on (state, step) and nothing else.
#: `fault` is the code of what stopped the system's own step, '' while nothing does.
#: `driven_until` and `driven_by` are a worker's lease on the system's step, or a pause
#: in it, which is nobody's.
handover = Table(
    "handover",
    TRANSFER,
    Column("id", String(36), primary_key=True),
    Column("seller", String(64), nullable=False),
    Column("buyer", String(64), nullable=False),
    Column("reviewer", String(64), nullable=False),
    Column("deal_type", String(32), nullable=False),
    Column("path", String(32), nullable=False),
    Column("note", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("step", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("plan", LargeBinary),
    Column("plan_hash", String(71), nullable=False),
    Column("plan_expires_at", BigInteger),
    Column("snapshot_id", String(64), nullable=False),
    Column("as_of", String(10), nullable=False),
    Column("decision_root", String(71), nullable=False),
    Column("decision", Text, nullable=False),
    Column("backup", Text, nullable=False),
    Column("turned", Text, nullable=False),
    Column("fault", String(64), nullable=False),
    Column("driven_until", BigInteger, nullable=False),
    Column("driven_by", String(64), nullable=False),
    Index("ix_handover_state", "state"),
    Index("ix_handover_seller", "seller", "id"),
    Index("ix_handover_buyer", "buyer", "id"),
    Index("ix_handover_reviewer", "reviewer", "id"),
)

#: The evidence: one row per step, dense from 1, never changed. Replayed, the rows
#: give the handover's position.
transition = Table(
    "transition",
    TRANSFER,
    Column("handover", String(36), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("event", String(32), nullable=False),
    Column("actor", String(3), nullable=False),
    Column("person", String(32), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("from_state", String(32), nullable=False),
    Column("to_state", String(32), nullable=False),
    Column("document", String(71), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

#: One person, one role per handover: the primary key says so. `alias` stands for the
#: person in steps and events.
seat = Table(
    "seat",
    TRANSFER,
    Column("handover", String(36), primary_key=True),
    Column("person", String(128), primary_key=True),
    Column("role", String(2), nullable=False),
    Column("alias", String(32), nullable=False),
    UniqueConstraint("handover", "alias"),
)

scope = Table(
    "scope",
    TRANSFER,
    Column("handover", String(36), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("step", Integer, nullable=False),
)

#: Signed envelopes, kept also when an edit voids them (`voided_step`).
document = Table(
    "document",
    TRANSFER,
    Column("handover", String(36), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("role", String(2), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("subject", String(71), nullable=False),
    Column("digest", String(71), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("voided_step", Integer),
)

#: Creation is done once per key.
idempotency = define_table(TRANSFER)
