# SPDX-License-Identifier: Apache-2.0
"""Generated customers: as many as asked for, each the same at each run. Pure.

Quick on purpose: a million of them must not be what is measured. Their numbers are
valid and their addresses are nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

PREFIXES: Final = (130, 131, 135, 136, 137, 138, 139, 150, 151, 158, 186, 188)
CITIES: Final = ("Hangzhou", "Lyon", "Leipzig", "Osaka", "Busan", "Austin")
PRODUCTS: Final = ("DISH SOAP", "BLEACH", "PAPER TOWELS", "LAUNDRY POWDER")


def customer(
    number: int, purchases: int = 2, *, habits: bool = True, consents_to: str = ""
) -> dict[str, Any]:
    """Return one item of a batch: a customer with an e-mail, a phone and purchases.

    Args:
        number: Which one; up to 10^8 differ in each searchable field.
        purchases: How many entries it has bought in 2017.
        habits: Whether it has the third class.
        consents_to: The party to which its data may be handed over, if any.
    """
    prefix = PREFIXES[number % len(PREFIXES)]
    documents: dict[str, Any] = {
        "basic": {
            "name": f"Customer {number}",
            "email": f"customer.{number}@example.com",
            "phone": f"+86{prefix}{number % 10**8:08d}",
            "address": f"{number % 997 + 1} Long Road",
            "city": CITIES[number % len(CITIES)],
            "country": "CN",
            "registered_on": f"2016-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        }
    }
    if habits:
        documents["habits"] = {
            "orders": purchases,
            "spent": f"{number % 1000}.50",
            "favourite_category": PRODUCTS[number % len(PRODUCTS)],
        }
    record = {"external_id": f"C-{number:08d}", "documents": documents}
    if purchases:
        record["entries"] = {
            "purchases": [_purchase(number, i) for i in range(purchases)]
        }
    return {
        "ref": f"C-{number:08d}",
        "record": record,
        "consents": [_consent(consents_to)] if consents_to else [],
        "objections": [],
    }


def _consent(recipient: str) -> dict[str, Any]:
    return {
        "kind": "separate",
        "recipient": recipient,
        "classes": ["basic", "habits", "purchases"],
        "given_at": "2018-01-10T09:00:00.000Z",
        "evidence_sha256": "sha256:" + "0" * 64,
    }


def customers(first: int, count: int, purchases: int = 2) -> Iterator[dict[str, Any]]:
    """Yield `count` customers from number `first` on."""
    return (customer(number, purchases) for number in range(first, first + count))


def _purchase(number: int, i: int) -> dict[str, Any]:
    month, day = (number + i) % 12 + 1, (number * 7 + i) % 28 + 1
    return {
        "entry_id": f"{number}-{i}",
        "at": f"2017-{month:02d}-{day:02d}T10:00:00Z",
        "product": PRODUCTS[(number + i) % len(PRODUCTS)],
        "quantity": i % 5 + 1,
        "amount": f"{number % 90 + 1}.99",
    }
