# SPDX-License-Identifier: Apache-2.0
"""Promise: nobody is shown more distinct records a day than it may, not even at once."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from contracts.officers import OfficerRole
from contracts.purposes import GIVEN, Purpose
from contracts.scopes import Scope
from services.vault.access import store
from tests.integration.vault.house import House, Vault
from tests.integration.vault.records.shop import Crm, enrol, open_shop, person

READING = [
    Scope.ALIASES_RESOLVE,
    Scope.RECORDS_LOOKUP,
    Scope.RECORDS_READ,
]
LIMIT = 10


@pytest.fixture
def till(house: House) -> House:
    """A house whose client `till` may see ten records a day, and not list."""
    enrol(house)
    with house.enrolling() as on_host:
        done = on_host.client(
            "till",
            "seller",
            frozenset(READING),
            frozenset(GIVEN),
            Purpose.CUSTOMER_SERVICE,
            daily_records=LIMIT,
        )
    house.secrets["till"] = done.secret
    return house


async def stocked(vault: Vault, count: int) -> list[str]:
    shop = await open_shop(vault)
    return [await shop.seller.create(person(n)) for n in range(count)]


async def at_till(vault: Vault) -> Crm:
    return Crm(vault, await vault.as_client("till"))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def reads(crm: Crm, ids: list[str]) -> list[httpx.Response]:
    return await asyncio.gather(*(crm.read(id_) for id_ in ids))


async def test_fifty_at_once_at_two_workers_get_exactly_the_limit(till: House) -> None:
    async with till.running() as one, till.running("vault-2") as two:
        ids = await stocked(one, 50)
        here, there = await at_till(one), await at_till(two)
        answers = await asyncio.gather(
            *(
                crm.read(id_)
                for n, id_ in enumerate(ids)
                for crm in [(here, there)[n % 2]]
            )
        )
        assert statuses(list(answers)) == {200: LIMIT, 429: 40}
        named = {e.data["record"] for e in await one.events("record.read")}
        assert len(named) == LIMIT
        denied = await one.events("access.denied")
        assert {e.data["reason"] for e in denied} == {"quota-exceeded"}
        assert len(denied) == 40


async def test_the_same_record_costs_nothing_and_a_restart_forgets_nothing(
    till: House,
) -> None:
    async with till.running() as vault:
        ids = await stocked(vault, LIMIT + 1)
        crm = await at_till(vault)
        assert statuses(await reads(crm, ids[:LIMIT] * 3)) == {200: 3 * LIMIT}
    async with till.running() as vault:
        crm = await at_till(vault)
        assert (await crm.read(ids[LIMIT])).status_code == 429
        assert statuses(await reads(crm, ids[:LIMIT])) == {200: LIMIT}


async def test_a_record_seen_today_costs_no_statement(
    till: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Any] = []
    count = store.count
    monkeypatch.setattr(
        store, "count", lambda *given: counted.append(given) or count(*given)
    )
    async with till.running() as vault:
        (id_,) = await stocked(vault, 1)
        crm = await at_till(vault)
        for _again in range(3):
            assert (await crm.read(id_)).status_code == 200
    assert len(counted) == 1


async def test_the_day_ends_at_the_midnight_of_the_party(till: House) -> None:
    till.clock.set(datetime(2026, 6, 30, 21, 59, 30, tzinfo=UTC))  # 23:59:30 there
    async with till.running() as vault:
        ids = await stocked(vault, LIMIT + 1)
        crm = await at_till(vault)
        await reads(crm, ids[:LIMIT])
        refused = await crm.read(ids[LIMIT])
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "30"
        till.clock.set(datetime(2026, 6, 30, 22, 0, 0, tzinfo=UTC))
        assert (await crm.read(ids[LIMIT])).status_code == 200


async def test_a_refusal_holds_nothing_of_the_record_and_is_in_the_log(
    till: House,
) -> None:
    async with till.running() as vault:
        ids = await stocked(vault, LIMIT + 1)
        crm = await at_till(vault)
        await reads(crm, ids[:LIMIT])
        for path in (ids[LIMIT], f"{ids[LIMIT]}/history"):
            refused = await crm.send("GET", f"/v1/records/{path}")
            assert refused.status_code == 429
            document = refused.json()
            assert document["code"] == "quota-exceeded"
            assert "Person" not in refused.text
            assert ids[LIMIT] not in refused.text
            (event,) = [
                e
                for e in await vault.events("access.denied")
                if f"{e.lane}/{e.seq}" == document["audit_event"]
            ]
            assert event.data["reason"] == "quota-exceeded"


async def test_an_answer_that_would_pass_the_limit_is_refused_whole(
    till: House,
) -> None:
    async with till.running() as vault:
        ids = await stocked(vault, LIMIT + 2)
        crm = await at_till(vault)
        await reads(crm, ids[: LIMIT - 1])

        async def resolve(records: list[str]) -> int:
            body = {"records": records}
            answer = await crm.send("POST", "/v1/aliases:resolve", body)
            return answer.status_code

        async def look_up(*numbers: int) -> int:
            wanted = [{"field": "email", "value": f"p{n}@example.org"} for n in numbers]
            body = {"identifiers": wanted}
            return (await crm.send("POST", "/v1/records/lookup", body)).status_code

        assert await resolve(ids[LIMIT - 1 : LIMIT + 1]) == 429
        assert await look_up(LIMIT, LIMIT + 1) == 429
        # Nothing of the refused answers was counted: one more is left.
        assert await resolve(ids[:LIMIT]) == 200
        assert await look_up(LIMIT + 1) == 429
        assert await look_up(0) == 200


async def test_who_may_list_is_not_limited_and_an_officer_is(till: House) -> None:
    till.settings = replace(till.settings, daily_records=2)
    async with till.running() as vault:
        shop = await open_shop(vault)
        ids = [await shop.seller.create(person(n)) for n in range(4)]
        assert statuses(await reads(shop.seller, ids)) == {200: 4}
        officer = await shop.officer("seller", OfficerRole.COMPLIANCE)
        answers = [
            await officer.read(id_, **{"Keyturn-Purpose": "rights_request"})
            for id_ in ids
        ]
        assert statuses(answers) == {200: 2, 429: 2}


async def test_old_days_are_swept_and_today_stays(till: House) -> None:
    till.clock.set(datetime(2026, 6, 20, 10, tzinfo=UTC))
    async with till.running() as vault:
        ids = await stocked(vault, 3)
        crm = await at_till(vault)
        await reads(crm, ids)
        till.clock.set(datetime(2026, 6, 30, 10, tzinfo=UTC))
        crm = await at_till(vault)
        await reads(crm, ids[:2])
        assert await vault.rooms.quota.sweep_once() == 4  # three records, one count
        assert await vault.rooms.quota.sweep_once() == 0


async def test_the_enrolment_event_names_the_limit(till: House) -> None:
    async with till.running() as vault:
        events = await vault.events("client.enrolled")
        limits = {e.data["client"]: e.data.get("daily_records") for e in events}
        assert limits["till"] == LIMIT
        assert limits["crm"] is None
