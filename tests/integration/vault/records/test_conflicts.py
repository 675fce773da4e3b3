# SPDX-License-Identifier: Apache-2.0
"""Promise: who asks by creating whether somebody is known leaves a trace."""

from typing import Any

import httpx
import pytest

from tests.integration.vault.records.handover import handed_over
from tests.integration.vault.records.shop import Shop, person

TWICE = {**person(1), "external_id": "C-other"}


async def _batch(shop: Shop, *records: Any, whole: bool = False) -> httpx.Response:
    items = [{"ref": f"r{n}", "record": one} for n, one in enumerate(records)]
    body = {"all_or_none": whole, "items": items}
    return await shop.seller.send("POST", "/v1/records:batch", body)


async def test_each_conflict_is_in_the_log_before_it_is_told(shop: Shop) -> None:
    await shop.seller.create(person(1))
    taken = await shop.seller.send("POST", "/v1/records", TWICE)
    exists = await shop.seller.send("POST", "/v1/records", person(1), if_none_match="*")
    denied = await shop.vault.events("access.denied")
    for answer, event in zip((taken, exists), denied, strict=True):
        told = answer.json()
        assert (answer.status_code, told["audit_event"]) == (409, event.id)
        assert answer.headers["audit-event"] == event.id
        assert event.data["reason"] == told["code"]
        assert (event.data["action"], "record" in event.data) == ("create", False)
        assert event.data["purpose"] == "customer_service"


async def test_a_patch_that_guesses_a_value_is_in_the_log_too(shop: Shop) -> None:
    await shop.seller.create(person(1))
    id_ = await shop.seller.create(person(2))
    patch = {"documents": {"basic": {"email": "p1@example.org"}}}
    answer = await shop.seller.send(
        "PATCH", f"/v1/records/{id_}", patch, if_match='"1"'
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "unique-conflict")
    [event] = await shop.vault.events("access.denied")
    assert (event.data["action"], event.data["reason"]) == ("patch", "unique-conflict")


async def test_what_was_handed_over_is_not_told_without_a_trace(shop: Shop) -> None:
    await handed_over(shop, await shop.seller.create(person(1)))
    answer = await shop.seller.send("POST", "/v1/records", TWICE)
    assert (answer.status_code, answer.json()["code"]) == (409, "handed-over")
    [event] = await shop.vault.events("access.denied")
    assert event.data["reason"] == "handed-over"


@pytest.mark.parametrize("whole", [False, True])
async def test_a_batch_names_an_event_for_each_conflict(
    shop: Shop, *, whole: bool
) -> None:
    await shop.seller.create(person(1))
    answer = await _batch(shop, person(2), TWICE, whole=whole)
    told = answer.json()["items"][1]["problem"]
    [event] = await shop.vault.events("access.denied")
    assert (told["code"], told["audit_event"]) == ("unique-conflict", event.id)


async def test_without_the_journal_of_reads_no_conflict_is_told(shop: Shop) -> None:
    await shop.seller.create(person(1))
    shop.vault.rooms.reads.database.close()
    single = await shop.seller.send("POST", "/v1/records", TWICE)
    assert (single.status_code, single.json()["code"]) == (503, "audit-unavailable")
    whole = await _batch(shop, person(2), TWICE, whole=True)
    assert (whole.status_code, whole.json()["code"]) == (503, "audit-unavailable")
    each = (await _batch(shop, person(2), TWICE)).json()["items"]
    assert [one["status"] for one in each] == [201, 503]
    for answer in (single.text, whole.text, str(each)):
        assert "unique-conflict" not in answer


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "second",
    [
        {**person(2), "external_id": " C-1 "},
        {"documents": {"basic": {"email": "p1@EXAMPLE.org"}}},
    ],
)
async def test_a_batch_cannot_ask_by_naming_a_value_twice(
    shop: Shop, second: dict[str, Any], *, whole: bool
) -> None:
    answers = []
    for known in (False, True):
        if known:
            await shop.seller.create(person(1))
        answer = await _batch(shop, person(1), second, whole=whole)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation")
        assert "p1@" not in answer.text.lower()
        answers.append(answer.json()["errors"])
    assert answers[0] == answers[1]
    assert len(await shop.vault.events("record.created")) == 1
