# SPDX-License-Identifier: Apache-2.0
"""Promise: who sends a guess and learns that it holds leaves a trace, once a guess."""

from typing import Any

import pytest

from tests.integration.vault.records.shop import JANE, Shop, person

UNCHANGED = "unchanged"


async def _compared(shop: Shop) -> list[Any]:
    reads = await shop.vault.events("record.read")
    return [event for event in reads if event.data["view"] == UNCHANGED]


async def test_an_upsert_that_changes_nothing_is_in_the_log(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    [created] = await shop.vault.events("record.created")
    again = await shop.seller.send("POST", "/v1/records", JANE)
    assert (again.status_code, again.json()["id"]) == (200, id_)
    [event] = await _compared(shop)
    assert again.headers["audit-event"] == event.id
    assert event.data["record"] == created.data["record"]
    assert event.data["client"] == "crm"
    assert event.data["purpose"] == "customer_service"
    assert event.data["classes"] == ["basic", "habits", "purchases"]
    assert again.headers["etag"] == '"1"'


async def test_one_that_names_a_number_alone_is_in_the_log_too(shop: Shop) -> None:
    await shop.seller.create(JANE)
    number = {"external_id": JANE["external_id"]}
    answer = await shop.seller.send("POST", "/v1/records", number)
    [event] = await _compared(shop)
    assert (answer.status_code, event.data["classes"]) == (200, ["identity"])


async def test_a_patch_and_an_append_that_change_nothing_are_too(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    guess = {"documents": {"basic": {"city": "Musterhausen"}}}
    append = {"class": "purchases", "entries": JANE["entries"]["purchases"]}
    answers = [
        await shop.seller.send("PATCH", f"/v1/records/{id_}", guess, if_match='"1"'),
        await shop.seller.send("POST", f"/v1/records/{id_}/entries", append),
    ]
    events = await _compared(shop)
    assert [a.headers["audit-event"] for a in answers] == [e.id for e in events]
    assert [e.data["classes"] for e in events] == [["basic"], ["purchases"]]


@pytest.mark.parametrize("whole", [False, True])
async def test_each_unchanged_item_of_a_batch_has_its_event(
    shop: Shop, *, whole: bool
) -> None:
    for number in range(3):
        await shop.seller.create(person(number))
    items = [{"ref": f"r{n}", "record": person(n)} for n in range(4)]
    body = {"all_or_none": whole, "items": items}
    answer = await shop.seller.send("POST", "/v1/records:batch", body)
    assert [one["status"] for one in answer.json()["items"]] == [200] * 3 + [201]
    assert len({event.data["record"] for event in await _compared(shop)}) == 3


async def test_a_repetition_under_its_key_is_no_second_guess(shop: Shop) -> None:
    await shop.seller.create(JANE)
    answers = [
        await shop.seller.send("POST", "/v1/records", JANE, idempotency_key="k")
        for _ in range(2)
    ]
    [event] = await _compared(shop)
    assert [a.headers["audit-event"] for a in answers] == [event.id] * 2
