# SPDX-License-Identifier: Apache-2.0
"""Both supported worlds, each with an empty broker."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.audit.house import House, opened
from tests.worlds import WORLDS, World, broker


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return request.param


@pytest.fixture
def address(world: World) -> Iterator[str]:
    with broker(world.broker) as bootstrap:
        yield bootstrap


@pytest.fixture
async def house(tmp_path: Path, world: World, address: str) -> AsyncIterator[House]:
    async with opened(tmp_path, world, lambda: address) as made:
        yield made
