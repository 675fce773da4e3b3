# SPDX-License-Identifier: Apache-2.0
"""The field catalogue of the demonstration, as data for the catalogue's API.

Seller and buyer use the same one: a handover asks that every agreed field is in the
buyer's catalogue. `external_id`, `tags`, `entry_id` and `at` are parts of a record,
not fields, and stand in no catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypedDict

CLASSES: Final = {"basic": "document", "purchases": "entries", "habits": "document"}
"""Form of each class: a document has one volume, entries one for each year."""

FieldSpec = TypedDict(
    "FieldSpec",
    {
        "name": str,
        "class": str,
        "grade": str,  # general | sensitive | minor
        "kind": str,  # what the value is: name, email, phone, address, text, date, ...
        "mask": str,  # how the masked view shows it: none | hide | the kind's own way
        "searchable": bool,
        "unique": bool,
    },
)


def _field(name: str, of: str, kind: str, mask: str = "none") -> FieldSpec:
    # Only contacts get an index: the others have few distinct values or none to seek.
    return {
        "name": name,
        "class": of,
        "grade": "general",
        "kind": kind,
        "mask": mask,
        "searchable": kind in {"email", "phone"},
        "unique": kind == "email",
    }


FIELDS: Final[tuple[FieldSpec, ...]] = (
    _field("name", "basic", "name", "name"),
    _field("email", "basic", "email", "email"),
    _field("phone", "basic", "phone", "phone"),
    _field("address", "basic", "address", "address"),
    _field("city", "basic", "text"),
    _field("postal_code", "basic", "text", "hide"),
    _field("country", "basic", "text"),
    _field("language", "basic", "text"),
    _field("registered_on", "basic", "date"),
    # The package's row of `transactions`, and what its row of `products` says of it.
    _field("basket_id", "purchases", "id"),
    _field("store_id", "purchases", "id"),
    _field("product_id", "purchases", "id"),
    _field("product", "purchases", "text"),
    _field("package_size", "purchases", "text"),
    _field("category", "purchases", "text"),
    _field("brand", "purchases", "text"),
    _field("quantity", "purchases", "integer"),
    _field("amount", "purchases", "amount"),
    _field("retail_discount", "purchases", "amount"),
    _field("coupon_discount", "purchases", "amount"),
    _field("coupon_match_discount", "purchases", "amount"),
    _field("week", "purchases", "integer"),
    # Computed from the purchases.
    _field("favourite_category", "habits", "text"),
    _field("favourite_store_id", "habits", "id"),
    _field("orders", "habits", "integer"),
    _field("orders_per_month", "habits", "number"),
    _field("average_basket", "habits", "amount", "hide"),
    _field("spent", "habits", "amount", "hide"),
    _field("coupon_share", "habits", "number"),
    _field("first_purchase_on", "habits", "date"),
    _field("last_purchase_on", "habits", "date"),
    # The package's demographics.
    _field("age_band", "habits", "text", "hide"),
    _field("income_band", "habits", "text", "hide"),
    _field("home_ownership", "habits", "text", "hide"),
    _field("marital_status", "habits", "text", "hide"),
    _field("household_size", "habits", "text", "hide"),
    _field("household_composition", "habits", "text", "hide"),
    _field("kids_count", "habits", "text", "hide"),
)


def entered() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and body of each PUT that enters the catalogue, classes first."""
    for name, form in CLASSES.items():
        yield f"/v1/catalogue/classes/{name}", {"form": form}
    for spec in FIELDS:
        members = {k: v for k, v in spec.items() if k != "name"}
        yield f"/v1/catalogue/fields/{spec['name']}", members


def names_of(data_class: str) -> frozenset[str]:
    """Return the names of the fields of a class."""
    return frozenset(f["name"] for f in FIELDS if f["class"] == data_class)
