# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contracts.purposes import DENIED, GIVEN, RESTRICTED, SYSTEM, TERMS, Purpose


def test_every_purpose_is_in_exactly_one_standing() -> None:
    assert GIVEN | SYSTEM | DENIED == set(Purpose) == set(TERMS)
    assert len(GIVEN) + len(SYSTEM) + len(DENIED) == len(Purpose)


def test_purposes_that_harm_people_are_denied_by_default() -> None:
    assert {p.value for p in DENIED} == {
        "advertising",
        "marketing",
        "sale",
        "profiling",
        "personalised_pricing",
        "investigation",
        "unrelated_disclosure",
    }


def test_own_work_is_never_a_given_purpose() -> None:
    assert {p.value for p in SYSTEM} == {"handover", "reindex", "verify"}


def test_a_restricted_seller_keeps_only_duties() -> None:
    assert {"legal_obligation", "rights_request"} == RESTRICTED
    assert RESTRICTED < GIVEN


def test_aliases_are_terms_of_the_vocabularies_they_name() -> None:
    for term in TERMS.values():
        assert term.dpv.startswith("dpv:")
        assert term.fideslang == term.fideslang.lower()
