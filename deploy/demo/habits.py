# SPDX-License-Identifier: Apache-2.0
"""Habits of a household, computed from its published purchases and demographics.

Amounts and rates are decimal strings, so that no reader sees a rounding of a double.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from deploy.demo.dataset import Dataset, Demographics, Purchase

_MONTHS = 12  # the published purchases fill one calendar year
_HUNDREDTH = Decimal("0.01")


def money(cents: int) -> str:
    """Return an amount in cents as a decimal string of dollars, as in `1.05`."""
    return str(Decimal(cents).scaleb(-2).quantize(_HUNDREDTH))


def habits_of(dataset: Dataset, household: int) -> dict[str, str | int]:
    """Return the habits document of a household; what is unknown is left out."""
    rows = dataset.purchases[household]
    habits = _from_purchases(dataset, rows)
    demographics = dataset.demographics.get(household)
    if demographics is not None:
        habits |= _from_demographics(demographics)
    return habits


def _from_purchases(dataset: Dataset, rows: Sequence[Purchase]) -> dict[str, str | int]:
    orders = len({row.basket_id for row in rows})
    spent = sum(row.amount for row in rows)
    with_coupon = sum(row.coupon_discount > 0 for row in rows)
    categories = Counter(dataset.products[row.product_id].category for row in rows)
    return {
        "favourite_category": _most_frequent(categories),
        "favourite_store_id": _most_frequent(Counter(str(r.store_id) for r in rows)),
        "orders": orders,
        "orders_per_month": _ratio(orders, _MONTHS),
        "average_basket": _ratio(spent, orders * 100),
        "spent": money(spent),
        "coupon_share": _ratio(with_coupon, len(rows)),
        "first_purchase_on": rows[0].at.date().isoformat(),
        "last_purchase_on": rows[-1].at.date().isoformat(),
    }


def _from_demographics(demographics: Demographics) -> dict[str, str | int]:
    known = {
        "age_band": demographics.age,
        "income_band": demographics.income,
        "home_ownership": demographics.home_ownership,
        "marital_status": demographics.marital_status,
        "household_size": demographics.household_size,
        "household_composition": demographics.household_composition,
        "kids_count": demographics.kids_count,
    }
    return {name: value for name, value in known.items() if value is not None}


def _most_frequent(counts: Counter[str]) -> str:
    # Of equally frequent ones the first by name, so that the answer is one.
    return min(counts, key=lambda name: (-counts[name], name))


def _ratio(part: int, whole: int) -> str:
    return str((Decimal(part) / whole).quantize(_HUNDREDTH, ROUND_HALF_EVEN))
