# SPDX-License-Identifier: Apache-2.0
"""Promises of the policy: what is opened, what is closed, and that failing closes."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import purposes
from services.vault.access import policy as policy_module
from services.vault.access.policy import (
    Action,
    Allowed,
    Attributes,
    Custody,
    Denied,
    Gap,
    Grade,
    Outcome,
    Policy,
    Role,
)
from services.vault.access.policy_file import load_policy
from services.vault.errors import PolicyBroken

POLICY = load_policy()
TEXT = (Path(policy_module.__file__).parent / "policies.cedar").read_text()
GIVEN = tuple(sorted(purposes.GIVEN))
DENIED = tuple(sorted(purposes.DENIED))
SYSTEM = tuple(sorted(purposes.SYSTEM))
ALL_PURPOSES = (*GIVEN, *DENIED, *SYSTEM)
LAW = tuple(sorted(purposes.RESTRICTED))
READING = (
    Action.READ, Action.PSEUDONYM, Action.LOOKUP, Action.LIST, Action.HISTORY, Action.RESOLVE,
)  # fmt: skip
BOOLS = (False, True)
CLEARED = frozenset({Grade.SENSITIVE, Grade.MINOR})
PERMIT_ALL = '@id("open")\npermit (principal, action, resource);\n'
FINE = Attributes("client", "read", "basic", "invoicing")


def asked(
    role: Role = Role.CLIENT,
    action: Action = Action.READ,
    purpose: str = "customer_service",
    **context: object,
) -> Outcome:
    return POLICY.decide(Attributes(role, action, "basic", purpose, **context))


@pytest.mark.parametrize("purpose", GIVEN)
@pytest.mark.parametrize("role", [Role.CLIENT, Role.OPERATOR])
def test_given_purposes_are_open_to_daily_work(role: Role, purpose: str) -> None:
    for action in set(Action) - {Action.ERASE}:
        assert asked(role, action, purpose) == Allowed()


@pytest.mark.parametrize("purpose", DENIED)
def test_denied_purposes_are_closed_without_opt_in(purpose: str) -> None:
    for role, action in product(Role, Action):
        if role not in (Role.REVIEWER, Role.MONITOR):
            assert asked(role, action, purpose) == Denied("purpose-denied")


@pytest.mark.parametrize("purpose", DENIED)
def test_an_opt_in_opens_a_denied_purpose_for_reading_only(purpose: str) -> None:
    assert asked(purpose=purpose, opted_in=True) == Allowed()
    for action in (Action.CREATE, Action.PATCH, Action.APPEND, Action.ERASE):
        assert asked(action=action, purpose=purpose, opted_in=True) == Gap()
    for role in (Role.COMPLIANCE, Role.OWNER, Role.SYSTEM):
        assert asked(role, purpose=purpose, opted_in=True) == Gap()


@pytest.mark.parametrize("purpose", DENIED)
def test_an_objection_is_stronger_than_an_opt_in(purpose: str) -> None:
    assert asked(purpose=purpose, opted_in=True, objected=True) == Denied("objected")


def test_an_objection_leaves_contract_and_law_and_stops_the_rest() -> None:
    stopped = {p for p in GIVEN if asked(purpose=p, objected=True) != Allowed()}
    assert stopped == {"data_quality"}
    assert asked(Role.SYSTEM, purpose="handover", objected=True) == Denied("objected")
    assert asked(Role.SYSTEM, purpose="verify", objected=True) == Allowed()
    assert asked(purpose="something_new", objected=True) == Denied("objected")


def test_restricted_is_for_compliance_law_and_rights_alone() -> None:
    allowed = set()
    for role, action, purpose, opted_in in product(Role, Action, ALL_PURPOSES, BOOLS):
        found = asked(
            role,
            action,
            purpose,
            custody=Custody.RESTRICTED,
            opted_in=opted_in,
            clearance=CLEARED,
        )
        if found == Allowed():
            allowed.add((role, action, purpose))
        elif role is Role.CLIENT:
            assert found == Denied("restricted")
    assert allowed == set(product([Role.COMPLIANCE], READING, LAW))


def test_pending_is_opened_by_the_vault_to_compare_and_by_nobody_else() -> None:
    allowed = {
        (role, action, purpose)
        for role, action, purpose, opted_in in product(
            Role, Action, ALL_PURPOSES, BOOLS
        )
        if asked(role, action, purpose, custody=Custody.PENDING, opted_in=opted_in)
        == Allowed()
    }
    assert allowed == {(Role.SYSTEM, Action.READ, "verify")}


def test_destroyed_is_opened_by_nobody() -> None:
    for role, action, purpose, opted_in in product(Role, Action, ALL_PURPOSES, BOOLS):
        found = asked(
            role, action, purpose, custody=Custody.DESTROYED, opted_in=opted_in
        )
        assert found == Denied("destroyed")


@pytest.mark.parametrize("purpose", SYSTEM)
def test_system_purposes_are_for_the_vault_alone(purpose: str) -> None:
    assert asked(Role.SYSTEM, purpose=purpose) == Allowed()
    for role in (Role.CLIENT, Role.OPERATOR, Role.COMPLIANCE, Role.OWNER):
        for action in Action:
            assert asked(role, action, purpose) == Denied("system-purpose")


def test_the_vault_itself_has_no_other_purpose() -> None:
    for action, purpose in product(Action, GIVEN):
        assert asked(Role.SYSTEM, action, purpose) == Gap()


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.MONITOR])
def test_reviewers_and_monitors_see_no_record(role: Role) -> None:
    for action, purpose, opted_in in product(Action, ALL_PURPOSES, BOOLS):
        found = asked(role, action, purpose, opted_in=opted_in)
        assert found == Denied("role-sees-no-records")


@pytest.mark.parametrize("grade", [Grade.SENSITIVE, Grade.MINOR])
def test_a_delicate_grade_needs_its_own_clearance(grade: Grade) -> None:
    other = CLEARED - {grade}
    for role in (Role.CLIENT, Role.OPERATOR, Role.COMPLIANCE, Role.OWNER):
        ask = {"purpose": "legal_obligation", "grade": grade}
        assert asked(role, **ask) == Denied("clearance-missing")
        assert asked(role, **ask, clearance=other) == Denied("clearance-missing")
        assert asked(role, **ask, clearance=frozenset({grade})) == Allowed()
    assert asked(Role.SYSTEM, purpose="handover", grade=grade) == Allowed()


def test_compliance_and_owner_answer_the_law_and_serve_no_customers() -> None:
    for role in (Role.COMPLIANCE, Role.OWNER):
        assert asked(role, purpose="legal_obligation") == Allowed()
        assert asked(role, purpose="customer_service") == Gap()
    assert asked(Role.COMPLIANCE, Action.PATCH, "rights_request") == Allowed()
    assert asked(Role.OWNER, Action.PATCH, "rights_request") == Gap()


def test_erasure_is_for_law_and_rights() -> None:
    allowed = {
        (role, purpose)
        for role, purpose in product(Role, ALL_PURPOSES)
        if asked(role, Action.ERASE, purpose) == Allowed()
    }
    assert allowed == set(product((Role.CLIENT, Role.COMPLIANCE), LAW))


def test_what_no_rule_mentions_is_a_gap() -> None:
    assert asked(purpose="something_new") == Gap()
    assert asked(purpose="") == Gap()
    assert Policy("").decide(FINE) == Gap()


def test_unknown_states_and_grades_close() -> None:
    assert asked(custody="thawed") == Denied("custody-unknown")
    assert asked(grade="secret") == Denied("clearance-missing")


def test_the_first_forbid_in_the_file_is_the_reason() -> None:
    found = asked(purpose="marketing", custody=Custody.RESTRICTED, grade=Grade.MINOR)
    assert found == Denied("restricted")


ATTRIBUTES = st.builds(
    Attributes,
    role=st.sampled_from(Role),
    action=st.sampled_from(Action),
    class_=st.text(max_size=10),
    purpose=st.sampled_from([*ALL_PURPOSES, "other"]),
    grade=st.sampled_from(Grade),
    custody=st.sampled_from(Custody),
    opted_in=st.booleans(),
    objected=st.booleans(),
    clearance=st.frozensets(st.sampled_from(Grade)),
    jurisdiction=st.text(max_size=10),
)


@given(ATTRIBUTES)
def test_more_protection_never_opens(free: Attributes) -> None:
    """An objection, a withdrawn opt-in or a lost clearance only ever closes."""
    tighter = free._replace(objected=True, opted_in=False, clearance=frozenset())
    if POLICY.decide(tighter) == Allowed():
        assert POLICY.decide(free._replace(objected=False)) == Allowed()


def test_an_unknown_role_is_a_gap() -> None:
    assert POLICY.decide(FINE._replace(role="root")) == Gap()


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(FINE._replace(action="fly"), id="action"),
        pytest.param(FINE._replace(class_="\ud800"), id="text"),
        pytest.param(FINE._replace(opted_in=3), id="type"),
    ],
)
def test_attributes_outside_the_schema_open_nothing(attributes: Attributes) -> None:
    with pytest.raises(PolicyBroken) as caught:
        POLICY.decide(attributes)
    assert "fly" not in str(caught.value)


def test_a_forbid_that_fails_while_deciding_does_not_open() -> None:
    """Cedar alone would skip the failing rule and answer allow."""
    failing = Policy(
        PERMIT_ALL + '@id("overflow") forbid (principal, action, resource)'
        " when { 9223372036854775807 + (if context.objected then 1 else 0) == 0 };"
    )
    assert failing.decide(FINE) == Allowed()
    with pytest.raises(PolicyBroken):
        failing.decide(FINE._replace(objected=True))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("permit (", "parse"),
        ("permit (principal, action, resource);", "@id"),
        ('@id("A b") permit (principal, action, resource);', "@id"),
        (PERMIT_ALL + PERMIT_ALL, "same @id"),
        (
            '@id("no") forbid (principal, action, resource) when {context.purpos == ""};',
            "schema",
        ),
        ('@id("no") permit (principal == Rol::"client", action, resource);', "schema"),
        ('@id("no") permit (principal, action == Action::"fly", resource);', "schema"),
        ('@id("slot") permit (principal == ?principal, action, resource);', "slots"),
    ],
    ids=["syntax", "no-id", "bad-id", "twice", "typo", "role", "action", "template"],
)
def test_broken_rules_are_refused_when_they_are_read(text: str, complaint: str) -> None:
    with pytest.raises(PolicyBroken, match=complaint):
        Policy(text)


def test_a_changed_rule_acts_at_once_and_changes_the_version() -> None:
    attributes = FINE._replace(jurisdiction="CN")
    assert POLICY.decide(attributes) == Allowed()
    stricter = Policy(
        TEXT + '@id("local-law") forbid (principal, action, resource)'
        ' when { context.jurisdiction == "CN" };'
    )
    assert stricter.decide(attributes) == Denied("local-law")
    assert POLICY.decide(attributes) == Allowed()
    assert stricter.version != POLICY.version
    assert Policy(TEXT).version == POLICY.version


def test_remembered_decisions_are_bounded_and_equal() -> None:
    policy = Policy(PERMIT_ALL)
    policy.decide(FINE)
    for number in range(policy_module.CACHED_DECISIONS + 10):
        policy.decide(FINE._replace(class_=f"c{number}"))
    info = policy._remembered.cache_info()
    assert info.currsize == info.maxsize == policy_module.CACHED_DECISIONS
    assert policy.decide(FINE) == policy.decide(FINE) == Allowed()


def test_several_classes_are_allowed_only_together() -> None:
    delicate = FINE._replace(class_="habits", grade=Grade.SENSITIVE)
    assert POLICY.decide_all([FINE, FINE]) == Allowed()
    assert POLICY.decide_all([FINE, delicate]) == Denied("clearance-missing")
    with pytest.raises(PolicyBroken):
        POLICY.decide_all([])


def test_a_policy_file_that_is_missing_or_no_text_stops_the_start(
    tmp_path: Path,
) -> None:
    with pytest.raises(PolicyBroken, match="cannot be read"):
        load_policy(tmp_path / "none.cedar")
    (tmp_path / "bad.cedar").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyBroken, match="cannot be read"):
        load_policy(tmp_path / "bad.cedar")
    (tmp_path / "own.cedar").write_text(PERMIT_ALL)
    assert load_policy(tmp_path / "own.cedar").version == Policy(PERMIT_ALL).version
