# SPDX-License-Identifier: Apache-2.0
"""Promise: after a turn nobody's customer is lost over a value that two share.

Both stay readable and are found; a person decides, and no decision shows a value.
"""

from typing import Any

import pytest

from services.vault.mandate import settling
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.mandate.settlement import (
    EMAIL,
    OWN,
    Turned,
    officer_of,
    slots,
    turned,
)
from tests.integration.vault.records.shop import JANE, Crm, person


async def test_what_arrived_becomes_native_in_slices(
    deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SLICE_RECORDS", 2)
    view = await turned(deal, *(person(number) for number in range(5)))
    assert await view.listed() == []
    (records,) = (await slots(deal)).values()
    assert len(records) == 5
    assert list(await slots(deal)) == [("native", "unique")]
    seen = (await deal.get("", view.officer)).json()["settlement"]
    assert seen == {"state": "settled", "records": 5, "collisions": 0, "open": 0}
    again = await deal.shop.buyer.send("POST", "/v1/records", person(3))
    assert (again.status_code, again.json()["code"]) == (409, "unique-conflict")


async def test_a_collision_is_listed_without_a_value_and_both_are_found(
    deal: Deal,
) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    (one,) = await view.listed()
    arrived = one["record"]
    assert one == {
        "position": 1,
        "field": "email",
        "record": arrived,
        "other": own,
        "state": "open",
        "decision": None,
        "kept": None,
    }
    assert await view.found() == sorted([own, arrived])
    assert (await view.shown(arrived))["documents"]["basic"]["email"] == EMAIL
    assert await slots(deal) == {
        ("native", "unique"): [own],
        ("native", "beside"): [arrived],
    }
    [event] = await deal.vault.events("collision.found")
    assert (event.data["field"], event.data["position"]) == ("email", 1)
    assert not {own, arrived, EMAIL} & set(map(str, event.data.values()))


async def test_either_may_be_changed_while_it_waits_and_no_third_is_created(
    deal: Deal,
) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    (one,) = await view.listed()
    for record in (own, one["record"]):
        patched = await deal.shop.buyer.send(
            "PATCH",
            f"/v1/records/{record}",
            {"documents": {"basic": {"city": "Neustadt"}}},
            if_match=(await deal.shop.buyer.read(record)).headers["etag"],
        )
        assert patched.status_code == 200, patched.text
    third = {"documents": {"basic": {"name": "Third", "email": EMAIL}}}
    refused = await deal.shop.buyer.send("POST", "/v1/records", third)
    assert (refused.status_code, refused.json()["code"]) == (409, "unique-conflict")
    assert len(await view.found()) == 2


async def test_a12_nobody_sees_a_collision_before_the_turn_or_of_another(
    deal: Deal,
) -> None:
    await deal.shop.buyer.create(OWN)
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.verified()
    buyer, seller = await officer_of(deal), await officer_of(deal, "SC")
    view = Turned(deal, buyer)
    early = await buyer.send("GET", view.path)
    assert (early.status_code, early.json()["code"]) == (409, "state-conflict")
    for who in (buyer, seller, deal.transfer):
        told = (await deal.get("", who)).json()["settlement"]
        assert told == {"state": "none", "records": 0, "collisions": None, "open": None}
    assert (await deal.turn()).status_code == 200
    await deal.room.settled()
    for who, code in ((seller, 404), (deal.transfer, 403), (deal.shop.buyer, 403)):
        assert (await who.send("GET", view.path)).status_code == code
        tried = await who.send(
            "POST",
            f"{view.path}/1:settle",
            {"decision": "merge", "keep": deal.handover},
        )
        assert tried.status_code == code
    # How many customers they share is the buyer's to know.
    assert (await deal.get("", seller)).json()["settlement"]["collisions"] is None
    assert (await deal.get("", buyer)).json()["settlement"]["open"] == 1
    for event in await deal.vault.events("collision.found"):
        assert "seller" not in str(event.parties)


@pytest.mark.parametrize("keep", ["own", "arrived"])
async def test_both_are_kept_and_one_has_the_unique_entry(
    deal: Deal, keep: str
) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    (one,) = await view.listed()
    kept, beside = own, one["record"]
    if keep == "arrived":
        kept, beside = beside, kept
    done = await view.settle(kept, "keep_both")
    assert (done.status_code, done.json()["state"]) == (200, "settled"), done.text
    assert await slots(deal) == {
        ("native", "unique"): [kept],
        ("native", "beside"): [beside],
    }
    assert await view.found() == sorted([kept, beside])
    again = await view.settle(kept, "keep_both")
    assert (again.status_code, again.json()) == (200, done.json())
    assert "audit-event" not in again.headers
    other = await view.settle(beside, "keep_both")
    assert (other.status_code, other.json()["state"]) == (409, "settled")
    [event] = await deal.vault.events("collision.settled")
    assert event.id == done.headers["audit-event"]
    assert (await view.listed())[0]["decision"] == "keep_both"


async def test_merged_into_the_own_record_nothing_is_lost(deal: Deal) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    arrived = (await view.listed())[0]["record"]
    done = await view.settle(own)
    assert done.status_code == 200, done.text
    shown = await view.shown(own)
    assert shown["documents"]["basic"] == {
        "name": "J. Quillfeather",
        "email": EMAIL,
        "phone": "+49 171 1234567",
        "city": "Musterhausen",
    }
    assert shown["documents"]["habits"] == JANE["documents"]["habits"]
    assert shown["external_id"] == "E-7"
    assert shown["origin_external_id"] == "C-1001"
    assert shown["tags"] == ["regular", "vip"]
    products = {e["entry_id"]: e["product"] for e in shown["entries"]["purchases"]}
    assert products == {"o-1": "Kanne", "o-1~2": "Teekessel Modell Rotkehlchen"}
    assert (await deal.shop.buyer.read(arrived)).status_code == 404
    assert await view.found() == [own]
    assert await view.found("phone", "+49 171 1234567") == [own]
    assert await view.found("external_id", "E-7") == [own]
    assert await slots(deal) == {("native", "unique"): [own]}
    [merged] = await deal.vault.events("record.merged")
    assert set(merged.data["digests"]) == {"basic/0", "habits/0", "purchases/2026-2"}
    assert (await view.settle(own)).json() == done.json()


async def test_merged_into_the_arrived_record_the_crm_still_finds_it(
    deal: Deal,
) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    arrived = (await view.listed())[0]["record"]
    assert (await view.settle(arrived)).status_code == 200
    assert (await deal.shop.buyer.read(own)).status_code == 404
    shown = await view.shown(arrived)
    assert shown["documents"]["basic"]["name"] == "Jane Quillfeather"
    assert shown["external_id"] == "E-7"
    assert await slots(deal) == {("native", "unique"): [arrived]}
    synced = await deal.shop.buyer.send("POST", "/v1/records", OWN)
    assert (synced.status_code, synced.json()["id"]) == (200, arrived), synced.text


async def test_what_was_agreed_still_binds_after_a_merge(deal: Deal) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    assert (await view.settle(own)).status_code == 200
    # The own document got fields that were agreed for two purposes only.
    path = f"/v1/records/{own}?classes=basic"
    refused = await deal.shop.buyer.send("GET", path, keyturn_purpose="data_quality")
    assert (refused.status_code, refused.json()["reason"]) == (
        403,
        "purpose-not-agreed",
    )
    allowed = await deal.shop.buyer.send("GET", path)
    assert allowed.status_code == 200


async def test_an_objection_on_either_record_holds_after_a_merge(deal: Deal) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    arrived = (await view.listed())[0]["record"]
    objection = {"objected_at": "2026-01-01T00:00:00Z", "recipient": "buyer"}
    for record, change in (
        (arrived, {}),
        (own, {"withdrawn_at": objection["objected_at"]}),
    ):
        filed = await deal.shop.buyer.send(
            "PUT", f"/v1/records/{record}/objections", {**objection, **change}
        )
        assert filed.status_code == 200, filed.text
    assert (await view.settle(own)).status_code == 200

    def look(connection: Any) -> Any:
        from services.vault import custody

        return custody.objections_of(connection, "buyer", own)

    (held,) = await deal.vault.rooms.changes.read(look)
    assert held.withdrawn_at is None


async def test_a_merge_waits_for_a_handover_that_pinned_either(deal: Deal) -> None:
    own = await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    back = reverse(deal)
    await consent_to(back, own, "seller")
    await back.decided()
    frozen = await view.settle(own)
    assert (frozen.status_code, frozen.json()["code"]) == (409, "folio-frozen")
    assert (await view.listed())[0]["state"] == "open"
    assert (await view.settle(own, "keep_both")).status_code == 200


async def test_what_is_no_answer_is_refused(deal: Deal) -> None:
    await deal.shop.buyer.create(OWN)
    view = await turned(deal)
    strange = await view.settle(deal.handover)
    assert (strange.status_code, strange.json()["code"]) == (422, "validation")
    assert (await view.settle(deal.handover, position=2)).status_code == 404


async def test_pages_go_on_where_the_last_ended(deal: Deal) -> None:
    people = [person(number) for number in range(3)]
    for one in people:
        await deal.shop.buyer.create(one)
    view = await turned(deal, *people)
    first = (await view.officer.send("GET", f"{view.path}?limit=2")).json()
    assert (len(first["items"]), first["has_more"]) == (2, True)
    rest = await view.listed(f"?cursor={first['next_cursor']}")
    assert [one["position"] for one in rest] == [3]


def reverse(deal: Deal) -> Deal:
    """The handover back, from the buyer to the seller."""
    people = deal.people
    swapped = people.but(SO=people.BO, SC=people.BC, BO=people.SO, BC=people.SC)
    back = Deal(deal.shop, swapped, deal.transfer)
    back.changed |= {"seller": "buyer", "buyer": "seller"}
    return back


async def consent_to(back: Deal, record: str, recipient: str) -> None:
    body = {
        "kind": "separate",
        "recipient": recipient,
        "classes": ["basic", "habits", "purchases"],
        "given_at": "2020-01-01T00:00:00Z",
    }
    answer = await back.shop.buyer.send("PUT", f"/v1/records/{record}/consents", body)
    assert answer.status_code == 200, answer.text


async def test_the_seller_gets_its_customers_back_without_conflict(
    deal: Deal,
) -> None:
    view = await turned(deal)
    (arrived,) = await view.found()
    back = reverse(deal)
    await consent_to(back, arrived, "seller")
    await back.turned()
    await back.room.settled()
    seller = Turned(back, await officer_of(deal, "SC"))
    assert await seller.listed() == []
    found = await deal.shop.seller.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": "email", "value": EMAIL}]},
    )
    (again,) = found.json()["items"][0]["records"]
    entries = await slots(deal, "seller")
    assert entries[("native", "unique")] == [again]
    assert len(entries[("native", "beside")]) == 1
    etag = (await deal.shop.seller.read(again)).headers["etag"]
    patched = await deal.shop.seller.send(
        "PATCH",
        f"/v1/records/{again}",
        {"documents": {"basic": {"city": "Neustadt"}}},
        if_match=etag,
    )
    assert patched.status_code == 200, patched.text
    # The CRM's nightly sync finds the customer under the number it always had.
    changed = {**JANE, "documents": {"basic": {"city": "Altstadt"}}}
    synced = await Crm(deal.vault, deal.shop.seller.headers).send(
        "POST", "/v1/records", changed
    )
    assert (synced.status_code, synced.json().get("id")) == (200, again), synced.text
