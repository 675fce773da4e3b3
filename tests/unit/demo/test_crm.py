# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain

import pytest

from deploy.demo.catalogue import FIELDS, names_of
from deploy.demo.crm import (
    AS_OF,
    CONSENT_STATES,
    Cast,
    Customer,
    Scenario,
    buyer_customers,
    late_customer,
    late_entry,
    ordinal_of,
    seller_customers,
)
from deploy.demo.dataset import ZONE, Dataset
from deploy.demo.export import consent_state

SMALL = Scenario(limit=60)


@pytest.fixture(scope="module")
def small(dataset: Dataset) -> list[Customer]:
    return list(seller_customers(dataset, SMALL))


@pytest.fixture(scope="module")
def whole(dataset: Dataset) -> list[Customer]:
    return list(seller_customers(dataset, Scenario()))


def _emails(customers: list[Customer]) -> list[str]:
    return [str(c["record"]["documents"]["basic"]["email"]) for c in customers]


@pytest.mark.parametrize("limit", [24, 60, 300], ids=str)
def test_every_kind_of_customer_occurs_in_a_small_run(
    dataset: Dataset, limit: int
) -> None:
    customers = list(seller_customers(dataset, Scenario(limit=limit)))
    tags = Counter(chain.from_iterable(c["record"]["tags"] for c in customers))
    states = Counter(consent_state(c) for c in customers)
    assert len(customers) == limit
    assert set(states) == set(CONSENT_STATES)
    assert min(*tags.values(), *states.values()) >= 2
    assert set(tags) == {"wholesale", "prospect", "synthetic"}


def test_a_limit_without_room_for_each_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        Scenario(limit=23)


def test_every_household_and_purchase_is_exported_once(
    dataset: Dataset, whole: list[Customer]
) -> None:
    entries = [
        e for c in whole for e in c["record"].get("entries", {}).get("purchases", [])
    ]
    households = [c for c in whole if "entries" in c["record"]]
    assert len(households) == len(dataset.purchases)
    assert len(entries) == dataset.purchase_count
    assert len({e["entry_id"] for e in entries}) == len(entries)
    assert len({c["record"]["external_id"] for c in whole}) == len(whole)
    cents = sum(p.amount for rows in dataset.purchases.values() for p in rows)
    assert sum(Decimal(str(e["amount"])) for e in entries) == Decimal(cents) / 100


def test_about_nine_in_ten_have_a_standing_consent(whole: list[Customer]) -> None:
    states = Counter(consent_state(c) for c in whole)
    assert 0.88 <= states["given"] / len(whole) <= 0.92


def test_consents_and_objections_are_older_than_as_of(whole: list[Customer]) -> None:
    for customer in whole:
        for consent in customer["consents"]:
            given = datetime.fromisoformat(consent["given_at"])
            later = datetime.fromisoformat(
                consent.get("withdrawn_at", consent["given_at"])
            )
            assert given <= later
            assert later.astimezone(ZONE).date() < AS_OF
        for objection in customer["objections"]:
            at = datetime.fromisoformat(objection["objected_at"])
            assert at.astimezone(ZONE).date() < AS_OF


def test_an_objector_had_consented_so_that_the_objection_alone_decides(
    whole: list[Customer],
) -> None:
    objectors = [c for c in whole if c["objections"]]
    assert objectors
    for customer in objectors:
        assert customer["consents"]
        assert "withdrawn_at" not in customer["consents"][0]


def test_prospects_are_labelled_and_have_bought_nothing(small: list[Customer]) -> None:
    prospects = [c for c in small if "prospect" in c["record"]["tags"]]
    assert prospects
    for customer in prospects:
        assert "synthetic" in customer["record"]["tags"]
        assert "entries" not in customer["record"]
        assert set(customer["record"]["documents"]) == {"basic"}
    expired = [c for c in prospects if "retention" in c["record"]]
    assert len(expired) == 1
    assert expired[0]["record"]["retention"]["basic"] < AS_OF.isoformat()


