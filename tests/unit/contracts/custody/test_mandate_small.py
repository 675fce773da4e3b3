# SPDX-License-Identifier: Apache-2.0
"""In a small company fewer people sign, and then an outsider reviews."""

from __future__ import annotations

import pytest

from contracts.custody.mandate import (
    MandateRefused,
    Refusal,
    check_approvals,
    check_mandate,
)
from contracts.custody.officers import OfficerKey, Role
from tests.unit.contracts.custody.factories import (
    BC,
    BO,
    DECISION,
    FOUR,
    NOW,
    OFFICERS,
    PR,
    SC,
    SO,
    SR,
    Signer,
    approval,
    plan_of,
    release,
    signer,
)

SMALL = plan_of(profile="small")


def small_approvals(
    seller: Signer, buyer: Signer, reviewer: Signer = PR
) -> list[bytes]:
    roles = [(seller, "SO"), (seller, "SC"), (buyer, "BO"), (buyer, "BC")]
    signed = [approval(who, SMALL, role=Role(role)) for who, role in roles]
    return [*signed, approval(reviewer, SMALL)]


def small(documents: list[bytes], *officers: OfficerKey) -> Refusal:
    keys = [*OFFICERS, *officers]
    with pytest.raises(MandateRefused) as caught:
        check_approvals(SMALL, documents, keys, NOW)
    return caught.value.code


@pytest.mark.parametrize("seller", [SO, SC, SR], ids=["SO", "SC", "SR"])
@pytest.mark.parametrize("buyer", [BO, BC], ids=["BO", "BC"])
def test_small_one_person_a_side_and_a_reviewer(seller: Signer, buyer: Signer) -> None:
    releases = [release(seller, SMALL), release(buyer, SMALL)]
    documents = small_approvals(seller, buyer)
    found = check_mandate(SMALL, documents, releases, OFFICERS, DECISION, NOW)
    assert len(found.approvals.signers) == 5


def test_small_also_takes_four_persons_and_a_reviewer() -> None:
    documents = [approval(who, SMALL) for who in (*FOUR, PR)]
    assert check_approvals(SMALL, documents, OFFICERS, NOW).signers


def test_small_needs_the_reviewer() -> None:
    assert small(small_approvals(SO, BO)[:4]) is Refusal.ROLE_MISSING


@pytest.mark.parametrize("party", ["seller-co", "buyer-co"])
def test_small_the_reviewer_is_of_neither_party(party: str) -> None:
    insider = signer("PR", party)
    documents = small_approvals(SO, BO, insider)
    assert small(documents, insider.key) is Refusal.WRONG_PARTY


def test_small_nobody_but_a_reviewer_reviews() -> None:
    documents = small_approvals(SO, BO)
    documents[4] = approval(SO, SMALL, role=Role.REVIEWER)
    assert small(documents) is Refusal.WRONG_ROLE


def test_small_nobody_sits_on_two_sides() -> None:
    documents = small_approvals(SO, BO)
    documents[2] = approval(SO, SMALL, role=Role.BUYER_OWNER)
    assert small(documents) is Refusal.WRONG_ROLE
    reviewer = signer("PR", "law-firm", SO.key.person)
    assert small(small_approvals(SO, BO, reviewer), reviewer.key) is (
        Refusal.PERSON_TWICE
    )
    buyer = signer("BO", "buyer-co", SO.key.person)
    assert small(small_approvals(SO, buyer), buyer.key) is Refusal.PERSON_TWICE
