# SPDX-License-Identifier: Apache-2.0
"""What must hold for every folio: tightening never loosens, nothing is lost."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.custody.plan import Plan
from contracts.law.eligibility import Criteria, OutcomeName, decide, prepare
from contracts.law.scope import Consent, FolioFacts, Objection
from tests.unit.contracts.custody.factories import HANDOVER, OTHER_HANDOVER, plan_of
from tests.unit.contracts.law.folios import (
    ALL,
    CRITERIA,
    DAY,
    EU,
    FOLIO,
    GIVEN,
    PACK,
    pack_with,
    ready,
)

DAYS = st.dates(date(2014, 1, 1), date(2022, 1, 1))
INSTANTS = st.integers(0, 90 * 24).map(
    lambda hours: datetime(2017, 12, 1, tzinfo=UTC) + timedelta(hours=hours)
)
CLASSES = st.frozensets(st.sampled_from(sorted(ALL)))
RECIPIENTS = st.sampled_from(["buyer-co", "else-co"])
HANDOVERS = st.sampled_from(["", HANDOVER, OTHER_HANDOVER])
CONSENTS = st.builds(
    Consent,
    recipient=RECIPIENTS,
    classes=CLASSES,
    kind=st.sampled_from(["separate", "separate", "bundled"]),
    given_at=INSTANTS,
    withdrawn_at=st.none() | INSTANTS,
    handover=HANDOVERS,
)
OBJECTIONS = st.builds(
    Objection,
    objected_at=INSTANTS,
    withdrawn_at=st.none() | INSTANTS,
    recipient=st.just("") | RECIPIENTS,
    handover=HANDOVERS,
    classes=CLASSES,
)
FACTS = st.builds(
    FolioFacts,
    class_=st.sampled_from([*sorted(ALL), "notes"]),
    volume=st.sampled_from(["1", "2016", "2017-2"]),
    version=st.just("v1"),
    basis=st.sampled_from(["contract", "consent", "admin_only"]),
    consents=st.lists(CONSENTS | st.just(GIVEN), max_size=3).map(tuple),
    objections=st.lists(OBJECTIONS, max_size=2).map(tuple),
    retention=st.none() | DAYS,
    last_activity=st.none() | DAYS,
    tags=st.frozensets(st.sampled_from(["wholesale", "vip"])),
    opt_outs=st.frozensets(st.sampled_from(["customer_service", "sms"])),
)
CRITERIAS = st.sampled_from(
    [
        CRITERIA,
        ready(pack_with(inactivity_months=24)),
        ready(EU, path="legitimate_interest"),
        ready(EU, path="contract"),
        ready(deal_type="merger", path="succession"),
    ]
)
quick = settings(deadline=None, max_examples=100)


def moves(criteria: Criteria, facts: FolioFacts) -> bool:
    return decide(criteria, facts).outcome == OutcomeName.TRANSFER


@quick
@given(CRITERIAS, FACTS, OBJECTIONS)
def test_an_objection_never_makes_a_folio_move(
    criteria: Criteria, facts: FolioFacts, objection: Objection
) -> None:
    more = facts._replace(objections=(*facts.objections, objection))
    assert moves(criteria, facts) or not moves(criteria, more)


@quick
@given(CRITERIAS, FACTS, CONSENTS, INSTANTS)
def test_a_withdrawal_never_makes_a_folio_move(
    criteria: Criteria, facts: FolioFacts, consent: Consent, at: datetime
) -> None:
    withdrawal = consent._replace(withdrawn_at=at)
    more = facts._replace(consents=(*facts.consents, withdrawal))
    assert moves(criteria, facts) or not moves(criteria, more)


@quick
@given(CRITERIAS, FACTS, DAYS)
def test_a_shorter_retention_never_makes_a_folio_move(
    criteria: Criteria, facts: FolioFacts, day: date
) -> None:
    shorter = min(day, facts.retention or day)
    assert moves(criteria, facts) or not moves(
        criteria, facts._replace(retention=shorter)
    )


@quick
@given(FACTS, st.integers(1, 60), st.integers(0, 60))
def test_a_tighter_inactivity_limit_never_makes_a_folio_move(
    facts: FolioFacts, months: int, more: int
) -> None:
    tight = ready(pack_with(inactivity_months=months))
    loose = ready(pack_with(inactivity_months=months + more))
    assert moves(loose, facts) or not moves(tight, facts)
    assert moves(CRITERIA, facts) or not moves(loose, facts)


@quick
@given(FACTS)
def test_a_filter_never_makes_a_folio_move(facts: FolioFacts) -> None:
    unfiltered = ready(filters=[])
    assert moves(unfiltered, facts) or not moves(CRITERIA, facts)


@quick
@given(CRITERIAS, FACTS, st.randoms(use_true_random=False))
def test_the_order_of_consents_and_objections_does_not_matter(
    criteria: Criteria, facts: FolioFacts, shuffler: object
) -> None:
    consents, objections = list(facts.consents), list(facts.objections)
    shuffler.shuffle(consents)  # type: ignore[attr-defined]
    shuffler.shuffle(objections)  # type: ignore[attr-defined]
    shuffled = facts._replace(consents=tuple(consents), objections=tuple(objections))
    assert decide(criteria, shuffled) == decide(criteria, facts)


@quick
@given(CRITERIAS, st.lists(FACTS, max_size=20))
def test_outcomes_sum_to_the_inventory_and_are_known(
    criteria: Criteria, folios: list[FolioFacts]
) -> None:
    found = Counter(decide(criteria, facts).outcome for facts in folios)
    assert set(found) <= {name.value for name in OutcomeName}
    assert found.total() == len(folios)


@quick
@given(CRITERIAS, FACTS)
def test_only_what_moves_has_terms_and_no_opt_out_is_a_purpose(
    criteria: Criteria, facts: FolioFacts
) -> None:
    found = decide(criteria, facts)
    assert (found.terms is not None) == (found.outcome == OutcomeName.TRANSFER)
    if found.terms is not None:
        assert not facts.opt_outs & set(found.terms.purposes)
        assert facts.opt_outs <= set(found.terms.denied_purposes)


def test_the_same_plan_and_pack_give_equal_outcomes_again() -> None:
    again = prepare(Plan.model_validate(plan_of().model_dump()), PACK, DAY)
    assert decide(again, FOLIO) == decide(CRITERIA, FOLIO)
