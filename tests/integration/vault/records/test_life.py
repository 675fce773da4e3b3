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
