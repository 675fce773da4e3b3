# SPDX-License-Identifier: Apache-2.0
"""Promise: a record is created, read for a purpose, changed and erased, all traced."""

from tests.integration.vault.records.shop import JANE, Shop


async def test_what_is_created_is_read_in_full_and_masked_each_with_its_event(
    shop: Shop,
) -> None:
    made = await shop.seller.send("POST", "/v1/records", JANE)
    assert made.status_code == 201, made.text
    assert made.json()["created"] is True
    id_ = made.json()["id"]
    read = await shop.seller.read(id_)
    assert read.status_code == 200, read.text
    body = read.json()
    assert body["external_id"] == "C-1001"
    assert body["documents"] == JANE["documents"]
    assert body["entries"]["purchases"][0]["at"] == "2025-12-31T23:30:00.000Z"
    assert body["tags"] == ["vip"]
    assert read.headers["etag"] == f'"{body["etag"]}"'
    masked = (
        await shop.seller.send("GET", f"/v1/records/{id_}?view=masked&classes=basic")
    ).json()
    assert masked["documents"] == {
        "basic": {
            "name": "J***",
            "email": "j***@example.org",
            "phone": "+49 ***4567",
            "city": "Musterhausen",
        }
    }
    assert masked["external_id"] == "***"
    assert masked["entries"] == {}
    first, second = await shop.vault.events("record.read")
    assert read.headers["audit-event"] == first.id
    assert first.data["classes"] == ["basic", "habits", "purchases"]
    assert (second.data["classes"], second.data["view"]) == (["basic"], "masked")
    [created] = await shop.vault.events("record.created")
    assert made.headers["audit-event"] == created.id
    assert sorted(created.data["digests"]) == [
        "basic/0",
        "habits/0",
        "purchases/2026",
    ]


async def test_a_merge_patch_may_say_that_it_is_one(shop: Shop) -> None:
    path = f"/v1/records/{await shop.seller.create(JANE)}"
    patch = {"tags": ["regular"]}
    named = {"if_match": '"1"', "content_type": "application/merge-patch+json"}
    done = await shop.seller.send("PATCH", path, patch, **named)
    assert (done.status_code, done.json()["etag"]) == (200, "2")
    named |= {"content_type": "application/json-patch+json"}
    refused = await shop.seller.send("PATCH", path, patch, **named)
    taken = ["application/json", "application/merge-patch+json"]
    assert refused.status_code == 415
    assert refused.headers["accept-patch"] == ", ".join(taken)
    (fault,) = refused.json()["errors"]
    assert fault["pointer"] == "/Content-Type"
    assert " or ".join(taken) in fault["msg"]
    # A create is no patch.
    headers = {"content_type": taken[1]}
    created = await shop.seller.send("POST", "/v1/records", JANE, **headers)
    assert (created.status_code, "accept-patch" in created.headers) == (415, False)


