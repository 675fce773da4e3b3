# SPDX-License-Identifier: Apache-2.0
"""Promise: a mandate that held at one batch is judged anew at the next."""

from datetime import timedelta

import pytest

from contracts.custody.mandate import Mandate, MandateRefused
from services.vault.custody.state import ScopeState
from services.vault.mandate.ground import standing
from services.vault.mandate.releasing import checked_mandate
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE


async def held(deal: Deal, after: timedelta = timedelta()) -> Mandate:
    now = deal.vault.house.clock.now() + after
    return await deal.vault.rooms.changes.read(
        lambda c: checked_mandate(
            c,
            at := standing(c, deal.handover),
            at.frozen(ScopeState.MANDATED),
            now,
        )
    )


async def test_what_held_holds_until_its_end_and_no_longer(deal: Deal) -> None:
    await deal.shop.seller.create(JANE)
    await deal.mandated()
    first = await held(deal)
    left = first.expires - deal.vault.house.clock.now()
    assert await held(deal, left - timedelta(seconds=1)) == first
    with pytest.raises(MandateRefused, match="expired"):
        await held(deal, left)


async def test_a_key_revoked_after_it_held_ends_it(deal: Deal) -> None:
    await deal.shop.seller.create(JANE)
    await deal.mandated()
    await held(deal)
    answer = await deal.vault.http.post(
        f"/v1/officers/{deal.people.SO.sign.key_id}:revoke",
        headers=await deal.vault.as_officer(deal.people.SC),
    )
    assert answer.status_code == 200, answer.text
    with pytest.raises(MandateRefused, match="key-revoked"):
        await held(deal)
