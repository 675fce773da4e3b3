# SPDX-License-Identifier: Apache-2.0
"""Promise: many at once lose nothing, double nothing, and see every record once."""

import asyncio
import collections

import pytest

from tests.integration.vault.records.shop import JANE, Shop, person


@pytest.mark.attack("A3")
async def test_a3_of_50_parallel_creates_of_one_email_one_wins(shop: Shop) -> None:
    def twin(number: int) -> dict[str, object]:
        return {**person(number), "documents": {"basic": {"email": "one@example.org"}}}

    answers = await asyncio.gather(
        *(shop.seller.send("POST", "/v1/records", twin(n)) for n in range(50))
    )
    assert collections.Counter(a.status_code for a in answers) == {201: 1, 409: 49}
    refused = next(a for a in answers if a.status_code == 409).json()
    assert (refused["code"], refused["field"]) == ("unique-conflict", "email")
    listed = (await shop.seller.send("GET", "/v1/records")).json()["items"]
    assert len(listed) == 1
    # Another party's customers are another matter.
    assert (await shop.buyer.send("POST", "/v1/records", twin(1))).status_code == 201


async def test_parallel_creates_of_one_external_id_make_one_record(shop: Shop) -> None:
    answers = await asyncio.gather(
        *(shop.seller.send("POST", "/v1/records", person(7)) for _n in range(10))
    )
    assert collections.Counter(a.status_code for a in answers) == {201: 1, 200: 9}
    assert len({a.json()["id"] for a in answers}) == 1


async def test_parallel_appends_lose_no_entry(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)

    async def append(number: int) -> int:
        entry = {"entry_id": f"p-{number}", "at": "2026-01-05T10:00:00Z"}
        answer = await shop.seller.send(
            "POST",
            f"/v1/records/{id_}/entries",
            {"class": "purchases", "entries": [entry]},
        )
        return answer.status_code

    assert set(await asyncio.gather(*map(append, range(20)))) == {200}
    entries = (await shop.seller.read(id_)).json()["entries"]["purchases"]
    assert {e["entry_id"] for e in entries} == {"o-1", *(f"p-{n}" for n in range(20))}


async def test_appends_of_two_processes_lose_no_entry(shop: Shop) -> None:
    if shop.vault.house.settings.database_url is None:
        pytest.skip("two processes write one SQLite file only one after the other")
    id_ = await shop.seller.create(JANE)
    async with shop.vault.house.running("vault-2") as second:

        async def append(number: int) -> int:
            entry = {"entry_id": f"p-{number}", "at": "2026-01-05T10:00:00Z"}
            http = (shop.vault if number % 2 else second).http
            answer = await http.post(
                f"/v1/records/{id_}/entries",
                json={"class": "purchases", "entries": [entry]},
                headers=shop.seller.headers,
            )
            return answer.status_code

        assert set(await asyncio.gather(*map(append, range(20)))) == {200}
    entries = (await shop.seller.read(id_)).json()["entries"]["purchases"]
    assert len(entries) == 21


@pytest.mark.attack("A9")
async def test_a9_a_full_export_returns_each_record_once_while_writes_go_on(
    shop: Shop,
) -> None:
    items = [{"ref": f"r{n}", "record": person(n)} for n in range(60)]
    made = await shop.seller.send("POST", "/v1/records:batch", {"items": items})
    ids = {one["id"] for one in made.json()["items"]}
    seen: list[str] = []
    cursor, fresh = "", 1_000
    while True:
        page = (await shop.seller.send("GET", f"/v1/records?limit=7{cursor}")).json()
        seen += [one["id"] for one in page["items"]]
        assert len(page["items"]) <= 7
        await shop.seller.send(
            "PATCH", f"/v1/records/{seen[0]}", {"tags": [f"t{fresh}"]}, if_match='"1"'
        )
        if fresh < 1_005:
            await shop.seller.create(person(fresh))
            fresh += 1
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen))
    assert ids <= set(seen)
    assert len(seen) == 65
    named = [
        a for e in await shop.vault.events("records.listed") for a in e.data["records"]
    ]
    assert len(named) == len(seen)


@pytest.mark.attack("A9")
@pytest.mark.parametrize("limit", ["0", "201", "9999999"])
async def test_a9_a_limit_out_of_range_is_refused_never_capped(
    shop: Shop, limit: str
) -> None:
    answer = await shop.seller.send("GET", f"/v1/records?limit={limit}")
    assert (answer.status_code, answer.json()["code"]) == (400, "limit-out-of-range")


@pytest.mark.attack("A9")
async def test_a9_a_cursor_is_good_for_its_own_list_only(shop: Shop) -> None:
    for number in range(3):
        await shop.seller.create(person(number))
    cursor = (await shop.seller.send("GET", "/v1/records?limit=1")).json()[
        "next_cursor"
    ]
    forged = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for crm, sent in (
        (shop.seller, forged),
        (shop.buyer, cursor),
        (shop.seller, "AAAA"),
    ):
        answer = await crm.send("GET", f"/v1/records?cursor={sent}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor-invalid")
