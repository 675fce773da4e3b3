# SPDX-License-Identifier: Apache-2.0
"""A12: before the turn the buyer learns nothing about the seller's customers."""

import pytest

from services.vault.custody import handover as custody
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.records.shop import JANE, Crm, person

EMAIL = JANE["documents"]["basic"]["email"]
PHONE = JANE["documents"]["basic"]["phone"]


async def _pending_ids(deal: Deal) -> list[str]:
    rows = await deal.vault.rooms.changes.read(
        lambda c: custody.rows_after(c, deal.handover, -1, moving=True)
    )
    return sorted({one.row.new_record for one in rows})


async def _found(deal: Deal, field: str, value: str) -> list[str]:
    answer = await deal.shop.buyer.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": field, "value": value}]},
    )
    assert answer.status_code == 200, answer.text
    records: list[str] = answer.json()["items"][0]["records"]
    return records


@pytest.mark.attack("A12")
async def test_a12_pending_records_answer_no_look_up_read_list_or_alias(
    deal: Deal,
) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.verified()
    (pending,) = await _pending_ids(deal)
    counted = await deal.vault.rooms.changes.read(
        lambda c: custody.pending_counts(c, deal.handover, "buyer")
    )
    assert counted == {"basic": 1, "habits": 1, "purchases": 1}
    for field, value in (
        ("email", EMAIL),
        ("phone", PHONE),
        ("external_id", JANE["external_id"]),
    ):
        assert await _found(deal, field, value) == []
    absent = await deal.shop.buyer.read("0193a8f0-1111-7222-8333-444455556666")
    for path in (f"/v1/records/{pending}", f"/v1/records/{pending}/history"):
        hidden = await deal.shop.buyer.send("GET", path)
        assert hidden.status_code == 404
        assert {**hidden.json(), "request_id": ""} == {
            **absent.json(),
            "request_id": "",
        }
    listed = await deal.shop.buyer.send("GET", "/v1/records")
    assert listed.json()["items"] == []
    resolved = await deal.shop.buyer.send(
        "POST", "/v1/aliases:resolve", {"records": [pending]}
    )
    assert resolved.json()["items"] == [{"record": pending, "alias": None}]


@pytest.mark.attack("A12")
async def test_a12_a_guessed_unique_value_meets_no_conflict(deal: Deal) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.verified()
    guess = {**person(1), "documents": {"basic": {"email": EMAIL}}}
    answer = await deal.shop.buyer.send("POST", "/v1/records", guess)
    assert answer.status_code == 201, answer.text
    own = answer.json()["id"]
    assert await _found(deal, "email", EMAIL) == [own]
    # And the buyer's own customer does not stop the turn.
    assert (await deal.turn()).status_code == 200
    assert len(await _found(deal, "email", EMAIL)) == 2


@pytest.mark.attack("A12")
async def test_a12_no_event_before_the_turn_names_the_buyers_records(
    deal: Deal,
) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.verified()
    (pending,) = await _pending_ids(deal)
    named = await deal.vault.rooms.changes.read(
        lambda c: custody.named_records(c, "buyer", [pending])
    )
    alias = named[pending].alias
    events = await deal.vault.events()
    assert not any(alias in str(event.data) for event in events)
    of_steps = {
        event.type
        for event in events
        if "buyer" in {one.party for one in event.parties} and "handover" in event.data
    }
    assert of_steps == {
        "org.keyturn.plan.lodged.v1",
        "org.keyturn.scope.frozen.v1",
        "org.keyturn.decision.made.v1",
        "org.keyturn.mandate.accepted.v1",
    }


@pytest.mark.attack("A12")
async def test_a12_the_buyer_does_not_watch_objections_or_new_business(
    deal: Deal,
) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane)
    deal.vault.house.clock.advance(61)
    await deal.verified()
    await deal.object(jane)
    deal.vault.house.clock.advance(1)
    await deal.shop.seller.create(person(3))
    buyer = Crm(deal.vault, await deal.vault.as_officer(deal.people.BC))
    seen = (await deal.get("", buyer)).json()
    assert (seen["dropped"], seen["after_snapshot"]) == ({}, {})
    known = await deal.status()
    assert known["dropped"]["basic"] == {"objected": 1}
    assert known["after_snapshot"] == {"basic": 1}
    assert (await deal.turn()).status_code == 200
    assert (await deal.get("", buyer)).json()["dropped"] == known["dropped"]
