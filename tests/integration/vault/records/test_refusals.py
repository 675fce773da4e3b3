# SPDX-License-Identifier: Apache-2.0
"""Promise: what is refused leaks nothing, and every denial is in the log."""

import pytest

from contracts.officers import OfficerRole
from services.chassis.clock import uuid7
from tests.integration.vault.records.shop import JANE, Shop, person


async def test_no_disclosure_without_a_durable_trace(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    shop.vault.rooms.reads.database.close()  # the journal of reads is gone
    lookup = {"identifiers": [{"field": "external_id", "value": "C-1001"}]}
    answers = [
        await shop.seller.read(id_),
        await shop.seller.send("GET", f"/v1/records/{id_}/history"),
        await shop.seller.send("GET", "/v1/records"),
        await shop.seller.send("POST", "/v1/records/lookup", lookup),
        await shop.seller.send("POST", "/v1/aliases:resolve", {"records": [id_]}),
        # A denial that cannot be logged is no denial but an outage.
        await shop.seller.read(id_, keyturn_purpose="advertising"),
    ]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["code"] == "audit-unavailable"
        assert answer.headers["retry-after"]
        assert "Quillfeather" not in answer.text
        assert id_ not in answer.text


async def test_a_foreign_record_is_absent(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    crm, path = shop.buyer, "/v1/records/{}"
    body = {
        "class": "purchases",
        "entries": [{"entry_id": "x", "at": "2026-01-01T00:00:00Z"}],
    }
    for send in (
        crm.read,
        lambda i: crm.send("PATCH", path.format(i), {"tags": []}, if_match='"1"'),
        lambda i: crm.send("GET", path.format(i) + "/history"),
        lambda i: crm.send("POST", path.format(i) + "/entries", body),
        lambda i: crm.send("DELETE", path.format(i), keyturn_purpose="rights_request"),
    ):
        foreign, absent = await send(id_), await send(str(uuid7()))
        assert foreign.status_code == absent.status_code == 404
        told, asked = foreign.json(), absent.json()
        del told["request_id"], asked["request_id"]
        assert told == asked
        assert {*foreign.headers} == {*absent.headers}
    assert (await shop.seller.read(id_)).status_code == 200


async def test_a_purpose_that_was_not_given_is_refused_and_logged(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    denied = await shop.seller.read(id_, keyturn_purpose="advertising")
    assert (denied.status_code, denied.json()["code"]) == (403, "purpose-not-given")
    [event] = await shop.vault.events("access.denied")
    aliases = {"records": [id_]}
    named = await shop.seller.send("POST", "/v1/aliases:resolve", aliases)
    assert event.data["record"] == named.json()["items"][0]["alias"]
    assert denied.json()["audit_event"] == denied.headers["audit-event"] == event.id
    assert (event.data["purpose"], event.data["reason"]) == (
        "advertising",
        "purpose-not-given",
    )
    unknown = await shop.seller.read(id_, keyturn_purpose="curiosity")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "purpose-unknown")
    missing = await shop.narrow.read(id_)
    assert (missing.status_code, missing.json()["code"]) == (400, "purpose-missing")
    named = await shop.narrow.read(id_, keyturn_purpose="invoicing")
    assert named.status_code == 200


async def test_a_purpose_denied_on_anothers_record_names_none(shop: Shop) -> None:
    id_ = await shop.buyer.create(JANE)
    shown = []
    for asked in (id_, str(uuid7())):
        path, wrong = f"/v1/records/{asked}", {"keyturn_purpose": "advertising"}
        denied = await shop.seller.send("GET", path, **wrong)
        *_, event = await shop.vault.events("access.denied")
        assert "record" not in event.data
        shown.append({**denied.json(), "request_id": "", "audit_event": ""})
    assert shown[0] == shown[1]


async def test_what_no_rule_mentions_is_denied_and_counted(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    refused = await shop.seller.send("DELETE", f"/v1/records/{id_}")
    assert (refused.status_code, refused.json()["reason"]) == (403, "gap")
    [event] = await shop.vault.events("access.denied")
    assert (event.data["reason"], event.data["action"]) == ("gap", "erase")
    assert event.data["record"] != id_
    counted = shop.vault.rooms.access.metrics.render().decode()
    assert "keyturn_policy_gap_total 1.0" in counted
    assert 'keyturn_denied_total{reason="gap"} 1.0' in counted


async def test_a_sensitive_field_is_withheld_without_a_clearance(shop: Shop) -> None:
    record = {"documents": {"habits": {"illness": "Heuschnupfen", "favourite": "Tee"}}}
    id_ = await shop.seller.create(record)
    read = await shop.seller.read(id_)
    assert read.json()["documents"] == {"habits": {"favourite": "Tee"}}
    assert read.json()["withheld"] == ["illness"]
    assert "Heuschnupfen" not in read.text


async def test_fields_outside_the_catalogue_are_refused_by_place(shop: Shop) -> None:
    for documents in (
        {"basic": {"shoe_size": "Elbenfuss"}},
        {"basic": {"favourite": "Elbenfuss"}},
        {"secrets": {"name": "Elbenfuss"}},
    ):
        answer = await shop.seller.send("POST", "/v1/records", {"documents": documents})
        assert (answer.status_code, answer.json()["code"]) == (422, "field-unknown")
        assert "Elbenfuss" not in answer.text
        assert "shoe_size" not in answer.text
    wrong = {"entries": {"basic": [{"entry_id": "x", "at": "2026-01-01T00:00:00Z"}]}}
    assert (await shop.seller.send("POST", "/v1/records", wrong)).status_code == 422
    asked = await shop.seller.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": "city", "value": "Musterhausen"}]},
    )
    assert (asked.status_code, asked.json()["code"]) == (422, "field-unknown")
    tags = await shop.seller.send("POST", "/v1/records", {"tags": ["vip"]})
    assert (tags.status_code, tags.json()["errors"][0]["pointer"]) == (422, "/tags")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("phone", "neun-eins-eins", "phone-unparsable"),
        ("email", "a b@x.org", "validation"),
    ],
)
async def test_a7_what_cannot_be_indexed_is_never_left_unindexed(
    shop: Shop, field: str, value: str, code: str
) -> None:
    record = {"documents": {"basic": {field: value}}}
    answer = await shop.seller.send("POST", "/v1/records", record)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert value not in answer.text
    assert answer.json()["errors"][0]["pointer"].endswith(field)


