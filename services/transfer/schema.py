# SPDX-License-Identifier: Apache-2.0
"""Transfer's one database as metadata; the tables stand in their rooms."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from services.chassis.lanes import define_tables

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

TRANSFER: Final = MetaData(naming_convention=NAMING)

LANES: Final = define_tables(TRANSFER)
