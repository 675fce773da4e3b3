# SPDX-License-Identifier: Apache-2.0
"""Tables of the field catalogue: a field that is not in it is refused at the door."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, String, Table

from services.vault.schema import RECORDS

#: `form` is document (one volume) or entries (one volume a year).
data_class = Table(
    "data_class",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("form", String(16), nullable=False),
)

field = Table(
    "field",
    RECORDS,
    Column("party", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("class", String(64), nullable=False),
    Column("grade", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("mask", String(32), nullable=False),
    Column("searchable", Boolean, nullable=False),
    Column("unique", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