async def test_a7_a_tag_in_an_address_is_no_space(shop: Shop) -> None:
    tagged = {"documents": {"basic": {"email": "a+b@x.org"}}}
    id_ = await shop.seller.create(tagged)
    answers = await shop.seller.send(
        "POST",
        "/v1/records/lookup",
        {
            "identifiers": [
                {"field": "email", "value": "a+b@x.org"},
                {"field": "email", "value": "ab@x.org"},
            ]
        },
    )
    assert [one["records"] for one in answers.json()["items"]] == [[id_], []]
    spaced = await shop.seller.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": "email", "value": "a b@x.org"}]},
    )
    assert spaced.status_code == 422


async def test_a_batch_tells_each_item_its_own(shop: Shop) -> None:
    for number in (1, 3):
        await shop.seller.create(person(number))
    items = [
        {"ref": "good", "record": person(2)},
        {"ref": "twice", "record": {**person(1), "external_id": "C-other"}},
        {"ref": "wrong", "record": {"documents": {"basic": {"nickname": "x"}}}},
        {"ref": "again", "record": person(3)},
    ]
    answer = await shop.seller.send("POST", "/v1/records:batch", {"items": items})
    assert answer.status_code == 207
    told = [(one["ref"], one["status"]) for one in answer.json()["items"]]
    assert told == [("good", 201), ("twice", 409), ("wrong", 422), ("again", 200)]
    taken = answer.json()["items"][1]["problem"]
    assert (taken["code"], taken["field"]) == ("unique-conflict", "email")


async def test_all_or_none_is_all_or_none(shop: Shop) -> None:
    await shop.seller.create(person(1))
    clash = {"ref": "twice", "record": {**person(1), "external_id": "C-other"}}
    items = [{"ref": "good", "record": person(2)}, clash]
    body = {"all_or_none": True, "items": items}
    answer = await shop.seller.send("POST", "/v1/records:batch", body)
    assert answer.status_code == 207
    told = [one["status"] for one in answer.json()["items"]]
    assert told == [424, 409]
    listed = (await shop.seller.send("GET", "/v1/records")).json()["items"]
    assert len(listed) == 1
    body["items"] = [{"ref": f"r{n}", "record": person(n)} for n in (2, 3)]
    for _time in range(2):
        answer = await shop.seller.send(
            "POST", "/v1/records:batch", body, idempotency_key="b1"
        )
        assert [one["status"] for one in answer.json()["items"]] == [201, 201]
    listed = (await shop.seller.send("GET", "/v1/records")).json()["items"]
    assert len(listed) == 3


async def test_reviewers_see_no_record(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    reviewer = await shop.officer("seller", OfficerRole.REVIEWER)
    answer = await reviewer.read(id_, keyturn_purpose="customer_service")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing")
