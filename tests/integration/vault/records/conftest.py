# SPDX-License-Identifier: Apache-2.0
"""Two companies with a catalogue and a CRM each, in a running vault."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.vault.house import House
from tests.integration.vault.records.shop import Shop, enrol, open_shop


@pytest.fixture
async def shop(house: House) -> AsyncIterator[Shop]:
    enrol(house)
    async with house.running() as vault:
        yield await open_shop(vault)
