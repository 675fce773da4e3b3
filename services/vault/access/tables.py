# SPDX-License-Identifier: Apache-2.0
"""Tables of the daily quota, beside the read events whose transaction fills them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, String, Table

from services.vault.schema import READS, RECORDS


@dataclass(frozen=True)
class QuotaTables:
    """What each actor was shown, by the day of its party.

    Attributes:
        used: How many records; `actor` is an alias, `day` an ISO date.
        shown: Which ones, by alias: the unique key decides what counts as another.
    """

    used: Table
    shown: Table


def _define(metadata: MetaData) -> QuotaTables:
    return QuotaTables(
        used=Table(
            "quota",
            metadata,
            Column("day", String(10), primary_key=True),
            Column("actor", String(32), primary_key=True),
            Column("used", BigInteger, nullable=False),
        ),
        shown=Table(
            "quota_record",
            metadata,
            # The day first, so that old days are deleted from one end of the key.
            Column("day", String(10), primary_key=True),
            Column("actor", String(32), primary_key=True),
            Column("record", String(32), primary_key=True),
        ),
    )


#: On PostgreSQL the read events stand in the records' database, and so do these. A
#: statement names no database, and serves both.
TABLES: Final = _define(READS)
_OF_RECORDS: Final = _define(RECORDS)
