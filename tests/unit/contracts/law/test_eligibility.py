# SPDX-License-Identifier: Apache-2.0
"""What moves and what stays: rows 1, 2, 3, 7 and 12, case by case."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.law.eligibility import (
    Criteria,
    DayMismatch,
    NothingToHandOver,
    PackMismatch,
    PathRefused,
    decide,
    months_before,
    prepare,
)
from contracts.law.pack import RulePack
from contracts.law.scope import Consent, FolioFacts, Objection
from tests.unit.contracts.custody.factories import (
    HANDOVER,
    LINE_1,
    OTHER_HANDOVER,
    plan_of,
)
from tests.unit.contracts.law.folios import (
    ALL,
    BEFORE,
    CRITERIA,
    DAY,
    EU,
    FOLIO,
    GIVEN,
    LATER,
    OBJECTED,
    PACK,
    pack_with,
    ready,
)


def said(facts: FolioFacts, criteria: Criteria = CRITERIA) -> tuple[str, str, str]:
    found = decide(criteria, facts)
    return found.outcome, found.reason, found.rule


OUT = ("excluded", "out_of_scope", "line-1/scope")
OBJECTION = ("excluded", "objected", "line-1/objection")
EXPIRED = ("excluded", "expired", "line-1/retention")
ADMIN = ("excluded", "admin_only", "line-1/retention")
CLOSED = ("excluded", "consent", "line-1/consent")
HELD = ("held", "consent", "line-1/consent")
MOVES = ("transfer", "eligible", "line-1/transfer")


def test_a_consented_folio_moves_with_its_terms() -> None:
    facts = FOLIO._replace(
        opt_outs=frozenset({"order_fulfilment", "sms"}), retention=date(2019, 5, 1)
    )
    found = decide(CRITERIA, facts)
    assert found.citation == "PIPL 23; NDSR 12"
    assert found.terms is not None
    assert found.terms._asdict() == {
        "basis": "contract",
        "purposes": ("customer_service",),
        "denied_purposes": ("advertising", "marketing", "order_fulfilment", "sms"),
        "opt_outs": ("order_fulfilment", "sms"),
        "retention": date(2019, 5, 1),
    }


def test_terms_without_opt_outs_are_the_plans() -> None:
    found = decide(CRITERIA, FOLIO._replace(class_="purchases"))
    assert found.terms is not None
    assert found.terms.purposes == ("customer_service", "invoicing")
    assert found.terms.denied_purposes == ("marketing",)
    assert found.terms.retention == date(2027, 12, 31)


def test_what_stays_has_no_terms_and_names_its_source() -> None:
    found = decide(CRITERIA, FOLIO._replace(consents=()))
    assert found.terms is None
    assert found.citation == "PIPL 23; PIPL 14; PIPL 15"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (FOLIO._replace(class_="notes"), OUT),
        (FOLIO._replace(class_="habits", tags=frozenset({"wholesale", "vip"})), OUT),
        (FOLIO._replace(class_="habits", tags=frozenset({"vip"})), MOVES),
        (FOLIO._replace(tags=frozenset({"wholesale"})), MOVES),
        (FOLIO._replace(class_="notes", objections=(OBJECTED,)), OUT),
    ],
    ids=["class", "tag", "other-tag", "filter-of-other-class", "first-match"],
)
def test_row_1_scope(facts: FolioFacts, expected: tuple[str, str, str]) -> None:
    assert said(facts) == expected


@pytest.mark.parametrize(
    ("objection", "expected"),
    [
        (Objection(BEFORE), OBJECTION),
        (Objection(LATER), OBJECTION),
        (Objection(BEFORE, classes=frozenset({"basic"})), OBJECTION),
        (Objection(BEFORE, classes=frozenset({"habits"})), MOVES),
        (Objection(BEFORE, recipient="buyer-co"), OBJECTION),
        (Objection(BEFORE, recipient="buyer-co", handover=OTHER_HANDOVER), OBJECTION),
        (Objection(BEFORE, recipient="else-co"), MOVES),
        (Objection(BEFORE, recipient="else-co", handover=HANDOVER), OBJECTION),
        (Objection(BEFORE, handover=HANDOVER), OBJECTION),
        (Objection(BEFORE, handover=OTHER_HANDOVER), MOVES),
        (Objection(BEFORE, datetime(2018, 1, 31, 23, tzinfo=UTC)), MOVES),
        (Objection(BEFORE, datetime(2018, 2, 1, tzinfo=UTC)), OBJECTION),
    ],
    ids=str,
)
def test_row_2_objection(objection: Objection, expected: tuple[str, str, str]) -> None:
    assert said(FOLIO._replace(objections=(objection,))) == expected


@pytest.mark.parametrize(
    ("pack", "deal_type", "path", "expected"),
    [
        (EU, "asset_sale", "legitimate_interest", OBJECTION),
        (EU, "asset_sale", "contract", MOVES),
        (PACK, "merger", "succession", MOVES),
    ],
    ids=["legitimate_interest", "contract", "succession"],
)
def test_row_2_counts_only_on_consent_or_legitimate_interest(
    pack: RulePack, deal_type: str, path: str, expected: tuple[str, str, str]
) -> None:
    criteria = ready(pack, deal_type=deal_type, path=path)
    assert said(FOLIO._replace(objections=(OBJECTED,)), criteria) == expected


@pytest.mark.parametrize(
    ("retention", "expected"),
    [
        (DAY - timedelta(days=1), EXPIRED),
        (DAY, MOVES),
        (None, MOVES),
    ],
    ids=["past", "last-day", "none"],
)
def test_row_3_retention(
    retention: date | None, expected: tuple[str, str, str]
) -> None:
    assert said(FOLIO._replace(retention=retention)) == expected


def test_row_3_retention_of_the_plan_counts_too() -> None:
    criteria = ready(
        retention={"basic": "2018-01-30", "habits": None, "purchases": None}
    )
    assert said(FOLIO, criteria) == EXPIRED
    assert said(FOLIO._replace(retention=date(2030, 1, 1)), criteria) == EXPIRED


@pytest.mark.parametrize(
    ("last_activity", "expected"),
    [
        (date(2015, 1, 30), EXPIRED),
        (date(2015, 1, 31), MOVES),
        (None, EXPIRED),
    ],
    ids=["longer", "just", "unknown"],
)
def test_row_3_inactivity_where_the_pack_has_a_limit(
    last_activity: date | None, expected: tuple[str, str, str]
) -> None:
    criteria = ready(pack_with(inactivity_months=36))
    assert said(FOLIO._replace(last_activity=last_activity), criteria) == expected


def test_row_3_line_1_has_no_inactivity_limit() -> None:
    assert said(FOLIO._replace(last_activity=date(1990, 1, 1))) == MOVES


def test_row_3_admin_only() -> None:
    assert said(FOLIO._replace(basis="admin_only")) == ADMIN


@pytest.mark.parametrize(
    ("consents", "expected"),
    [
        ((), CLOSED),
        ((GIVEN._replace(kind="bundled"),), CLOSED),
        ((GIVEN._replace(recipient="else-co"),), CLOSED),
        ((GIVEN._replace(classes=frozenset({"habits"})),), CLOSED),
        ((GIVEN._replace(classes=frozenset()),), CLOSED),
        ((GIVEN._replace(handover=OTHER_HANDOVER),), CLOSED),
        ((GIVEN._replace(handover=HANDOVER),), MOVES),
        ((GIVEN._replace(given_at=datetime(2018, 1, 31, 23, tzinfo=UTC)),), MOVES),
        ((GIVEN._replace(given_at=datetime(2018, 2, 1, tzinfo=UTC)),), CLOSED),
        ((GIVEN._replace(withdrawn_at=datetime(2018, 1, 20, tzinfo=UTC)),), CLOSED),
        ((GIVEN._replace(withdrawn_at=LATER),), CLOSED),
        ((GIVEN, GIVEN._replace(kind="bundled", withdrawn_at=BEFORE)), CLOSED),
        ((GIVEN, GIVEN._replace(recipient="else-co", withdrawn_at=LATER)), MOVES),
        (
            (
                GIVEN._replace(given_at=BEFORE + timedelta(days=2)),
                GIVEN._replace(withdrawn_at=BEFORE + timedelta(days=1)),
            ),
            MOVES,
        ),
    ],
    ids=[
        "none", "bundled", "other-recipient", "other-class", "no-class",
        "other-handover", "this-handover", "on-the-day", "after-the-day",
        "withdrawn", "withdrawn-later", "withdrawal-ends-all-before",
        "withdrawal-from-another", "given-again",
    ],
)  # fmt: skip
def test_row_7_consent(
    consents: tuple[Consent, ...], expected: tuple[str, str, str]
) -> None:
    assert said(FOLIO._replace(consents=consents)) == expected


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ("2018-02-01", HELD),
        ("2018-01-31T00:00:00.001Z", HELD),
        ("2018-01-31T00:00:00Z", CLOSED),
        ("2018-01-31", CLOSED),
        ("2018-01-30", CLOSED),
    ],
    ids=["after", "moment-after", "on-the-moment", "on-the-day", "before"],
)
def test_row_7_waits_while_the_window_is_open(
    closes: str, expected: tuple[str, str, str]
) -> None:
    windows = dict.fromkeys(ALL, closes)
    assert said(FOLIO._replace(consents=()), ready(window_closes=windows)) == expected


def test_no_consent_is_needed_on_succession_and_windows_may_be_absent() -> None:
    criteria = ready(deal_type="merger", path="succession", window_closes={})
    assert said(FOLIO._replace(consents=()), criteria) == MOVES


def test_a_plan_for_another_pack_is_refused() -> None:
    with pytest.raises(PackMismatch):
        ready(rule_pack_hash="sha256:" + "00" * 32)


def test_a_plan_that_fixes_another_day_is_refused() -> None:
    with pytest.raises(DayMismatch):
        prepare(plan_of(), PACK, date(2018, 2, 1))


def test_without_a_day_in_the_plan_any_day_is_taken() -> None:
    assert prepare(plan_of(as_of=None), PACK, date(2026, 11, 24)).as_of.year == 2026


@pytest.mark.parametrize(
    ("deal_type", "path"),
    [("share_transfer", "no_handover"), ("bankruptcy", "no_successor")],
)
def test_paths_that_hand_nothing_over_have_no_decision(
    deal_type: str, path: str
) -> None:
    with pytest.raises(NothingToHandOver):
        ready(deal_type=deal_type, path=path)


@pytest.mark.parametrize(
    ("deal_type", "path"),
    [
        ("asset_sale", "succession"),
        ("customer_list", "contract"),
        ("share_transfer", "separate_consent"),
    ],
)
def test_the_deal_type_picks_the_path(deal_type: str, path: str) -> None:
    with pytest.raises(PathRefused):
        ready(deal_type=deal_type, path=path)


def test_a_deal_type_that_the_pack_does_not_know_is_refused() -> None:
    members = json.loads(LINE_1)
    del members["paths"]["merger"]
    with pytest.raises(PathRefused):
        ready(RulePack.model_validate(members), deal_type="merger", path="succession")


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2018, 1, 31), 2, date(2017, 11, 30)),
        (date(2020, 2, 29), 12, date(2019, 2, 28)),
        (date(2020, 3, 31), 1, date(2020, 2, 29)),
        (date(2018, 12, 31), 12, date(2017, 12, 31)),
        (date(2018, 1, 1), 1, date(2017, 12, 1)),
        (date(1, 6, 1), 6, date.min),
        (date(1, 6, 1), 5, date(1, 1, 1)),
    ],
    ids=str,
)
def test_months_before(day: date, months: int, expected: date) -> None:
    assert months_before(day, months) == expected
