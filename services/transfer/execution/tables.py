# SPDX-License-Identifier: Apache-2.0
"""The table of batches: what is to be done, who does it now, what came of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from services.transfer.schema import TRANSFER

#: State: waiting, executed, verified, failed. A batch is leased while `lease_until`
#: lies ahead; a worker that died leaves a lease that runs out. No rows of records.
batch = Table(
    "batch",
    TRANSFER,
    Column("handover", String(36), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("folios", Integer, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("state", String(16), nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("leased_by", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("moved", Integer, nullable=False),
    Column("dropped", Integer, nullable=False),
    Column("fault", String(64), nullable=False),
    Column("executed_at", BigInteger),
    Column("verified_at", BigInteger),
    Index("ix_batch_next", "handover", "state", "n"),
    Index("ix_batch_leased_by", "leased_by"),
)
