# SPDX-License-Identifier: Apache-2.0
"""The customers of the two companies of the demonstration, as their CRMs hold them.

The seller is a cleaning-supplies company: its customers are the published households
with synthetic names and consents, and a few synthetic prospects. The buyer's are all
synthetic. Everything follows from the scenario and the package: no clock, no chance.
Records have the shape of `POST /v1/records:batch`; `export.py` writes them to files.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Literal, NotRequired, TypedDict

from deploy.demo.dataset import ZONE, Dataset, Product, Purchase
from deploy.demo.habits import habits_of, money
from deploy.demo.people import Person, person

Value = str | int
ConsentState = Literal["given", "never", "withdrawn", "objected"]
CONSENT_STATES: tuple[ConsentState, ...] = ("given", "never", "withdrawn", "objected")

AS_OF = date(2018, 1, 31)
"""The day the demonstration pretends to freeze; all consents are older."""

_CLASSES = ("basic", "purchases", "habits")

# Ordinals of synthetic people: a household's is its number in the package (1..2,500).
_FIRST_PROSPECT, _LATE_CUSTOMER, _FIRST_BUYER = 3_000, 3_900, 4_000

# Shares of the seller's households without an effective consent: together a tenth.
_SHARES: dict[ConsentState, float] = {
    "never": 0.04,
    "withdrawn": 0.03,
    "objected": 0.03,
}
_WHOLESALE_SHARE = 0.01
_FEWEST = 2  # of each kind, however small the run


class Record(TypedDict):
    """A customer as the vault's API takes it (RecordIn)."""

    external_id: str
    tags: list[str]
    basis: NotRequired[dict[str, str]]
    retention: NotRequired[dict[str, str]]
    documents: dict[str, dict[str, Value]]
    entries: NotRequired[dict[str, list[dict[str, Value]]]]


class Consent(TypedDict):
    """A separate consent to the handover (ConsentIn)."""

    kind: str
    recipient: str
    classes: list[str]
    given_at: str
    withdrawn_at: NotRequired[str]
    evidence_sha256: str


class Objection(TypedDict):
    """An objection to the handover (ObjectionIn)."""

    recipient: str
    objected_at: str
    evidence_sha256: str


class Customer(TypedDict):
    """One customer of an export: a batch item, and where its parts are from."""

    record: Record
    consents: list[Consent]
    objections: list[Objection]
    provenance: dict[str, str]


@dataclass(frozen=True)
class Scenario:
    """What the demonstration's customers depend on, beside the package itself."""

    seed: int = 2017
    limit: int | None = None  # customers of the seller in all; None is every household
    prospects: int = 12
    buyer_customers: int = 25
    buyer: str = "buyer"  # party id: the recipient the consents name

    def __post_init__(self) -> None:
        """Refuse a run too small to hold each kind of customer.

        Raises:
            ValueError: `limit` is below 24, or no buyer's customer could be shared.
        """
        if self.limit is not None and self.limit < 24:
            raise ValueError("a limit below 24 leaves no room for each kind")
        if not 1 <= self.buyer_customers <= 900 or not 2 <= self.prospects <= 900:
            raise ValueError("1..900 buyer's customers and 2..900 prospects")


