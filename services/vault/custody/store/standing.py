# SPDX-License-Identifier: Apache-2.0
"""SQL that goes through every folio as it lies there, for the comparison with the log.

Opens nothing and needs no key of a record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.engine import Connection

from services.vault.custody.state import TurnState
from services.vault.custody.tables import alias, folio, record, turn, version
from services.vault.custody.written import StandingRow

_ROWS: Final = 200  # payloads in memory at once


def standing_rows(connection: Connection) -> Iterator[StandingRow]:
    """Yield the current version of every folio that is not pending.

    A folio without its record, its alias or its version is yielded too: that is what
    is looked for.
    """
    pending = and_(record.c.arrived_by != "", turn.c.state != TurnState.TURNED.value)
    same = and_(record.c.party == folio.c.party, record.c.id == folio.c.record)
    named = and_(alias.c.party == folio.c.party, alias.c.record == folio.c.record)
    rows = connection.execution_options(yield_per=_ROWS).execute(
        select(
            folio.c.party,
            alias.c.alias,
            folio.c["class"],
            folio.c.volume,
            folio.c.current_version,
            version.c.digest,
            version.c.payload,
            record.c.arrived_by,
        )
        .select_from(folio)
        .outerjoin(record, same)
        .outerjoin(alias, named)
        .outerjoin(version, version.c.id == folio.c.current_version)
        .outerjoin(turn, turn.c.handover == record.c.arrived_by)
        .where(or_(record.c.id.is_(None), ~pending, turn.c.state.is_(None)))
        .order_by(folio.c.party, folio.c.record, folio.c["class"], folio.c.volume)
    )
    for party, name, class_, volume, id_, digest, payload, arrived_by in rows:
        yield StandingRow(
            party=party,
            alias=name or "",
            folio=f"{class_}/{volume}",
            version=id_,
            digest=digest,
            whole=digest is not None and hashlib.sha256(payload).digest() == digest,
            arrived=bool(arrived_by),
        )
