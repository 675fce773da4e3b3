# SPDX-License-Identifier: Apache-2.0
"""Promise: a clock that was ahead takes no folio out of a decision."""

from datetime import timedelta

from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE


async def test_what_was_written_while_the_clock_was_ahead_moves_whole(
    deal: Deal,
) -> None:
    seller, clock = deal.shop.seller, deal.vault.house.clock
    today = clock.now()
    jane = await seller.create(JANE)
    await deal.consent(jane)
    clock.set(today + timedelta(minutes=3))
    etag = (await seller.read(jane)).headers["ETag"]
    change = {"documents": {"basic": {"name": "Jane Roe"}}}
    path = f"/v1/records/{jane}"
    changed = await seller.send("PATCH", path, change, **{"If-Match": etag})
    assert changed.status_code == 200, changed.text
    clock.set(today)
    await deal.decided()
    status = await deal.status()
    history = (await seller.send("GET", f"{path}/history")).json()["items"]
    held = {(one["class"], one["volume"]) for one in history}
    assert status["decided"] == len(held) > 1