@dataclass(frozen=True)
class Cast:
    """Who plays what among the seller's customers; the same for the same scenario."""

    dataset: Dataset
    scenario: Scenario

    @cached_property
    def prospects(self) -> range:
        """Ordinals of the synthetic prospects."""
        count = self.scenario.prospects
        if self.scenario.limit is not None:
            count = max(_FEWEST, min(count, self.scenario.limit // 20))
        return range(_FIRST_PROSPECT, _FIRST_PROSPECT + count)

    @cached_property
    def households(self) -> Sequence[int]:
        """The package's households of this run, ascending; a limit takes every nth."""
        everyone = sorted(self.dataset.purchases)
        if self.scenario.limit is None:
            return everyone
        wanted = min(self.scenario.limit - len(self.prospects), len(everyone))
        return [everyone[n * len(everyone) // wanted] for n in range(wanted)]

    @cached_property
    def wholesale(self) -> frozenset[int]:
        """The households that buy most pieces: tagged, out of scope for habits."""
        pieces = {
            home: sum(row.quantity for row in self.dataset.purchases[home])
            for home in self.households
        }
        most = sorted(self.households, key=lambda home: (-pieces[home], home))
        return frozenset(most[: self._share(_WHOLESALE_SHARE)])

    @cached_property
    def consent(self) -> dict[int, ConsentState]:
        """Households without an effective consent; everybody else has given one.

        Wholesale customers and prospects are not among them, so that each of their
        own reasons is seen alone.
        """
        pool = [home for home in self.households if home not in self.wholesale]
        random.Random(self.scenario.seed).shuffle(pool)
        states: dict[int, ConsentState] = {}
        for state, share in _SHARES.items():
            for _ in range(self._share(share)):
                states[pool.pop()] = state
        return states

    @cached_property
    def shared(self) -> int:
        """The household that is the buyer's customer too, by its e-mail address.

        The last one, so that its external id is another one in the buyer's CRM.
        """
        return next(
            home
            for home in reversed(self.households)
            if home not in self.consent and home not in self.wholesale
        )

    def consent_of(self, ordinal: int) -> ConsentState:
        """Return the consent state of a household or prospect."""
        return self.consent.get(ordinal, "given")

    def _share(self, share: float) -> int:
        return max(_FEWEST, round(len(self.households) * share))


def seller_customers(dataset: Dataset, scenario: Scenario) -> Iterator[Customer]:
    """Yield the seller's customers: the households, then the synthetic prospects."""
    cast = Cast(dataset, scenario)
    for home in cast.households:
        yield _household(cast, home)
    for ordinal in cast.prospects:
        yield _prospect(cast, ordinal)


def buyer_customers(dataset: Dataset, scenario: Scenario) -> Iterator[Customer]:
    """Yield the buyer's own customers, all synthetic.

    Their external ids number from C-000001 as the seller's do: two companies number
    alike. The first one is the seller's customer `Cast.shared`: same name and e-mail
    address, another phone and address.
    """
    shared = person(scenario.seed, Cast(dataset, scenario).shared)
    for n in range(scenario.buyer_customers):
        who = person(scenario.seed, _FIRST_BUYER + n)
        if n == 0:
            who = replace(who, name=shared.name, email=shared.email)
        since = date(2016, 1, 1) + timedelta(days=n * 11)
        rows = _synthetic_purchases(dataset, scenario.seed, _FIRST_BUYER + n)
        record = _record(external_id(n + 1), who, since, ["synthetic"])
        record["entries"] = {"purchases": [_entry(dataset, row) for row in rows]}
        yield _customer(record, purchases="synthetic")


def late_customer(scenario: Scenario) -> Customer:
    """Return the synthetic new customer of the seller who arrives during the freeze."""
    who = person(scenario.seed, _LATE_CUSTOMER)
    return _customer(_record(external_id(_LATE_CUSTOMER), who, AS_OF, ["synthetic"]))


def late_entry(dataset: Dataset, at: datetime) -> dict[str, Value]:
    """Return a synthetic new order at an aware time: it arrives during the freeze."""
    product = min(dataset.products)
    return _entry(dataset, Purchase(1, 1, product, 2, 598, 0, 0, 0, 1, at))


def external_id(ordinal: int) -> str:
    """Return the CRM's number of a customer, as in `C-000123`."""
    return f"C-{ordinal:06d}"


def ordinal_of(customer: Customer) -> int:
    """Return the ordinal behind a customer's external id."""
    return int(customer["record"]["external_id"].removeprefix("C-"))


def _household(cast: Cast, home: int) -> Customer:
    rows = cast.dataset.purchases[home]
    draw = random.Random(cast.scenario.seed * 10_000 + home)
    since = rows[0].at.date() - timedelta(days=draw.randrange(1, 900))
    tags = ["wholesale"] if home in cast.wholesale else []
    who = person(cast.scenario.seed, home)
    record = _record(external_id(home), who, since, tags)
    record["documents"]["habits"] = habits_of(cast.dataset, home)
    record["entries"] = {"purchases": [_entry(cast.dataset, row) for row in rows]}
    customer = _customer(record, purchases="published", habits="computed")
    return _with_consent(customer, cast, home, draw)


def _prospect(cast: Cast, ordinal: int) -> Customer:
    number = ordinal - _FIRST_PROSPECT
    who = person(cast.scenario.seed, ordinal)
    since = AS_OF - timedelta(days=60 + number * 17)
    record = _record(external_id(ordinal), who, since, ["prospect", "synthetic"])
    record["basis"] = {"basic": "consent"}
    if number == 0:
        # Asked once and never bought: the time to keep this one is over (row 3).
        record["retention"] = {"basic": (AS_OF - timedelta(days=31)).isoformat()}
    draw = random.Random(cast.scenario.seed * 10_000 + ordinal)
    return _with_consent(_customer(record), cast, ordinal, draw)


def _record(number: str, who: Person, since: date, tags: list[str]) -> Record:
    basic: dict[str, Value] = {
        "name": who.name,
        "email": who.email,
        "phone": who.phone,
        "address": who.address,
        "city": who.city,
        "postal_code": who.postal_code,
        "country": who.country,
        "language": who.language,
        "registered_on": since.isoformat(),
    }
    return {"external_id": number, "tags": tags, "documents": {"basic": basic}}


def _customer(record: Record, **provenance: str) -> Customer:
    return {
        "record": record,
        "consents": [],
        "objections": [],
        "provenance": {"basic": "synthetic", "consents": "synthetic", **provenance},
    }


def _with_consent(
    customer: Customer, cast: Cast, ordinal: int, draw: random.Random
) -> Customer:
    state = cast.consent_of(ordinal)
    if state == "never":
        return customer
    number = customer["record"]["external_id"]
    recipient = cast.scenario.buyer
    asked = datetime(2018, 1, 8, 9, tzinfo=ZONE)
    given = asked + timedelta(minutes=draw.randrange(10 * 24 * 60))
    changed = given + timedelta(minutes=draw.randrange(60, 7 * 24 * 60))
    consent: Consent = {
        "kind": "separate",
        "recipient": recipient,
        "classes": list(_CLASSES),
        "given_at": _instant(given),
        "evidence_sha256": _evidence("consent", number, given),
    }
    if state == "withdrawn":
        consent["withdrawn_at"] = _instant(changed)
    customer["consents"].append(consent)
    if state == "objected":
        objection: Objection = {
            "recipient": recipient,
            "objected_at": _instant(changed),
            "evidence_sha256": _evidence("objection", number, changed),
        }
        customer["objections"].append(objection)
    return customer


def _evidence(what: str, number: str, at: datetime) -> str:
    """Return the hash of a synthetic form: the paper itself stays with the seller."""
    form = f"synthetic {what} form of {number}, {_instant(at)}\n"
    return "sha256:" + hashlib.sha256(form.encode()).hexdigest()


def _entry(dataset: Dataset, row: Purchase) -> dict[str, Value]:
    product: Product = dataset.products[row.product_id]
    known: dict[str, Value | None] = {
        "entry_id": f"{row.basket_id}-{row.product_id}",
        "at": _instant(row.at),
        "basket_id": str(row.basket_id),
        "store_id": str(row.store_id),
        "product_id": str(row.product_id),
        "product": product.description,
        "package_size": product.size,
        "category": product.category,
        "brand": product.brand,
        "quantity": row.quantity,
        "amount": money(row.amount),
        "retail_discount": money(row.retail_discount),
        "coupon_discount": money(row.coupon_discount),
        "coupon_match_discount": money(row.coupon_match_discount),
        "week": row.week,
    }
    return {name: value for name, value in known.items() if value is not None}


def _synthetic_purchases(
    dataset: Dataset, seed: int, ordinal: int
) -> Iterable[Purchase]:
    draw = random.Random(seed * 10_000 + ordinal)
    articles = sorted(dataset.products)
    for n in range(draw.randrange(1, 5)):
        day = datetime(2017, 1, 2, 10, tzinfo=ZONE) + timedelta(days=80 * n)
        at = day + timedelta(minutes=draw.randrange(60 * 24 * 60))
        cents, week = draw.randrange(99, 1_500), at.timetuple().tm_yday // 7 + 1
        article, quantity = draw.choice(articles), draw.randrange(1, 4)
        basket = 9_000_000 + ordinal * 10 + n
        yield Purchase(1, basket, article, quantity, cents, 0, 0, 0, week, at)


def _instant(at: datetime) -> str:
    """Return an instant as the API spells it: RFC 3339, UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
