# SPDX-License-Identifier: Apache-2.0
"""What a request leaves behind: rows, events, log lines, metrics."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData, Table, select
from sqlalchemy.engine import Connection

from contracts.events import envelope
from services.audit.schema import LOG
from services.transfer.schema import TRANSFER
from services.vault.schema import KEYS, READS, RECORDS
from tests.contract.site import Site

#: Not the projection of the search, which follows the log in its own time.
OF_DATABASE: dict[str, MetaData] = {
    "changes": RECORDS,
    "reads": READS,
    "keys": KEYS,
    "handovers": TRANSFER,
    "log": LOG,
}
#: Lanes grow by denials; the pin of the followed log moves by itself.
MOVING = ("lane", "log_pin")


@dataclass(frozen=True)
class Left:
    """The content of every database but its lanes, and the events of the lanes.

    Attributes:
        tables: Digest of the rows of each table.
        events: Type of each event, by lane and number.
    """

    tables: dict[str, str]
    events: dict[tuple[str, int], str]


def left(site: Site) -> Left:
    """Return what is in the databases now."""
    tables: dict[str, str] = {}
    events: dict[tuple[str, int], str] = {}
    for name, metadata in OF_DATABASE.items():
        database = site.databases[name]
        if name == "reads" and not database.engines.embedded:
            continue  # they are in the records' database there

        def look(connection: Connection, name: str = name, m: MetaData = metadata) -> None:  # fmt: skip
            for table in m.sorted_tables:
                if "outbox" in table.name:
                    events.update(_events(connection, table))
                elif not table.name.startswith(MOVING):
                    tables[f"{name}.{table.name}"] = _digest(connection, table)

        site.run(database.read(look))
    return Left(tables, events)


def _digest(connection: Connection, table: Table) -> str:
    found = sorted(repr(tuple(row)) for row in connection.execute(select(table)))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _events(connection: Connection, table: Table) -> dict[tuple[str, int], str]:
    found = {}
    for row in connection.execute(select(table.c.event)):
        event = envelope.parse(bytes(row.event))
        found[event.lane, event.seq] = event.type
    return found


def nothing_written(before: Left, after: Left) -> None:
    """Check that no row changed and that no event but denials was appended."""
    changed = {k for k, v in after.tables.items() if before.tables.get(k) != v}
    new = [kind for place, kind in after.events.items() if place not in before.events]
    assert not changed, changed
    assert set(new) <= {"org.keyturn.access.denied.v1"}, new


def spoken(site: Site) -> str:
    """Return everything the services said since the last call: log and metrics."""
    said = site.log.getvalue()
    site.log.seek(0)
    site.log.truncate()
    metrics = [app.state.metrics.render().decode() for app in site.apps.values()]
    return said + "\n".join(metrics)


def shown(answer: Any) -> str:
    """Return an answer as one text, headers and all, JSON escapes undone."""
    try:
        plain = json.dumps(answer.json(), ensure_ascii=False)
    except ValueError:
        plain = ""
    headers = "\n".join(f"{k}: {v}" for k, v in answer.headers.items())
    return f"{headers}\n{answer.content.decode('utf-8', 'replace')}\n{plain}"
