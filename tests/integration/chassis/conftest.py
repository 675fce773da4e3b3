# SPDX-License-Identifier: Apache-2.0
"""Journals on real stores: an encrypted SQLite file, and PostgreSQL where there is one."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from sqlalchemy import Column, MetaData, String, Table, UniqueConstraint

from services.chassis.clock import SystemClock, random_alias
from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from services.chassis.journal import Journal
from services.chassis.lanes import LaneTables, Source, define_tables

SOURCE = Source("0011223344556677", "vault", SigningKey(bytes(32)))


class World:
    """One empty database, its journal's tables, and a table of things to write.

    `where` says where it is, for other processes: see `paused_writer`.
    """

    def __init__(self, connect: Callable[[], Engines], *where: str) -> None:
        self.connect = connect
        self.where = where
        self.metadata = MetaData()
        self.tables: LaneTables = define_tables(self.metadata)
        self.thing = Table(
            "thing",
            self.metadata,
            Column("id", String(64), primary_key=True),
            Column("name", String(64)),
            UniqueConstraint("name"),
        )
        engines = connect()
        self.metadata.create_all(engines.writer)
        engines.dispose()
        self.opened: list[Journal] = []

    def journal(self, slot: str = "w/changes", **options: object) -> Journal:
        journal = Journal(
            self.connect(),
            self.tables,
            SOURCE,
            slot,
            clock=SystemClock(),
            new_id=random_alias,
            **options,
        )
        self.opened.append(journal)
        return journal

    def close(self) -> None:
        for journal in self.opened:
            journal.database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        key = secrets.token_bytes(32)
        path = tmp_path / "test.db"
        made = World(lambda: sqlite_engines(path, key), "sqlite", str(path), key.hex())
        yield made
        made.close()
        return
    url = os.environ.get("KEYTURN_TEST_POSTGRES")
    if url is None:
        pytest.skip("KEYTURN_TEST_POSTGRES names no server")
    from tests.worlds import postgres_database

    with postgres_database() as database:
        made = World(lambda: postgres_engines(database), "postgres", database)
        yield made
        made.close()
