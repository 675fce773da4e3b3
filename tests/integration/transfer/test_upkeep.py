# SPDX-License-Identifier: Apache-2.0
"""Promise: what relays and follows can be scraped, whoever did it before."""

from __future__ import annotations

import asyncio

from services.transfer.app import Base, open_base
from tests.integration.transfer.house import House

RELAYS = 'keyturn_relay_up{journal="handover"}'


async def _until_it_relays(base: Base) -> None:
    for _ in range(400):
        if RELAYS in base.metrics.render().decode():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_a_worker_gives_the_upkeep_way_to_a_server(house: House) -> None:
    http = house.vault.client()
    worker = open_base(house.settings, "worker-9", house.clock, http)
    async with worker.running(give_way=0.5):
        await _until_it_relays(worker)
        async with house.running() as running:
            assert RELAYS not in running.base.metrics.render().decode()
            await _until_it_relays(running.base)
