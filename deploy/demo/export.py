# SPDX-License-Identifier: Apache-2.0
"""Writes what the CRMs export: NDJSON for people and imports, and the needles.

These files are plaintext and stay outside Keyturn. `needles.txt` holds every name,
phone, e-mail address and address that goes in: none of it may be found afterwards in
the state or the evidence of an installation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.crm import (
    Customer,
    Scenario,
    buyer_customers,
    late_customer,
    seller_customers,
)
from deploy.demo.dataset import Dataset

MIN_NEEDLE_BYTES = 6
"""Shorter text turns up in ciphertext by chance: a scan would cry wolf."""

_NEEDLE_FIELDS = ("name", "phone", "email", "address")

_README = """\
What lies here is the export of two customer systems, in plaintext, outside Keyturn.

Source: {source}.
Purchases: published household purchases, provenance as stated by the package.

customers.ndjson        the seller's customers, without their purchases
purchases.ndjson        the seller's purchases, one a line, as the package's rows are
buyer-customers.ndjson  the buyer's own customers
buyer-purchases.ndjson  the buyer's own purchases
late-customers.ndjson   the seller's new customer who arrives during the freeze

Synthetic, that is made up for the demonstration: every name, phone, e-mail address,
address and date of registration; every consent and objection; the prospects (tag
`prospect`); the customer who comes late; everything of the buyer. E-mail addresses
lie in reserved domains. Phone numbers have valid prefixes and may be in use: never
call them.
Computed from the package's purchases and demographics: the habits. The tag
`wholesale` marks the households that buy most pieces.
Each line says so itself, in `provenance`.
"""


@dataclass(frozen=True)
class ExportSummary:
    """What was written, counted while writing."""

    customers: int  # the seller's, prospects included
    purchases: int  # the seller's
    tags: dict[str, int]  # the seller's customers by tag
    consent: dict[str, int]  # the seller's customers: given, never, withdrawn, objected
    buyer_customers: int
    buyer_purchases: int
    needles: int


def write_export(
    directory: Path, dataset: Dataset, scenario: Scenario
) -> ExportSummary:
    """Write `crm/` and `needles.txt` into `directory`, the same bytes every time.

    Raises:
        OSError: the directory cannot be written.
    """
    crm = directory / "crm"
    crm.mkdir(parents=True, exist_ok=True)
    _write(crm / "README.txt", _README.format(source=dataset.source))
    needles: set[str] = set()
    seller = _Tally(needles)
    buyer = _Tally(needles)
    late = _Tally(needles)
    seller.write(crm, ("customers", "purchases"), seller_customers(dataset, scenario))
    buyer.write(
        crm,
        ("buyer-customers", "buyer-purchases"),
        buyer_customers(dataset, scenario),
    )
    late.write(crm, ("late-customers",), [late_customer(scenario)])
    _write(directory / "needles.txt", "".join(f"{n}\n" for n in sorted(needles)))
    return ExportSummary(
        customers=seller.customers,
        purchases=seller.purchases,
        tags=dict(sorted(seller.tags.items())),
        consent=dict(sorted(seller.consent.items())),
        buyer_customers=buyer.customers,
        buyer_purchases=buyer.purchases,
        needles=len(needles),
    )


def needles_of(customer: Customer) -> Iterator[str]:
    """Yield what of a customer must never be found in the state: each a line's text.

    A phone comes with and without its plus sign.

    Raises:
        ValueError: a needle is so short that a scan for it means nothing.
    """
    basic = customer["record"]["documents"]["basic"]
    for name in _NEEDLE_FIELDS:
        needle = str(basic[name])
        if len(needle.encode()) < MIN_NEEDLE_BYTES:
            message = f"a {name} is shorter than {MIN_NEEDLE_BYTES} bytes"
            raise ValueError(message)
        yield needle
        if name == "phone":
            yield needle.removeprefix("+")


def consent_state(customer: Customer) -> str:
    """Return what the exported consents and objections say: one of CONSENT_STATES."""
    if customer["objections"]:
        return "objected"
    if not customer["consents"]:
        return "never"
    withdrawn = any("withdrawn_at" in consent for consent in customer["consents"])
    return "withdrawn" if withdrawn else "given"


class _Tally:
    """Writes one company's files and counts on the way."""

    def __init__(self, needles: set[str]) -> None:
        self.needles = needles
        self.customers = 0
        self.purchases = 0
        self.tags: Counter[str] = Counter()
        self.consent: Counter[str] = Counter()

    def write(
        self, crm: Path, names: tuple[str, ...], customers: Iterable[Customer]
    ) -> None:
        """Write the customers' file and, if it is named, that of their purchases."""
        with ExitStack() as files:
            people, *bought = (
                files.enter_context((crm / f"{n}.ndjson").open("w", encoding="utf-8"))
                for n in names
            )
            for customer in customers:
                self._count(customer)
                record = customer["record"]
                number = record["external_id"]
                for entry in record.get("entries", {}).get("purchases", []):
                    self.purchases += 1
                    bought[0].write(_line({"external_id": number, **entry}))
                bare = {name: v for name, v in record.items() if name != "entries"}
                people.write(_line({**customer, "record": bare}))

    def _count(self, customer: Customer) -> None:
        self.customers += 1
        self.tags.update(customer["record"]["tags"])
        self.consent[consent_state(customer)] += 1
        self.needles.update(needles_of(customer))


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
