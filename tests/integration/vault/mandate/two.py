# SPDX-License-Identifier: Apache-2.0
"""One deal seen from two workers of the vault, on one database."""

import asyncio
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from services.vault.custody import handover as custody
from services.vault.custody.tables import custody as custody_table
from tests.integration.vault.house import Vault
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import Crm, Shop


class Two:
    """One deal seen from two workers of the vault: `here` and `there`."""

    def __init__(self, here: Deal, there: Deal, jane: str) -> None:
        self.here = here
        self.there = there
        self.jane = jane

    async def pending(self) -> dict[str, int]:
        return await self.here.vault.rooms.changes.read(
            lambda c: custody.pending_counts(c, self.here.handover, "buyer")
        )

    async def left_by(self) -> set[str]:
        table = custody_table
        return await self.here.vault.rooms.changes.read(
            lambda c: set(
                c.execute(
                    select(table.c.left_by).where(
                        table.c.party == "seller", table.c.record == self.jane
                    )
                ).scalars()
            )
        )


def seen_from(vault: Vault, here: Deal) -> Deal:
    """Return the same deal at another worker."""
    shop = Shop(
        vault,
        Crm(vault, here.shop.seller.headers),
        Crm(vault, here.shop.buyer.headers),
        Crm(vault, here.shop.seller.headers),
    )
    return replace(here, shop=shop, transfer=Crm(vault, here.transfer.headers))


async def blocked(task: "asyncio.Task[Any]") -> None:
    """Assert that a task waits for somebody else's lock."""
    done, _waiting = await asyncio.wait([task], timeout=0.5)
    assert not done, "it did not wait"
