# SPDX-License-Identifier: Apache-2.0
"""Promise: each step may be repeated, comes in its order, and refuses what is not it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.custody.plan import canonical_bytes
from services.chassis.clock import rfc3339
from tests.integration.vault.house import House
from tests.integration.vault.mandate.deal import (
    CLASSES,
    Deal,
    enrol_all,
    open_deal,
)
from tests.integration.vault.records.shop import JANE, person


async def test_a_plan_is_lodged_once_and_stays_from_the_freeze_on(deal: Deal) -> None:
    first = await deal.lodge()
    assert first.status_code == 201, first.text
    assert "audit-event" in first.headers
    again = await deal.lodge()
    assert again.status_code == 200
    assert again.json() == first.json()
    deal.changed["contract_hash"] = "sha256:" + "cd" * 32
    other = await deal.lodge()
    assert other.status_code == 201
    assert other.json() != first.json()
    await deal.freeze()
    deal.changed["contract_hash"] = "sha256:" + "ef" * 32
    late = await deal.lodge()
    assert (late.status_code, late.json()["code"]) == (409, "state-conflict")


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"as_of": "2026-01-01"}, 403, None),
        ({"rule_pack_hash": "sha256:" + "00" * 32}, 409, "rule-pack-unknown"),
        ({"path": "succession"}, 409, "path-refused"),
        ({"buyer": "nobody"}, 409, "party-unknown"),
        ({"installation": "another"}, 422, "wrong-installation"),
        ({"expires": "2020-01-01T00:00:00Z"}, 409, "plan-expired"),
    ],
    ids=["as-of", "pack", "path", "party", "installation", "expired"],
)
async def test_a_plan_that_cannot_be_done_is_refused(
    deal: Deal, changed: dict[str, str], status: int, reason: str | None
) -> None:
    deal.changed.update(changed)
    answer = await deal.lodge()
    assert answer.status_code == status, answer.text
    assert answer.json().get("reason") == reason
    assert (await deal.get()).status_code == 404


async def test_a_field_that_the_buyer_lacks_is_named(deal: Deal) -> None:
    field = {"class": "basic", "kind": "text"}
    await deal.shop.seller.send("PUT", "/v1/catalogue/fields/nickname", field)
    answer = await deal.lodge()
    assert answer.status_code == 409
    assert answer.json()["missing"] == ["basic.nickname"]


async def test_plan_bytes_must_be_canonical_and_of_this_address(deal: Deal) -> None:
    raw = canonical_bytes(deal.plan)
    for bad in (
        raw + b" ",
        b"{}",
        raw.replace(b'"profile":"standard"', b'"profile":1'),
    ):
        answer = await deal.lodge(bad)
        assert answer.status_code == 422, answer.text
    other = deal.another()
    answer = await other.lodge(raw)
    assert answer.json()["reason"] == "wrong-handover"


async def test_the_freeze_pins_versions_and_lets_the_shop_go_on(deal: Deal) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane)
    deal.vault.house.clock.advance(61)
    await deal.decided()
    deal.vault.house.clock.advance(1)
    read = await deal.shop.seller.read(jane)
    patch = {"documents": {"basic": {"city": "Anderswo"}}}
    refused = await deal.shop.seller.send(
        "PATCH", f"/v1/records/{jane}", patch, if_match=read.headers["etag"]
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "folio-frozen")
    await deal.shop.seller.create(person(8))
    entry = {"entry_id": "o-2", "at": "2025-12-31T10:00:00Z", "product": "Tasse"}
    added = await deal.shop.seller.send(
        "POST",
        f"/v1/records/{jane}/entries",
        {"class": "purchases", "entries": [entry]},
    )
    assert added.status_code == 200, added.text
    status = await deal.status()
    assert status["after_snapshot"] == {"basic": 1, "purchases": 1}
    assert status["decided"] == 3


async def test_a_second_decision_of_the_seller_leaves_out_what_already_moves(
    deal: Deal,
) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane, ["basic"])
    await deal.decided()
    other = await deal.another().decided()
    counts = (await other.get("/decision")).json()["counts"]
    assert "basic" not in counts
    assert set(counts) == {"habits", "purchases"}


async def test_an_executed_batch_is_replayed_and_a_different_one_refused(
    deal: Deal,
) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.mandated()
    (batch,) = await deal.batches()
    wrong = await deal.execute(batch, "sha256:" + "00" * 32)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "batch-digest-mismatch")
    first = await deal.execute(batch)
    assert first.json() == {
        "n": 1,
        "digest": batch["digest"],
        "folios": 3,
        "dropped": 0,
        "unindexed": 0,
    }
    assert "audit-event" in first.headers
    again = await deal.execute(batch)
    assert again.json() == first.json()
    assert "audit-event" not in again.headers
    assert len(await deal.vault.events("batch.executed")) == 1
    wrong = await deal.execute(batch, "sha256:" + "00" * 32)
    assert wrong.status_code == 409


async def test_batches_hold_at_most_100_folios_and_never_part_of_a_record(
    deal: Deal,
) -> None:
    for number in range(0, 130, 65):
        items = [
            {"ref": str(n), "record": _two_classes(n), "consents": [_consent(deal)]}
            for n in range(number, number + 65)
        ]
        answer = await deal.shop.seller.send(
            "POST", "/v1/records:batch", {"all_or_none": True, "items": items}
        )
        assert answer.status_code == 207, answer.text
    await deal.verified()
    assert [one["folios"] for one in await deal.batches()] == [100, 100, 60]
    assert (await deal.turn()).json()["counts"] == {
        "basic": {"transfer": {"eligible": 130}},
        "habits": {"transfer": {"eligible": 130}},
    }
    listed = await deal.shop.seller.send("GET", "/v1/records?limit=200")
    assert listed.status_code in {200, 403}


def _two_classes(number: int) -> dict[str, object]:
    one = person(number)
    return {**one, "documents": {**one["documents"], "habits": {"favourite": "Tee"}}}


def _consent(deal: Deal) -> dict[str, object]:
    given = deal.vault.house.clock.now() - timedelta(days=1)
    return {
        "kind": "separate",
        "recipient": "buyer",
        "classes": ["basic", "habits", "purchases"],
        "given_at": rfc3339(given),
    }


async def test_the_turn_waits_for_every_batch_and_its_verification(deal: Deal) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.decided()

    async def reason() -> str:
        answer = await deal.turn()
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] == "turn-refused"
        return str(answer.json()["reason"])

    assert await reason() == "not-mandated"
    await deal.mandate()
    assert await reason() == "batch-open"
    (batch,) = await deal.batches()
    assert (await deal.verify(batch)).status_code == 409
    await deal.execute(batch)
    assert await reason() == "batch-unverified"
    await deal.verify(batch)
    assert (await deal.verify(batch)).json() == {"n": 1, "folios": 3}
    assert (await deal.turn()).status_code == 200


async def test_the_turn_names_both_parties_and_batches_only_the_seller(
    deal: Deal,
) -> None:
    await deal.consent(await deal.shop.seller.create(JANE))
    await deal.turned()
    (batch,) = await deal.vault.events("batch.executed")
    (turned,) = await deal.vault.events("custody.turned")
    assert [one.party for one in batch.parties] == ["seller"]
    assert [one.party for one in turned.parties] == ["seller", "buyer"]
    assert turned.data["decision_root"] == (await deal.status())["decision_root"]


async def test_opt_outs_travel_and_denied_purposes_bind_the_buyer(deal: Deal) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane)
    await deal.consent(jane, ["order_fulfilment"], kind="optout", recipient="seller")
    await deal.turned()
    listed = await deal.shop.buyer.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": "phone", "value": "+49 171 1234567"}]},
    )
    (new_id,) = listed.json()["items"][0]["records"]
    fine = await deal.shop.buyer.read(new_id)
    assert fine.status_code == 200
    denied = await deal.shop.buyer.read(new_id, keyturn_purpose="order_fulfilment")
    assert denied.status_code == 403, denied.text
    outside = await deal.shop.buyer.read(new_id, keyturn_purpose="invoicing")
    assert outside.status_code == 403


async def test_an_expired_snapshot_thaws_and_the_shop_is_free_again(deal: Deal) -> None:
    jane = await deal.shop.seller.create(JANE)
    await deal.consent(jane)
    await deal.executed()
    assert await deal.room.thaw_expired() == []
    deal.vault.house.clock.advance(31 * 86_400)
    deal.transfer.headers = await deal.vault.as_client("transfer")
    deal.shop.seller.headers = await deal.vault.as_client("crm")
    (batch,) = await deal.batches()
    # Not thawed yet: but the mandate is over, and every step tests it.
    late = await deal.turn()
    assert late.status_code == 409
    assert await deal.room.thaw_expired() == [deal.handover]
    await deal.room.settled()
    assert (await deal.status())["state"] == "thawed"
    assert (await deal.execute(batch)).status_code == 409
    read = await deal.shop.seller.read(jane)
    patch = {"documents": {"basic": {"city": "Anderswo"}}}
    done = await deal.shop.seller.send(
        "PATCH", f"/v1/records/{jane}", patch, if_match=read.headers["etag"]
    )
    assert done.status_code == 200, done.text
    (released,) = await deal.vault.events("scope.released")
    assert released.data["reason"] == "thawed"


async def test_a_demonstration_may_name_the_day_and_consents_are_judged_by_it(
    house: House,
) -> None:
    house = replace(house, settings=replace(house.settings, demonstration=True))
    people = enrol_all(house)
    async with house.running() as vault:
        deal = await open_deal(vault, people)
        before = await deal.shop.seller.create(JANE)
        await deal.consent(before, given_at="2018-01-05T00:00:00Z")
        later = await deal.shop.seller.create(person(1))
        await deal.consent(later, given_at="2018-02-05T00:00:00Z")
        deal.changed |= {
            "as_of": "2018-01-31",
            "window_closes": dict.fromkeys(CLASSES, "2018-01-15"),
        }
        await deal.turned()
        decision = (await deal.get("/decision")).json()
        assert decision["as_of"] == "2018-01-31"
        assert (await deal.shop.seller.read(before)).status_code == 403
        assert (await deal.shop.seller.read(later)).status_code == 200


async def test_a_handover_cancelled_before_its_freeze_never_freezes(deal: Deal) -> None:
    await deal.lodge()
    assert (await deal.end()).status_code == 202
    assert (await deal.status())["state"] == "cancelled"
    answer = await deal.freeze()
    assert (answer.status_code, answer.json()["state"]) == (409, "cancelled")
