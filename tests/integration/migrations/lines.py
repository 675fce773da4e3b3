# SPDX-License-Identifier: Apache-2.0
"""Every line of revisions; lines that go on; what a database really looks like."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect

from services.audit.opening import LOG_LINE, SEARCH_LINE
from services.chassis.engines import Engines
from services.chassis.migrate import Line
from services.transfer.opening import LINE as TRANSFER_LINE
from services.vault.opening import KEYS_LINE, READS_LINE, RECORDS_LINE

LINES: Final = [
    pytest.param(line, id=line.database)
    for line in (
        RECORDS_LINE,
        READS_LINE,
        KEYS_LINE,
        TRANSFER_LINE,
        LOG_LINE,
        SEARCH_LINE,
    )
]

REVISION: Final = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("first_{number}", sa.Column("id", sa.Integer))
    {between}
    op.create_table("second_{number}", sa.Column("id", sa.Integer))
"""


def grown(
    line: Line, folder: Path, revisions: int, between: str = "op.execute('SELECT 1')"
) -> Line:
    """The line as a later version has it: each revision more makes two tables."""
    scripts = folder / f"100%-{revisions}-{line.database}"
    shutil.copytree(line.scripts, scripts, ignore=shutil.ignore_patterns("__pyc*"))
    for n in range(2, 2 + revisions):
        text = REVISION.format(number=f"{n:04}", before=f"{n - 1:04}", between=between)
        (scripts / "versions" / f"{n:04}_more.py").write_text(text)
    return dataclasses.replace(line, scripts=scripts)


def tables(engines: Engines) -> set[str]:
    """The names of all tables, the version tables' included."""
    with engines.reader.connect() as connection:
        return set(inspect(connection).get_table_names())


def revision(line: Line, engines: Engines) -> str | None:
    with engines.reader.connect() as connection:
        options = {"version_table": line.version_table}
        context = MigrationContext.configure(connection, opts=options)
        return context.get_current_revision()


def described(engine: Engine, metadata: MetaData) -> dict[str, Any]:
    """All that the engine says of the metadata's tables, names included."""
    with engine.connect() as connection:
        seen = inspect(connection)
        found = {
            name: {
                "columns": [
                    {**column, "type": str(column["type"])}
                    for column in seen.get_columns(name)
                ],
                "primary key": seen.get_pk_constraint(name),
                "unique": by_name(seen.get_unique_constraints(name)),
                "checks": by_name(seen.get_check_constraints(name)),
                "foreign keys": by_name(seen.get_foreign_keys(name)),
                "indexes": [spelled(i) for i in by_name(seen.get_indexes(name))],
            }
            for name in metadata.tables
        }
        if engine.dialect.name == "sqlite":  # its own text says all the rest
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master")
            texts = {name: " ".join(sql.split()) for name, sql in rows if sql}
            for name in metadata.tables:
                found[name]["text"] = texts[name]
        return found


def by_name(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: str(item["name"]))


def spelled(index: Any) -> dict[str, Any]:
    """An index with the condition of a partial one as text."""
    options = index.get("dialect_options", {})
    return {**index, "dialect_options": {k: str(v) for k, v in options.items()}}
