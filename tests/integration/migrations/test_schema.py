# SPDX-License-Identifier: Apache-2.0
"""The revisions make exactly the schema that the code describes, on both engines."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, select

from services.audit.opening import LOG_LINE, SEARCH_LINE
from services.chassis.engines import Engines
from services.chassis.migrate import Line, check, upgrade
from services.vault.opening import KEYS_LINE
from tests.integration.migrations.lines import LINES, described, revision, tables
from tests.worlds import database


def differences(line: Line, engines: Engines, metadata: MetaData) -> list[object]:
    options = {
        "version_table": line.version_table,
        "compare_type": True,
        "compare_server_default": True,
    }
    with engines.reader.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, metadata)


@pytest.mark.parametrize("line", LINES)
def test_a_migrated_database_is_the_one_the_code_describes(
    line: Line, engines: Engines, tmp_path: Path
) -> None:
    upgrade(line, engines, tmp_path)
    assert differences(line, engines, line.metadata) == []
    assert tables(engines) == {*line.metadata.tables, line.version_table}
    kind = "sqlite" if engines.embedded else "postgres"
    with database(kind, tmp_path) as fresh:
        line.metadata.create_all(fresh.writer)
        assert described(engines.reader, line.metadata) == described(
            fresh.reader, line.metadata
        )


def test_a_table_without_its_revision_is_noticed(
    engines: Engines, tmp_path: Path
) -> None:
    upgrade(KEYS_LINE, engines, tmp_path)
    later = MetaData()
    for table in KEYS_LINE.metadata.tables.values():
        table.to_metadata(later)
    later.tables["generation"].append_column(Column("note", Integer))
    Table("later", later, Column("id", Integer))
    kinds = [str(found[0]) for found in differences(KEYS_LINE, engines, later)]
    assert kinds == ["add_table", "add_column"]


@pytest.mark.parametrize("line", LINES)
def test_every_line_is_one_line(line: Line) -> None:
    numbers = sorted(
        path.name.partition("_")[0] for path in (line.scripts / "versions").glob("*.py")
    )
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


def test_upgrading_again_changes_nothing(engines: Engines, tmp_path: Path) -> None:
    generation = KEYS_LINE.metadata.tables["generation"]
    upgrade(KEYS_LINE, engines, tmp_path)
    with engines.writer.begin() as connection:
        connection.execute(generation.insert().values(id=1, number=7, root="r"))
    before = described(engines.reader, KEYS_LINE.metadata)
    upgrade(KEYS_LINE, engines, tmp_path)
    check(KEYS_LINE, engines)
    assert described(engines.reader, KEYS_LINE.metadata) == before
    with engines.reader.connect() as connection:
        assert connection.execute(select(generation)).all() == [(1, 7, "r")]


def test_two_databases_that_share_one_keep_their_revisions_apart(
    engines: Engines, tmp_path: Path
) -> None:
    upgrade(LOG_LINE, engines, tmp_path)
    assert revision(SEARCH_LINE, engines) is None
    upgrade(SEARCH_LINE, engines, tmp_path)
    assert revision(LOG_LINE, engines) == revision(SEARCH_LINE, engines) == "0001"
    assert tables(engines) == {
        *LOG_LINE.metadata.tables,
        *SEARCH_LINE.metadata.tables,
        LOG_LINE.version_table,
        SEARCH_LINE.version_table,
    }
