# SPDX-License-Identifier: Apache-2.0
"""Promise: counting by hand and the rule that decides agree on every kind of customer."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from contracts.law.eligibility import decide, prepare
from contracts.law.pack import parse_pack
from contracts.law.scope import Consent, FolioFacts, Objection
from deploy.demo.crm import AS_OF
from deploy.demo.expectation import (
    Customer,
    customer_of,
    expected_counts,
    outcome_of,
    without_zeros,
)
from deploy.demo.walking import CONSENT_WINDOW, HABITS_WINDOW, scope_of
from tests.unit.contracts.custody.factories import LINE_1, plan_of

CLASSES = ["basic", "habits", "purchases"]


def item(**changed: Any) -> dict[str, Any]:
    record = {
        "external_id": "C-000001",
        "tags": [],
        "documents": {"basic": {}, "habits": {}},
        "entries": {"purchases": [{}]},
    }
    consents = [{"given_at": "2018-01-10T00:00:00.000Z"}]
    return {"record": record, "consents": consents, "objections": [], **changed}


def test_a_withdrawn_consent_is_none() -> None:
    withdrawn = {"given_at": "x", "withdrawn_at": "y"}
    assert customer_of(item()).consents
    assert not customer_of(item(consents=[withdrawn])).consents
    assert not customer_of(item(consents=[])).consents


@pytest.mark.parametrize(
    ("tags", "consents", "objects"),
    list(product([(), ("wholesale",)], [True, False], [True, False])),
)
def test_the_rule_decides_as_one_counts_by_hand(
    tags: tuple[str, ...], consents: bool, objects: bool
) -> None:
    plan = plan_of(
        **scope_of(CLASSES),
        window_closes={
            "basic": CONSENT_WINDOW,
            "habits": HABITS_WINDOW,
            "purchases": CONSENT_WINDOW,
        },
        retention=dict.fromkeys(CLASSES),
    )
    criteria = prepare(plan, parse_pack(LINE_1), AS_OF)
    customer = Customer(
        "C-1", frozenset(CLASSES), frozenset(tags), frozenset(), consents, objects
    )
    at = datetime(2018, 1, 10, tzinfo=UTC)
    given = Consent(plan.buyer, frozenset(CLASSES), "separate", at)
    objection = Objection(objected_at=at, recipient=plan.buyer)
    for name in CLASSES:
        facts = FolioFacts(
            class_=name,
            volume="0" if name != "purchases" else "2017",
            version="v",
            tags=frozenset(tags),
            basis="contract",
            consents=(given,) if consents else (),
            objections=(objection,) if objects else (),
        )
        found = decide(criteria, facts)
        assert (found.outcome, found.reason) == outcome_of(customer, name)


def test_who_objects_later_counts_as_excluded() -> None:
    customers = [customer_of(item())]
    assert expected_counts(customers) == {
        name: {"transfer": {"eligible": 1}} for name in CLASSES
    }
    assert expected_counts(customers, frozenset({"C-000001"})) == {
        name: {"excluded": {"objected": 1}} for name in CLASSES
    }


def test_empty_groups_do_not_count() -> None:
    counts = {"basic": {"transfer": {"eligible": 2, "other": 0}, "held": {}}}
    assert without_zeros(counts) == {"basic": {"transfer": {"eligible": 2}}}
