# SPDX-License-Identifier: Apache-2.0
"""Audit's two databases as metadata: the log, and the search projection beside it.

The projection commits on its own, so that it never holds up the sequencer; on
PostgreSQL both live in one database.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from services.chassis.lanes import define_tables

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

LOG: Final = MetaData(naming_convention=NAMING)
SEARCH: Final = MetaData(naming_convention=NAMING)

OWN_LANES: Final = define_tables(LOG)