async def test_a_change_names_the_state_it_was_made_from(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    patch = {"documents": {"basic": {"city": "Beispielstadt", "phone": None}}}
    path = f"/v1/records/{id_}"
    bare = await shop.seller.send("PATCH", path, patch)
    assert (bare.status_code, bare.json()["code"]) == (428, "etag-required")
    done = await shop.seller.send("PATCH", path, patch, if_match='"1"')
    assert (done.status_code, done.json()["etag"]) == (200, "2")
    stale = await shop.seller.send("PATCH", path, patch, if_match='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "etag-stale")
    for no_etag in ("2", 'W/"2"', "*", '"2'):
        # Read again and sent again it would be no better: it is not said to be stale.
        wrong = await shop.seller.send("PATCH", path, patch, if_match=no_etag)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "validation")
        (fault,) = wrong.json()["errors"]
        assert (fault["in"], fault["pointer"]) == ("header", "/If-Match")
        assert "double quotes" in fault["msg"]
    basic = (await shop.seller.read(id_)).json()["documents"]["basic"]
    assert (basic["city"], "phone" in basic) == ("Beispielstadt", False)
    [event] = await shop.vault.events("record.patched")
    assert event.data["fields"] == ["city", "phone"]
    # The number that was removed finds nobody any more.
    found = await shop.seller.send(
        "POST",
        "/v1/records/lookup",
        {
            "identifiers": [
                {"field": "phone", "value": "0171 1234567"},
                {"field": "email", "value": "jane.quillfeather@EXAMPLE.org"},
                {"field": "external_id", "value": "C-1001"},
            ]
        },
    )
    assert [one["records"] for one in found.json()["items"]] == [[], [id_], [id_]]


async def test_the_same_external_id_changes_the_record(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    again = {**JANE, "documents": {"basic": {"city": "Beispielstadt"}}, "tags": []}
    answer = await shop.seller.send("POST", "/v1/records", again)
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["created"]) == (id_, False)
    body = (await shop.seller.read(id_)).json()
    assert body["documents"]["basic"]["city"] == "Beispielstadt"
    assert body["documents"]["basic"]["name"] == "Jane Quillfeather"
    assert (body["tags"], len(body["entries"]["purchases"])) == ([], 1)
    new = await shop.seller.send("POST", "/v1/records", JANE, if_none_match="*")
    assert (new.status_code, new.json()["code"]) == (409, "already-exists")


async def test_entries_are_replaced_by_their_id_and_sorted_into_years(
    shop: Shop,
) -> None:
    id_ = await shop.seller.create(JANE)
    entries = [
        {"entry_id": "o-1", "at": "2025-12-31T22:30:00Z", "product": "Tasse"},
        {"entry_id": "o-2", "at": "2024-05-05T10:00:00+02:00", "product": "Kanne"},
    ]
    done = await shop.seller.send(
        "POST",
        f"/v1/records/{id_}/entries",
        {"class": "purchases", "entries": entries},
    )
    assert (done.status_code, done.json()["entries"]) == (200, 2)
    shown = (await shop.seller.read(id_)).json()["entries"]["purchases"]
    assert [(e["entry_id"], e["product"]) for e in shown] == [
        ("o-2", "Kanne"),
        ("o-1", "Tasse"),
    ]
    [event] = await shop.vault.events("entries.appended")
    # Half past eleven in Berlin is still the old year; the entry left volume 2026.
    assert sorted(event.data["digests"]) == [
        "purchases/2024",
        "purchases/2025",
        "purchases/2026",
    ]
    history = await shop.seller.send("GET", f"/v1/records/{id_}/history")
    current = {
        (v["class"], v["volume"]) for v in history.json()["items"] if v["current"]
    }
    assert ("purchases", "2024") in current
    assert len(history.json()["items"]) == 6


async def test_erasure_leaves_nothing_but_the_trace(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    refused = await shop.seller.send("DELETE", f"/v1/records/{id_}")
    assert (refused.status_code, refused.json()["reason"]) == (403, "gap")
    done = await shop.seller.send(
        "DELETE", f"/v1/records/{id_}", keyturn_purpose="rights_request"
    )
    assert done.status_code == 200, done.text
    assert (done.json()["versions"], done.json()["classes"]) == (
        3,
        ["basic", "habits", "purchases"],
    )
    assert (await shop.seller.read(id_)).status_code == 404
    assert len(await shop.vault.events("record.erased")) == 1
    # The same person may come back as a new customer.
    assert await shop.seller.create(JANE) != id_


async def test_aliases_are_resolved_for_the_own_party_only(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    foreign = await shop.buyer.create(JANE)
    alias = (await shop.vault.events("record.created"))[0].data["record"]
    answer = await shop.seller.send(
        "POST", "/v1/aliases:resolve", {"records": [id_, foreign], "aliases": [alias]}
    )
    assert answer.json()["items"] == [
        {"record": id_, "alias": alias},
        {"record": foreign, "alias": None},
        {"record": id_, "alias": alias},
    ]
    [event] = await shop.vault.events("aliases.resolved")
    assert event.data["records"] == [alias]


async def test_a_repeated_request_has_one_effect(shop: Shop) -> None:
    record = {"documents": JANE["documents"]}
    first = await shop.seller.send("POST", "/v1/records", record, idempotency_key="k1")
    second = await shop.seller.send("POST", "/v1/records", record, idempotency_key="k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["audit-event"] == first.headers["audit-event"]
    assert second.headers["idempotency-replayed"] == "true"
    other = await shop.seller.send("POST", "/v1/records", JANE, idempotency_key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")
    id_ = first.json()["id"]
    body = {
        "class": "purchases",
        "entries": [{"entry_id": "o-9", "at": "2026-01-05T10:00:00Z"}],
    }
    path = f"/v1/records/{id_}/entries"
    for _time in range(2):
        done = await shop.seller.send("POST", path, body, idempotency_key="k2")
        assert (done.status_code, done.json()["etag"]) == (200, "2")
    assert len(await shop.vault.events("entries.appended")) == 1


async def test_consents_and_objections_are_filed_with_their_events(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    consent = {
        "kind": "separate",
        "recipient": "buyer",
        "classes": ["basic", "habits"],
        "given_at": "2026-01-01T00:00:00Z",
        "evidence_sha256": "sha256:" + "a" * 64,
    }
    done = await shop.seller.send("PUT", f"/v1/records/{id_}/consents", consent)
    assert done.status_code == 200, done.text
    objection = {"recipient": "buyer", "objected_at": "2026-02-01T00:00:00Z"}
    done = await shop.seller.send("PUT", f"/v1/records/{id_}/objections", objection)
    assert done.status_code == 200, done.text
    [given] = await shop.vault.events("consent.recorded")
    [objected] = await shop.vault.events("objection.recorded")
    assert (given.data["classes"], given.data["withdrawn"]) == (
        ["basic", "habits"],
        False,
    )
    assert objected.data["recipient"] == "buyer"
    foreign = await shop.buyer.send("PUT", f"/v1/records/{id_}/consents", consent)
    assert foreign.status_code == 404
