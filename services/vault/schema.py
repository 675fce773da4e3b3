# SPDX-License-Identifier: Apache-2.0
"""The vault's three databases as metadata; the tables stand in their rooms.

On SQLite each is an encrypted file; on PostgreSQL the journal of reads shares the
records' database and its lane tables, and only the keys stand apart.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from services.chassis import idempotency
from services.chassis.lanes import define_tables

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

RECORDS: Final = MetaData(naming_convention=NAMING)
READS: Final = MetaData(naming_convention=NAMING)
KEYS: Final = MetaData(naming_convention=NAMING)

CHANGES_LANES: Final = define_tables(RECORDS)
READS_LANES: Final = define_tables(READS)
IDEMPOTENCY: Final = idempotency.define_table(RECORDS)
