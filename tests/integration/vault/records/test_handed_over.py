# SPDX-License-Identifier: Apache-2.0
"""Promise: before the turn only the seller reads, after it only the buyer."""

import pytest

from contracts.officers import OfficerRole
from services.vault.access import Access, AccessRefused, load_policy
from services.vault.custody.tables import decision
from services.vault.records import Reads
from tests.integration.vault.records.handover import Handover, handed_over
from tests.integration.vault.records.shop import JANE, Shop, person

LOOKUP = {
    "identifiers": [
        {"field": "email", "value": "jane.quillfeather@example.org"},
        {"field": "external_id", "value": "C-1001"},
    ]
}


async def test_a12_before_the_turn_the_buyer_learns_nothing(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    handover = Handover(shop)
    await handover.freeze()
    await handover.decide(id_)
    await handover.execute()
    new = handover.new_ids[id_]
    assert (await shop.buyer.read(new)).status_code == 404
    found = await shop.buyer.send("POST", "/v1/records/lookup", LOOKUP)
    assert found.json()["items"] == [{"records": []}, {"records": []}]
    listed = (await shop.buyer.send("GET", "/v1/records")).json()
    assert listed["items"] == []
    resolved = await shop.buyer.send("POST", "/v1/aliases:resolve", {"records": [new]})
    assert resolved.json()["items"][0]["alias"] is None
    # Nor does a guess conflict: the buyer may have the same customer itself.
    assert await shop.buyer.create(JANE) != new
    assert (await shop.seller.read(id_)).status_code == 200


async def test_after_the_turn_only_the_buyer_reads(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    handover = await handed_over(shop, id_)
    new = handover.new_ids[id_]
    read = await shop.buyer.read(new)
    assert read.status_code == 200, read.text
    assert read.json()["documents"] == JANE["documents"]
    assert read.json()["entries"]["purchases"][0]["product"].startswith("Teekessel")
    listed = (await shop.buyer.send("GET", "/v1/records")).json()["items"]
    assert [one["id"] for one in listed] == [new]
    for path in ("", "/history", "?classes=habits"):
        refused = await shop.seller.send("GET", f"/v1/records/{id_}{path}")
        assert (refused.status_code, refused.json()["reason"]) == (403, "restricted")
    assert "Quillfeather" not in (await shop.seller.read(id_)).text
    found = await shop.seller.send("POST", "/v1/records/lookup", LOOKUP)
    assert found.json()["items"] == [{"records": []}, {"records": []}]
    assert (await shop.seller.send("GET", "/v1/records")).json()["items"] == []
    denied = await shop.vault.events("access.denied")
    assert {e.data["reason"] for e in denied} == {"restricted"}


async def test_the_sellers_compliance_officer_answers_the_law(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    await handed_over(shop, id_)
    officer = await shop.officer("seller", OfficerRole.COMPLIANCE)
    obeyed = await officer.read(id_, keyturn_purpose="legal_obligation")
    assert (obeyed.status_code, obeyed.json()["documents"]) == (200, JANE["documents"])
    other = await officer.read(id_, keyturn_purpose="data_quality")
    assert (other.status_code, other.json()["reason"]) == (403, "restricted")


async def test_the_sellers_nightly_sync_creates_nobody_again(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    await handed_over(shop, id_)
    again = await shop.seller.send("POST", "/v1/records", JANE)
    assert (again.status_code, again.json()["code"]) == (409, "handed-over")
    renumbered = await shop.seller.send(
        "POST", "/v1/records", {**JANE, "external_id": "C-new"}
    )
    assert (renumbered.status_code, renumbered.json()["code"]) == (409, "handed-over")
    for method, path, body in (
        ("PATCH", "", {"tags": ["x"]}),
        (
            "POST",
            "/entries",
            {
                "class": "purchases",
                "entries": [{"entry_id": "z", "at": "2026-01-01T00:00:00Z"}],
            },
        ),
    ):
        refused = await shop.seller.send(
            method, f"/v1/records/{id_}{path}", body, if_match='"1"'
        )
        assert (refused.status_code, refused.json()["reason"]) == (403, "restricted")


async def test_what_was_agreed_binds_the_buyer(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    handover = await handed_over(shop, id_)
    new = handover.new_ids[id_]
    refused = await shop.buyer.read(new, keyturn_purpose="data_quality")
    assert (refused.status_code, refused.json()["reason"]) == (
        403,
        "purpose-not-agreed",
    )
    for purpose in ("customer_service", "legal_obligation"):
        assert (await shop.buyer.read(new, keyturn_purpose=purpose)).status_code == 200
    patched = await shop.buyer.send(
        "PATCH",
        f"/v1/records/{new}",
        {"documents": {"basic": {"email": "jane@new.example"}}},
        if_match='"1"',
    )
    assert patched.status_code == 200, patched.text
    still = await shop.buyer.read(new, keyturn_purpose="data_quality")
    assert still.status_code == 403


async def test_a_turn_between_decision_and_answer_ends_in_a_denial(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    handover = Handover(shop)
    await handover.freeze()
    await handover.decide(id_)
    await handover.execute()
    rooms = shop.vault.rooms

    class TurnedMeanwhile(Access):
        async def _disclose(self, caller, drafts):  # type: ignore[no-untyped-def]
            event = await super()._disclose(caller, drafts)
            if drafts[0].type.endswith("record.read.v1"):
                await handover.turn()
            return event

    access = TurnedMeanwhile(
        rooms.parties,
        rooms.changes,
        rooms.reads,
        load_policy(),
        rooms.access.metrics,
        quota=rooms.quota,
        daily_records=1_000,
    )
    reads = Reads(rooms.changes, rooms.keyring, rooms.catalogues, access)
    principal = await shop.vault.app.state.verifier.verify(
        shop.seller.headers["Authorization"].removeprefix("Bearer ")
    )
    with pytest.raises(AccessRefused):
        await reads.read(principal, None, id_)
    assert len(await shop.vault.events("record.read")) == 1
    [denied] = await shop.vault.events("access.denied")
    assert denied.data["reason"] == "restricted"


async def test_a_frozen_document_waits_and_the_shop_goes_on(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    handover = Handover(shop)
    await handover.freeze()
    patch = {"documents": {"basic": {"city": "Neustadt"}}}
    entry = {"entry_id": "o-2", "at": "2026-01-02T00:00:00Z", "product": "Kanne"}
    returned = {"entry_id": "o-1", "at": "2025-12-31T23:30:00Z", "product": "zurück"}
    for number in (1, 2):  # while deciding, and once decided
        frozen = await shop.seller.send(
            "PATCH", f"/v1/records/{id_}", patch, if_match=f'"{number}"'
        )
        assert (frozen.status_code, frozen.json()["code"]) == (409, "folio-frozen")
        assert frozen.json()["handover"] == handover.id
        if number == 1:
            added = await shop.seller.send(
                "POST",
                f"/v1/records/{id_}/entries",
                {"class": "purchases", "entries": [entry, returned]},
            )
            assert added.status_code == 200, added.text
            await handover.decide(id_)
    history = (await shop.seller.send("GET", f"/v1/records/{id_}/history")).json()
    volumes = {v["volume"] for v in history["items"] if v["class"] == "purchases"}
    assert volumes == {"2026", "2026-2"}
    shown = (await shop.seller.read(id_)).json()["entries"]["purchases"]
    assert [(e["entry_id"], e["product"]) for e in shown] == [
        ("o-1", "zurück"),
        ("o-2", "Kanne"),
    ]
    # The nightly sync sends everything again and changes nothing.
    again = {**JANE, "entries": {"purchases": [entry, returned]}}
    etag = (await shop.seller.read(id_)).json()["etag"]
    synced = await shop.seller.send("POST", "/v1/records", again)
    assert (synced.status_code, synced.json()["etag"]) == (200, etag)
    retagged = {**again, "tags": ["other"]}
    refused = await shop.seller.send("POST", "/v1/records", retagged)
    assert (refused.status_code, refused.json()["code"]) == (409, "folio-frozen")
    late = await shop.seller.create(person(77))
    patched = await shop.seller.send(
        "PATCH", f"/v1/records/{late}", patch, if_match='"1"'
    )
    assert patched.status_code == 200


async def test_an_objection_takes_the_person_out_until_the_turn(shop: Shop) -> None:
    ids = [await shop.seller.create(one) for one in (JANE, person(2))]
    handover = Handover(shop)
    await handover.freeze()
    await handover.decide(*ids)
    await handover.execute()
    objection = {"recipient": "buyer", "objected_at": "2026-03-02T08:00:00Z"}
    done = await shop.seller.send("PUT", f"/v1/records/{ids[0]}/objections", objection)
    assert done.status_code == 200
    dropped = await handover.rows(decision.c.dropped)
    assert dropped == ["objected"] * 3 + [""]
    [event] = await shop.vault.events("folio.dropped")
    assert (event.data["reason"], event.data["count"]) == ("objected", 3)
    await handover.turn()
    # The seller keeps the person; the buyer gets only the other one.
    assert (await shop.seller.read(ids[0])).status_code == 200
    assert (await shop.seller.read(ids[1])).status_code == 403
    assert (await shop.buyer.read(handover.new_ids[ids[0]])).status_code == 404
    assert (await shop.buyer.read(handover.new_ids[ids[1]])).status_code == 200


async def test_a_withdrawn_consent_takes_out_its_classes_only(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    handover = Handover(shop)
    await handover.freeze()
    await handover.decide(id_)
    await handover.execute()
    withdrawn = {
        "kind": "separate",
        "recipient": "buyer",
        "classes": ["habits"],
        "given_at": "2026-01-01T00:00:00Z",
        "withdrawn_at": "2026-03-02T08:00:00Z",
    }
    done = await shop.seller.send("PUT", f"/v1/records/{id_}/consents", withdrawn)
    assert done.status_code == 200, done.text
    assert await handover.rows(decision.c.dropped) == ["", "withdrawn", ""]
    await handover.turn()
    new = (await shop.buyer.read(handover.new_ids[id_])).json()
    assert (sorted(new["documents"]), "purchases" in new["entries"]) == (
        ["basic"],
        True,
    )
    kept = await shop.seller.send("GET", f"/v1/records/{id_}?classes=habits")
    assert kept.json()["documents"] == {"habits": JANE["documents"]["habits"]}


async def test_a_corrected_or_erased_mistake_is_never_handed_over(shop: Shop) -> None:
    ids = [await shop.seller.create(one) for one in (JANE, person(2))]
    handover = Handover(shop)
    await handover.freeze()
    await handover.decide(*ids)
    await handover.execute()
    corrected = await shop.seller.send(
        "PATCH",
        f"/v1/records/{ids[0]}",
        {"documents": {"basic": {"name": "Jane Quill"}}},
        if_match='"1"',
        keyturn_purpose="rights_request",
    )
    assert corrected.status_code == 200, corrected.text
    erased = await shop.seller.send(
        "DELETE", f"/v1/records/{ids[1]}", keyturn_purpose="rights_request"
    )
    assert erased.status_code == 200, erased.text
    assert await handover.rows(decision.c.dropped) == ["corrected"] * 3 + ["erased"]
    await handover.turn()
    for id_ in ids:
        assert (await shop.buyer.read(handover.new_ids[id_])).status_code == 404
    assert (await shop.seller.read(ids[0])).status_code == 200
    reasons = [e.data["reason"] for e in await shop.vault.events("folio.dropped")]
    assert reasons == ["corrected", "erased"]


async def test_after_the_turn_the_sellers_aliases_resolve_for_the_law_only(
    shop: Shop,
) -> None:
    gone, kept = [await shop.seller.create(one) for one in (JANE, person(2))]
    officer = await shop.officer("seller", OfficerRole.COMPLIANCE)

    async def resolve(purpose: str, aliases: list[str]) -> list[dict[str, str | None]]:
        body = {"records": [gone, kept], "aliases": aliases}
        answer = await officer.send(
            "POST", "/v1/aliases:resolve", body, keyturn_purpose=purpose
        )
        assert answer.status_code == 200, answer.text
        items: list[dict[str, str | None]] = answer.json()["items"]
        return items

    before = await resolve("data_quality", [])
    names = [str(one["alias"]) for one in before]
    assert [one["record"] for one in await resolve("data_quality", names)] == [
        gone,
        kept,
        gone,
        kept,
    ]
    await handed_over(shop, gone)
    assert await resolve("data_quality", names) == [
        {"record": gone, "alias": None},
        {"record": kept, "alias": names[1]},
        {"record": None, "alias": names[0]},
        {"record": kept, "alias": names[1]},
    ]
    [denied] = await shop.vault.events("access.denied")
    assert (denied.data["action"], denied.data["reason"]) == ("resolve", "restricted")
    assert denied.data["record"] == names[0]
    resolved = (await shop.vault.events("aliases.resolved"))[-1]
    assert resolved.data["records"] == [names[1]]
    assert await resolve("legal_obligation", names) == [
        {"record": gone, "alias": names[0]},
        {"record": kept, "alias": names[1]},
        {"record": gone, "alias": names[0]},
        {"record": kept, "alias": names[1]},
    ]