def test_wholesale_customers_are_those_who_buy_most_pieces(dataset: Dataset) -> None:
    cast = Cast(dataset, Scenario())
    pieces = {h: sum(p.quantity for p in dataset.purchases[h]) for h in cast.households}
    least = min(pieces[home] for home in cast.wholesale)
    assert all(pieces[h] <= least for h in cast.households if h not in cast.wholesale)


def test_habits_agree_with_the_exported_purchases(small: list[Customer]) -> None:
    for customer in small:
        entries = customer["record"].get("entries", {}).get("purchases", [])
        if not entries:
            continue
        habits = customer["record"]["documents"]["habits"]
        times = sorted(datetime.fromisoformat(str(e["at"])) for e in entries)
        spent = sum(Decimal(str(e["amount"])) for e in entries)
        assert habits["orders"] == len({e["basket_id"] for e in entries})
        assert habits["spent"] == str(spent)
        last = times[-1].astimezone(ZONE).date().isoformat()
        assert habits["last_purchase_on"] == last
        favourite = Counter(e["category"] for e in entries)
        assert favourite[habits["favourite_category"]] == max(favourite.values())


def test_every_field_is_in_the_catalogue_and_every_field_occurs(
    dataset: Dataset, whole: list[Customer]
) -> None:
    seen: dict[str, set[str]] = {"basic": set(), "habits": set(), "purchases": set()}
    for customer in [*whole, *buyer_customers(dataset, SMALL), late_customer(SMALL)]:
        record = customer["record"]
        for name, document in record["documents"].items():
            seen[name] |= set(document)
        for entry in record.get("entries", {}).get("purchases", []):
            seen["purchases"] |= set(entry) - {"entry_id", "at"}
    assert seen == {name: names_of(name) for name in seen}


def test_a_field_name_stands_for_one_field() -> None:
    assert len({f["name"] for f in FIELDS}) == len(FIELDS)
    assert [f["name"] for f in FIELDS if f["unique"]] == ["email"]
    assert all(f["searchable"] for f in FIELDS if f["unique"])


def test_emails_are_unique_within_each_company(
    dataset: Dataset, whole: list[Customer]
) -> None:
    seller = _emails([*whole, late_customer(Scenario())])
    buyer = _emails(list(buyer_customers(dataset, Scenario())))
    assert len(set(seller)) == len(seller)
    assert len(set(buyer)) == len(buyer)


@pytest.mark.parametrize("scenario", [Scenario(), SMALL], ids=["whole", "small"])
def test_one_customer_of_the_buyer_shares_an_email_with_a_customer_who_moves(
    dataset: Dataset, scenario: Scenario
) -> None:
    seller = {e: c for c in seller_customers(dataset, scenario) for e in _emails([c])}
    buyer = {e: c for c in buyer_customers(dataset, scenario) for e in _emails([c])}
    (email,) = seller.keys() & buyer.keys()
    assert consent_state(seller[email]) == "given"
    assert seller[email]["record"]["tags"] == []
    ours, theirs = seller[email]["record"], buyer[email]["record"]
    assert ours["external_id"] != theirs["external_id"]
    assert ours["documents"]["basic"]["phone"] != theirs["documents"]["basic"]["phone"]


def test_both_companies_number_alike(dataset: Dataset, whole: list[Customer]) -> None:
    seller = {c["record"]["external_id"] for c in whole}
    buyer = {c["record"]["external_id"] for c in buyer_customers(dataset, SMALL)}
    assert seller & buyer


def test_a_limit_changes_nobody(whole: list[Customer], small: list[Customer]) -> None:
    everyone = {ordinal_of(c): c for c in whole}
    for customer in small:
        same = everyone[ordinal_of(customer)]
        assert customer["record"]["documents"] == same["record"]["documents"]


def test_what_arrives_late_is_new(dataset: Dataset, whole: list[Customer]) -> None:
    late = late_customer(Scenario())
    assert late["record"]["external_id"] not in {
        c["record"]["external_id"] for c in whole
    }
    entry = late_entry(dataset, datetime(2018, 2, 1, 12, tzinfo=UTC))
    assert entry["at"] == "2018-02-01T12:00:00.000Z"
    known = {
        e["entry_id"]
        for c in whole
        for e in c["record"].get("entries", {}).get("purchases", [])
    }
    assert entry["entry_id"] not in known
