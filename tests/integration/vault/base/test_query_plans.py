# SPDX-License-Identifier: Apache-2.0
"""Promise: what a read or a write asks of the records costs the same at any size.

Each prepared select goes to its rows by their keys. One that walks a party's rows
instead made every new customer dearer than the one before.
"""

import importlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Select
from sqlalchemy.engine import Connection

from services.chassis.engines import sqlite_engines
from services.chassis.prepared import Prepared
from services.vault.opening import RECORDS_LINE

STORES = (
    "services.vault.catalogue.store",
    "services.vault.custody.store.arrivals",
    "services.vault.custody.store.decisions",
    "services.vault.custody.store.folios",
    "services.vault.custody.store.handing",
    "services.vault.custody.store.index",
    "services.vault.custody.store.records",
    "services.vault.custody.store.rights",
    "services.vault.custody.store.scopes",
    "services.vault.mandate.store",
    "services.vault.parties.store",
)


def prepared() -> Iterator[tuple[str, Select[tuple[object, ...]]]]:
    for module in STORES:
        for name, found in vars(importlib.import_module(module)).items():
            if isinstance(found, Prepared) and isinstance(found.statement, Select):
                yield f"{module}.{name}", found.statement


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engines = sqlite_engines(tmp_path / "plans.db", secrets.token_bytes(32))
    RECORDS_LINE.metadata.create_all(engines.writer)
    with engines.reader.connect() as opened:
        yield opened
    engines.dispose()


def plan_of(connection: Connection, statement: Select[tuple[object, ...]]) -> list[str]:
    compiled = statement.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    values = tuple("x" for _name in compiled.positiontup or ())
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)
    return [str(row[3]) for row in rows]


def test_there_are_prepared_selects() -> None:
    assert len(list(prepared())) >= 25


@pytest.mark.parametrize(
    ("name", "statement"), list(prepared()), ids=lambda item: str(item)[:60]
)
def test_no_prepared_select_walks_a_table(
    connection: Connection, name: str, statement: Select[tuple[object, ...]]
) -> None:
    plan = plan_of(connection, statement)
    walked = [
        step for step in plan if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"
    ]
    assert walked == [], name
    assert not [step for step in plan if "TEMP B-TREE" in step], name


def test_a_value_is_found_by_its_value(connection: Connection) -> None:
    from services.vault.custody.store import index

    plan = plan_of(connection, index._FIND.statement)
    assert "party=? AND field=? AND value=?" in plan[0]
