# SPDX-License-Identifier: Apache-2.0
"""Promise: the pseudonym view names nobody, and an aggregate is of many or of none."""

import asyncio
import json
from typing import Any

import pytest

from contracts.purposes import GIVEN, Purpose
from contracts.scopes import Scope
from tests.integration.vault.records.shop import JANE, SCOPES, Crm, Shop, person

MORE_FIELDS: dict[str, dict[str, Any]] = {
    "born": {"class": "basic", "kind": "date"},
    "passport": {"class": "basic", "kind": "id_number"},
    "segment": {"class": "basic", "kind": "code"},
    "note": {"class": "basic", "kind": "text", "mask": "none"},
    "secret_score": {"class": "basic", "kind": "integer", "mask": "hide"},
    "channel": {"class": "purchases", "kind": "code"},
    "rebate": {"class": "purchases", "kind": "amount", "grade": "sensitive"},
}
BASIC = {
    **JANE["documents"]["basic"],
    "born": "1984-02-29",
    "passport": "C01X00T47",
    "segment": "gold",
    "note": "calls on Mondays, ask for Mrs Quillfeather",
    "secret_score": 4711,
}


@pytest.fixture
async def analyst(shop: Shop) -> Crm:
    """A client that sees no more than pseudonyms and aggregates."""
    for name, field in MORE_FIELDS.items():
        for crm in (shop.seller, shop.buyer):
            answer = await crm.send("PUT", f"/v1/catalogue/fields/{name}", field)
            assert answer.status_code == 200, answer.text
    scopes = [Scope.RECORDS_PSEUDONYM, Scope.RECORDS_AGGREGATE]
    house = shop.vault.house
    house.client("seller", "analyst", scopes, GIVEN, Purpose.DATA_QUALITY)
    return Crm(shop.vault, await shop.vault.as_client("analyst"))


async def jane(crm: Crm) -> str:
    record = {**JANE, "documents": {**JANE["documents"], "basic": BASIC}}
    return await crm.create(record)


