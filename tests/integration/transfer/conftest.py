# SPDX-License-Identifier: Apache-2.0
"""`house`: an initialised transfer, on SQLite and on PostgreSQL where there is one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.chassis.variables import Secret
from tests.integration.transfer.house import House, Running
from tests.worlds import DATABASES, postgres_database


@pytest.fixture(params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    if request.param == "sqlite":
        yield House(tmp_path)
        return
    with postgres_database() as url:
        yield House(tmp_path, Secret(url))


@pytest.fixture
async def running(house: House) -> AsyncIterator[Running]:
    async with house.running() as made:
        yield made
