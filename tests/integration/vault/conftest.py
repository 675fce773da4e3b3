# SPDX-License-Identifier: Apache-2.0
"""`house`: an initialised vault, on SQLite files and on PostgreSQL where there is one."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from services.chassis.variables import Secret
from tests.integration.vault.house import House, settings_in

SERVER = os.environ.get("KEYTURN_TEST_POSTGRES")


@contextlib.contextmanager
def fresh_database() -> Iterator[str]:
    assert SERVER is not None
    name = f"keyturn_{secrets.token_hex(8)}"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield SERVER.rpartition("/")[0] + f"/{name}"
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            server.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def bare_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A vault before its first `init`."""
    if request.param == "sqlite":
        yield House(settings_in(tmp_path))
        return
    if SERVER is None:
        pytest.skip("KEYTURN_TEST_POSTGRES is not set: make test-scaled")
    with fresh_database() as records, fresh_database() as keys:
        yield House(
            settings_in(
                tmp_path, database_url=Secret(records), keys_database_url=Secret(keys)
            )
        )


@pytest.fixture
def house(bare_house: House) -> House:
    bare_house.init()
    return bare_house
