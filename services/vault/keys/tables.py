# SPDX-License-Identifier: Apache-2.0
"""Tables of the class and index keys, in a small database of their own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from services.vault.schema import KEYS

#: `use` is class or index; `wrapped` is under the root key and empty once destroyed.
class_key = Table(
    "class_key",
    KEYS,
    Column("party", String(64), primary_key=True),
    Column("class", String(64), primary_key=True),
    Column("use", String(8), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("destroyed_at", BigInteger),
)

#: One row (id 1): `number` moves with each key change and drops cached keys
#: everywhere; `root` is the fingerprint of the root key that wraps this database.
generation = Table(
    "generation",
    KEYS,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("root", String(64), nullable=False),
)
