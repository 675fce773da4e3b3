# SPDX-License-Identifier: Apache-2.0
"""A deal between two companies whose officers are enrolled, at a running vault."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.vault.house import House
from tests.integration.vault.mandate.deal import Deal, enrol_all, open_deal


@pytest.fixture
async def deal(house: House) -> AsyncIterator[Deal]:
    people = enrol_all(house)
    async with house.running() as vault:
        yield await open_deal(vault, people)
