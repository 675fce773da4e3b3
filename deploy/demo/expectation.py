# SPDX-License-Identifier: Apache-2.0
"""What the handover must come to, counted from the CRM's export alone.

Written from the agreed rules in words (rows 1, 2, 3, 7 and 12 of the table of
eligibility), not from the code that decides: two counts that agree by chance would
have to be wrong in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from deploy.demo.crm import AS_OF

TRANSFER: Final = ("transfer", "eligible")
HELD: Final = ("held", "consent")
NO_CONSENT: Final = ("excluded", "consent")
OBJECTED: Final = ("excluded", "objected")
EXPIRED: Final = ("excluded", "expired")
OUT_OF_SCOPE: Final = ("excluded", "out_of_scope")

Counts = dict[str, dict[str, dict[str, int]]]
"""Folios per class, outcome and reason, as the vault spells them."""


@dataclass(frozen=True, slots=True)
class Customer:
    """What of a customer decides: nothing by which it could be recognised."""

    number: str
    classes: frozenset[str]
    tags: frozenset[str]
    expired: frozenset[str]
    consents: bool
    objects: bool

    @property
    def moves(self) -> bool:
        """Whether the customer's master data goes over."""
        return outcome_of(self, "basic") == TRANSFER


def customer_of(item: Mapping[str, Any]) -> Customer:
    """Return the deciding facts of an item of the import."""
    record = item["record"]
    bought = record.get("entries", {})
    last_days = record.get("retention", {})
    return Customer(
        number=record["external_id"],
        classes=frozenset(record["documents"]) | frozenset(bought),
        tags=frozenset(record["tags"]),
        expired=frozenset(
            name for name, day in last_days.items() if date.fromisoformat(day) < AS_OF
        ),
        consents=any("withdrawn_at" not in given for given in item["consents"]),
        objects=bool(item["objections"]),
    )


def outcome_of(customer: Customer, class_: str) -> tuple[str, str]:
    """Return outcome and reason of one of the customer's classes."""
    if class_ == "habits" and "wholesale" in customer.tags:
        return OUT_OF_SCOPE
    if customer.objects:
        return OBJECTED
    if class_ in customer.expired:
        return EXPIRED
    if not customer.consents:
        # Only for habits is the time to answer still running.
        return HELD if class_ == "habits" else NO_CONSENT
    return TRANSFER


def expected_counts(
    customers: Iterable[Customer], objecting: frozenset[str] = frozenset()
) -> Counts:
    """Return the folios per class, outcome and reason.

    The purchases all lie in one year and are few enough for one volume a customer.

    Args:
        customers: All of the seller's at the freeze.
        objecting: Numbers of those who objected after it: excluded, for that.
    """
    tally: Counter[tuple[str, str, str]] = Counter()
    for customer in customers:
        for name in customer.classes:
            outcome = outcome_of(customer, name)
            if customer.number in objecting and outcome == TRANSFER:
                outcome = OBJECTED
            tally[(name, *outcome)] += 1
    counts: Counts = {}
    for (name, outcome_, reason), count in sorted(tally.items()):
        counts.setdefault(name, {}).setdefault(outcome_, {})[reason] = count
    return counts


def without_zeros(counts: Mapping[str, Any]) -> Counts:
    """Return counts without the groups that hold nothing."""
    kept: Counts = {}
    for name, outcomes in counts.items():
        for outcome, reasons in outcomes.items():
            for reason, count in reasons.items():
                if count:
                    kept.setdefault(name, {}).setdefault(outcome, {})[reason] = count
    return kept
