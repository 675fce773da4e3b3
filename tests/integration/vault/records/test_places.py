# SPDX-License-Identifier: Apache-2.0
"""Promise: a fault names its place in the body as it was sent, whichever route."""

from typing import Any

import httpx
import pytest

from tests.integration.vault.records.shop import Shop, person

BAD = "a b@x.org"
ENTRY = {"entry_id": "e", "at": "2026-01-01T00:00:00Z"}
CONSENT = {
    "kind": "separate",
    "recipient": "buyer",
    "classes": ["basic"],
    "given_at": "2026-01-01T10:00:00Z",
}


def _places(problem: dict[str, Any]) -> list[str]:
    return [fault["pointer"] for fault in problem["errors"]]


async def _batch(shop: Shop, *items: Any, whole: bool) -> list[dict[str, Any]]:
    listed = [{"ref": f"r{n}", **item} for n, item in enumerate(items)]
    body = {"all_or_none": whole, "items": listed}
    answer = await shop.seller.send("POST", "/v1/records:batch", body)
    return [one.get("problem") for one in answer.json()["items"]]


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"documents": {"basic": {"email": BAD}}}, "/documents/basic/email"),
        ({"documents": {"basic": {"born": "x"}}}, "/documents/basic/*"),
        ({"documents": {"basic": {"email": "p1+x@example.org"}}}, None),
        (
            {"documents": {"basic": {"email": "P1@example.org"}}},
            "/documents/basic/email",
        ),
        ({"documents": {"basic": {"email": 7}}}, "/documents/basic/email"),
        ({"documents": {"nowhere": {}}}, "/documents/*"),
        ({"external_id": "\u3000"}, "/external_id"),
        ({"entries": {"purchases": [{**ENTRY, "at": "x"}]}}, "/entries/purchases/0/at"),
    ],
)
async def test_a_record_is_faulted_alike_alone_and_in_a_batch(
    shop: Shop, record: dict[str, Any], place: str | None
) -> None:
    await shop.seller.create(person(1))
    answer = await shop.seller.send("POST", "/v1/records", record)
    if place is None:
        assert answer.status_code == 201
        return
    assert _places(answer.json()) == [place]
    for whole in (False, True):
        fine = {"record": person(2)}
        found = await _batch(shop, fine, {"record": record}, whole=whole)
        assert _places(found[1]) == [f"/items/1/record{place}"]


@pytest.mark.parametrize("value", [1.5, {"a": 1}, [7]])
async def test_what_no_field_can_hold_is_one_fault(shop: Shop, value: Any) -> None:
    record = {"documents": {"basic": {"email": value}}}
    answer = await shop.seller.send("POST", "/v1/records", record)
    # Which names are the party's own is known below; so they are `*` here.
    assert _places(answer.json()) == ["/documents/*/*"]
    assert answer.json()["errors"][0]["code"] == "value_type"


async def test_a_batch_names_the_consent_of_the_item(shop: Shop) -> None:
    wrong = {**CONSENT, "recipient": "nobody"}
    item = {"record": person(1), "consents": [CONSENT, wrong]}
    for whole in (False, True):
        [found] = await _batch(shop, item, whole=whole)
        assert _places(found) == ["/items/0/consents/1/recipient"]


async def test_changes_and_searches_name_members_of_their_own_bodies(
    shop: Shop,
) -> None:
    await shop.seller.create(person(1))
    id_ = await shop.seller.create(person(2))
    at = f"/v1/records/{id_}"

    async def send(method: str, path: str, body: Any) -> httpx.Response:
        return await shop.seller.send(method, path, body, if_match='"1"')

    taken = {"documents": {"basic": {"email": "p1@example.org"}}}
    wrong = {**ENTRY, "wrong": 1}
    lookup = [{"field": "email", "value": "x@y.org"}, {"field": "email", "value": BAD}]
    strange = [{"field": "city", "value": "x"}]
    for method, path, body, place in (
        ("PATCH", at, taken, "/documents/basic/email"),
        ("POST", f"{at}/entries", {"class": "no", "entries": [ENTRY]}, "/class"),
        ("POST", f"{at}/entries", {"class": "basic", "entries": [ENTRY]}, "/class"),
        ("POST", f"{at}/entries", {"class": "purchases", "entries": [wrong]}, "/entries/0/*"),
        ("PUT", f"{at}/consents", {**CONSENT, "classes": ["no"]}, "/classes"),
        ("PUT", f"{at}/consents", {**CONSENT, "recipient": "no"}, "/recipient"),
        ("POST", "/v1/records/lookup", {"identifiers": lookup}, "/identifiers/1/value"),
        ("POST", "/v1/records/lookup", {"identifiers": strange}, "/identifiers/0/field"),
    ):  # fmt: skip
        answer = await send(method, path, body)
        assert _places(answer.json()) == [place], answer.text
        assert BAD not in answer.text


async def test_what_is_accepted_is_told_where_it_is_ours(shop: Shop) -> None:
    opt_in = {**CONSENT, "kind": "optin", "classes": ["whim"]}
    id_ = await shop.seller.create(person(1))
    for method, path, body, header, told in (
        ("PUT", "/v1/catalogue/fields/x", {"class": "basic", "kind": "x"}, "", "'email'"),
        ("PUT", f"/v1/records/{id_}/consents", opt_in, "", "marketing"),
        ("GET", f"/v1/records/{id_}?view=whole", None, "", "'masked'"),
        ("GET", f"/v1/records/{id_}", None, "whim", "customer_service"),
    ):  # fmt: skip
        named = {"keyturn_purpose": header} if header else {}
        answer = await shop.seller.send(method, path, body, **named)
        [fault] = answer.json()["errors"]
        assert fault["msg"].startswith("must be")
        assert told in fault["msg"], fault
        assert "whim" not in answer.text
