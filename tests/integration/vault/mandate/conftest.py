# SPDX-License-Identifier: Apache-2.0
"""A deal between two companies whose officers are enrolled, at a running vault."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.vault.house import House
from tests.integration.vault.mandate.deal import Deal, enrol_all, open_deal
from tests.integration.vault.mandate.two import Two, seen_from
from tests.integration.vault.records.shop import JANE


@pytest.fixture
async def deal(house: House) -> AsyncIterator[Deal]:
    people = enrol_all(house)
    async with house.running() as vault:
        yield await open_deal(vault, people)


@pytest.fixture
async def two(house: House) -> AsyncIterator[Two]:
    """Jane's deal at two workers; she consented."""
    people = enrol_all(house)
    async with house.running() as first, house.running("vault-2") as second:
        here = await open_deal(first, people)
        jane = await here.shop.seller.create(JANE)
        await here.consent(jane)
        yield Two(here, seen_from(second, here), jane)
