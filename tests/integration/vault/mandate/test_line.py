# SPDX-License-Identifier: Apache-2.0
"""Promise: a handover goes from plan to turn, and only then the reader changes."""

from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE, person


async def test_the_whole_line(deal: Deal) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane)
    silent = await deal.shop.seller.create(person(7))
    await deal.verified()
    before = await deal.shop.seller.read(jane)
    assert before.status_code == 200, before.text

    answer = await deal.turn()
    assert answer.status_code == 200, answer.text
    assert answer.json()["counts"] == {
        "basic": {
            "excluded": {"consent": 1},
            "transfer": {"eligible": 1},
        },
        "habits": {"transfer": {"eligible": 1}},
        "purchases": {"transfer": {"eligible": 1}},
    }
    # The buyer finds her by her e-mail, and reads everything that moved.
    found = await deal.shop.buyer.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": "email", "value": "jane.quillfeather@example.org"}]},
    )
    (new_id,) = found.json()["items"][0]["records"]
    assert new_id != jane
    read = await deal.shop.buyer.read(new_id)
    assert read.status_code == 200, read.text
    assert read.json()["documents"] == JANE["documents"]
    assert [e["entry_id"] for e in read.json()["entries"]["purchases"]] == ["o-1"]
    # The seller keeps whoever did not consent, and nothing else.
    assert (await deal.shop.seller.read(jane)).status_code == 403
    assert (await deal.shop.seller.read(silent)).status_code == 200
    again = await deal.turn()
    assert again.json() == answer.json()