async def pseudonymous(crm: Crm, id_: str, **headers: str) -> dict[str, Any]:
    answer = await crm.send("GET", f"/v1/records/{id_}?view=pseudonym", **headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_pseudonym_view_holds_no_identifier_of_the_record(
    shop: Shop, analyst: Crm
) -> None:
    id_ = await jane(shop.seller)
    answer = await analyst.send("GET", f"/v1/records/{id_}?view=pseudonym")
    whole = (answer.text + json.dumps(dict(answer.headers))).casefold()
    (read,) = await shop.vault.events("record.read")
    parts = ["quillfeather", "jane", "171", "1234567", "c01x00t47", "monday", "4711"]
    parts += ["c-1001", "o-1", "1984-02", "02-29", "2025-12-31", "23:30", "vip"]
    parts += ["musterhausen", "rotkehlchen", "zimtschnecken", read.data["record"], id_]
    assert [part for part in parts if part in whole] == []
    found = answer.json()
    assert found["documents"]["basic"]["born"] == "1984"
    assert found["documents"]["basic"]["segment"] == "gold"
    (entry,) = found["entries"]["purchases"]
    assert (entry["at"], entry["amount"]) == ("2026-01", "12.50")  # the party's month
    assert {"name", "note", "city", "secret_score"} <= set(found["withheld"])
    assert read.data["view"] == "pseudonym"
    assert answer.headers["Audit-Event"] == f"{read.lane}/{read.seq}"


async def test_pseudonyms_are_stable_and_bound_to_party_and_purpose(
    shop: Shop, analyst: Crm
) -> None:
    id_ = await jane(shop.seller)
    bought = await jane(shop.buyer)
    first = await pseudonymous(analyst, id_)
    assert await pseudonymous(shop.seller, id_, Keyturn_Purpose="data_quality") == first
    others = [
        await pseudonymous(analyst, id_, Keyturn_Purpose="invoicing"),
        await pseudonymous(shop.buyer, bought, Keyturn_Purpose="data_quality"),
    ]
    for other in others:
        assert other["pseudonym"] != first["pseudonym"]
        mine, theirs = first["documents"]["basic"], other["documents"]["basic"]
        assert mine["segment"] == theirs["segment"]
        for name in ("email", "phone", "passport"):
            assert mine[name] != theirs[name]
        assert (
            first["entries"]["purchases"][0]["entry_id"]
            != other["entries"]["purchases"][0]["entry_id"]
        )


async def test_a_client_of_the_pseudonym_view_sees_no_other(
    shop: Shop, analyst: Crm
) -> None:
    id_ = await jane(shop.seller)
    for query in ("", "?view=full", "?view=masked"):
        refused = await analyst.send("GET", f"/v1/records/{id_}{query}")
        assert refused.status_code == 403
        assert refused.json()["required_scopes"] == ["records:read"]
    refused = await analyst.send("GET", f"/v1/records/{id_}/history")
    assert refused.status_code == 403
    foreign = await jane(shop.buyer)
    absent = await analyst.send("GET", f"/v1/records/{foreign}?view=pseudonym")
    assert absent.status_code == 404


def buyer_of(number: int, channel: str, amount: str, month: int = 3) -> dict[str, Any]:
    entry = {
        "entry_id": "o-1",
        "at": f"2026-{month:02}-10T10:00:00Z",
        "channel": channel,
        "amount": amount,
        "rebate": "1",
    }
    return {**person(number), "entries": {"purchases": [entry]}}


async def fill(crm: Crm, *channels: tuple[str, int]) -> list[str]:
    ids = []
    for channel, count in channels:
        for _each in range(count):
            record = buyer_of(len(ids), channel, "20.00", month=1 + count % 12)
            ids.append(await crm.create(record))
    return ids


async def ask(crm: Crm, status: int = 200, **body: Any) -> dict[str, Any]:
    given = {"class": "purchases", "measure": "count", **body}
    answer = await crm.send("POST", "/v1/records:aggregate", given)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_small_groups_are_suppressed_and_one_more_with_them(
    shop: Shop, analyst: Crm
) -> None:
    await fill(shop.seller, ("web", 12), ("shop", 6), ("phone", 2))
    found = await ask(analyst, group_by="channel")
    assert found == {
        "groups": [{"group": "web", "records": 10, "value": 10}],
        "suppressed": True,
    }
    whole = await ask(analyst, measure="sum", field="amount")
    assert whole["groups"] == [{"group": None, "records": 20, "value": "400"}]
    assert await ask(analyst, group_by="at.month") == {
        "groups": [{"group": "2026-01", "records": 10, "value": 10}],
        "suppressed": True,
    }
    nobody = await ask(analyst, period="2025")
    assert nobody == {"groups": [], "suppressed": False}
    tiny = await ask(analyst, period="2026-03")
    assert tiny == {"groups": [], "suppressed": True}


async def test_an_aggregate_is_in_the_log_names_no_record(
    shop: Shop, analyst: Crm
) -> None:
    await fill(shop.seller, ("web", 7))
    body = {"class": "purchases", "measure": "average", "field": "amount"}
    answer = await analyst.send("POST", "/v1/records:aggregate", body)
    (event,) = await shop.vault.events("records.aggregated")
    assert answer.headers["Audit-Event"] == f"{event.lane}/{event.seq}"
    assert event.data["touched"] == 7
    assert event.data["fields"] == ["amount"]
    aliases = {e.data["record"] for e in await shop.vault.events("record.created")}
    assert not [one for one in aliases if one in json.dumps(event.data)]


async def test_other_parties_and_whoever_objects_are_not_counted(
    shop: Shop, analyst: Crm
) -> None:
    await fill(shop.buyer, ("web", 9))
    ids = await fill(shop.seller, ("web", 10))
    optout = {
        "kind": "optout",
        "recipient": "seller",
        "classes": ["data_quality"],
        "given_at": "2026-01-01T10:00:00Z",
    }
    filed = await shop.seller.send("PUT", f"/v1/records/{ids[0]}/consents", optout)
    assert filed.status_code == 200, filed.text
    found = await ask(analyst)
    assert found["groups"] == [{"group": None, "records": 5, "value": 5}]
    (event,) = await shop.vault.events("records.aggregated")
    assert event.data["touched"] == 9


async def test_one_customer_who_makes_most_of_a_sum_is_not_shown(
    shop: Shop, analyst: Crm
) -> None:
    await fill(shop.seller, ("web", 9))
    await shop.seller.create(buyer_of(99, "web", "99999.00"))
    found = await ask(analyst, measure="sum", field="amount")
    assert found == {"groups": [], "suppressed": True}
    assert (await ask(analyst))["groups"][0]["records"] == 10


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"class": "nothing"}, "/class"),
        ({"measure": "sum"}, "/field"),
        ({"field": "amount"}, "/field"),
        ({"measure": "sum", "field": "channel"}, "/field"),
        ({"measure": "sum", "field": "rebate"}, "/field"),
        ({"group_by": "product"}, "/group_by"),
        ({"group_by": "rebate"}, "/group_by"),
        ({"class": "basic", "group_by": "email"}, "/group_by"),
        ({"class": "basic", "group_by": "secret_score"}, "/group_by"),
        ({"class": "basic", "group_by": "at.year"}, "/group_by"),
        ({"class": "basic", "period": "2026"}, "/period"),
    ],
)
async def test_what_may_name_somebody_is_never_aggregated(
    analyst: Crm, body: dict[str, Any], pointer: str
) -> None:
    refused = await ask(analyst, 422, **body)
    assert [fault["pointer"] for fault in refused["errors"]] == [pointer]


async def test_purposes_that_are_closed_stay_closed(shop: Shop, analyst: Crm) -> None:
    await fill(shop.seller, ("web", 6))
    body = {"class": "purchases", "measure": "count"}
    for purpose in ("marketing", "profiling"):
        refused = await analyst.send(
            "POST", "/v1/records:aggregate", body, Keyturn_Purpose=purpose
        )
        assert refused.status_code == 403
    assert (
        await shop.seller.send("POST", "/v1/records:aggregate", body)
    ).status_code == 403
    assert Scope.RECORDS_AGGREGATE not in SCOPES


async def test_an_aggregate_goes_through_many_pages_and_lets_others_pass(
    shop: Shop, analyst: Crm
) -> None:
    for start in range(0, 240, 80):
        items = [
            {"ref": f"r{n}", "record": buyer_of(n, "web", "1.00")}
            for n in range(start, start + 80)
        ]
        answer = await shop.seller.send("POST", "/v1/records:batch", {"items": items})
        assert answer.status_code == 207
    running = asyncio.ensure_future(ask(analyst, measure="sum", field="amount"))
    turns = 0
    while not running.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await running)["groups"] == [
        {"group": None, "records": 240, "value": "240"}
    ]
    assert turns > 200  # the event loop was free between two records
