# SPDX-License-Identifier: Apache-2.0
"""Promise: no text of a caller's choice gets into the log, which is never erased."""

from typing import Any

import pytest

from services.vault.custody import consents_of, objections_of
from tests.integration.vault.records.handover import handed_over
from tests.integration.vault.records.shop import JANE, Shop, person

CONSENT: dict[str, Any] = {
    "kind": "separate",
    "recipient": "buyer",
    "classes": ["basic"],
    "given_at": "2026-01-01T00:00:00Z",
}
OBJECTION: dict[str, Any] = {"objected_at": "2026-01-01T00:00:00Z"}
STRANGE: list[tuple[str, dict[str, Any]]] = [
    ("consents", {**CONSENT, "recipient": "jane-quillfeather"}),
    ("consents", {**CONSENT, "kind": "quillfeather"}),
    ("consents", {**CONSENT, "classes": ["basic", "quillfeather"]}),
    ("consents", {**CONSENT, "classes": ["customer_service"]}),
    ("consents", {**CONSENT, "kind": "optin", "classes": ["quillfeather"]}),
    ("consents", {**CONSENT, "kind": "optout", "classes": ["basic"]}),
    ("objections", {**OBJECTION, "recipient": "jane-quillfeather"}),
    ("objections", {**OBJECTION, "handover": "jane-quillfeather"}),
]


async def _events(shop: Shop) -> list[str]:
    found = [
        await shop.vault.events(f"{one}.recorded") for one in ("consent", "objection")
    ]
    return [event.id for events in found for event in events]


async def test_what_is_filed_names_only_what_is_known(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    for what, body in STRANGE:
        answer = await shop.seller.send("PUT", f"/v1/records/{id_}/{what}", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation")
        assert "quillfeather" not in answer.text
    filed = await shop.vault.rooms.changes.read(
        lambda c: [*consents_of(c, "seller", id_), *objections_of(c, "seller", id_)]
    )
    assert (filed, await _events(shop)) == ([], [])
    for kind, class_ in (("bundled", "habits"), ("optin", "advertising")):
        body = {**CONSENT, "kind": kind, "classes": [class_]}
        done = await shop.seller.send("PUT", f"/v1/records/{id_}/consents", body)
        assert done.status_code == 200, done.text
    assert len(await _events(shop)) == 2


@pytest.mark.parametrize("whole", [False, True])
async def test_nor_does_what_comes_with_a_batch(shop: Shop, *, whole: bool) -> None:
    strange = [
        {"ref": f"r{n}", "record": person(n), what: [body]}
        for n, (what, body) in enumerate(STRANGE)
        if body.get("kind") != "quillfeather" and "handover" not in body
    ]
    body = {"all_or_none": whole, "items": strange}
    answer = await shop.seller.send("POST", "/v1/records:batch", body)
    assert [one["status"] for one in answer.json()["items"]] == [422] * len(strange)
    assert "quillfeather" not in answer.text
    assert (await shop.seller.send("GET", "/v1/records")).json()["items"] == []
    assert await _events(shop) == []


async def test_a_denial_names_no_class_of_the_callers_choice(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    await handed_over(shop, id_)
    patch = {"documents": {"quillfeather": {"city": "Neustadt"}}}
    entry = {"entry_id": "z", "at": "2026-01-01T00:00:00Z"}
    append = {"class": "quillfeather", "entries": [entry]}
    for method, path, body in (("PATCH", "", patch), ("POST", "/entries", append)):
        answer = await shop.seller.send(
            method, f"/v1/records/{id_}{path}", body, if_match='"1"'
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "field-unknown")
    assert await shop.vault.events("access.denied") == []
