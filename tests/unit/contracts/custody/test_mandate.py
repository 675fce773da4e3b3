# SPDX-License-Identifier: Apache-2.0
"""Four people approve, two release, and anything less or else moves nothing."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.custody.decision import FrozenDecision
from contracts.custody.document import parse_instant
from contracts.custody.mandate import (
    Envelope,
    Mandate,
    MandateRefused,
    Refusal,
    check_approvals,
    check_mandate,
    check_releases,
)
from contracts.custody.officers import OfficerKey, Role
from contracts.custody.plan import canonical_bytes, parse_plan, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
)
from contracts.dsse import keyid, sign_envelope
from tests.unit.contracts.custody.factories import (
    BC,
    BO,
    DECISION,
    FOUR,
    NOW,
    OFFICERS,
    OTHER_HANDOVER,
    PR,
    SC,
    SO,
    SR,
    VECTORS,
    approval,
    plan_of,
    release,
    signer,
)

PLAN = plan_of()
SMALL = plan_of(profile="small")
APPROVALS = [approval(who, PLAN) for who in FOUR]
RELEASES = [release(who, PLAN) for who in (SC, BC)]


def refusal_of(call: Any, *arguments: Any) -> tuple[Refusal, Role | None]:
    with pytest.raises(MandateRefused) as caught:
        call(*arguments)
    return caught.value.code, caught.value.role


def approving(
    *documents: Envelope, officers: list[OfficerKey] | None = None
) -> Refusal:
    return refusal_of(check_approvals, PLAN, documents, officers or OFFICERS, NOW)[0]


def releasing(*documents: Envelope, decision: FrozenDecision = DECISION) -> Refusal:
    return refusal_of(check_releases, PLAN, documents, OFFICERS, decision, NOW)[0]


def mandate() -> Mandate:
    return check_mandate(PLAN, APPROVALS, RELEASES, OFFICERS, DECISION, NOW)


def test_six_signatures_are_a_mandate() -> None:
    found = mandate()
    assert {role: key.key_id for role, key in found.approvals.signers.items()} == {
        who.key.role: who.key.key_id for who in FOUR
    }
    assert set(found.releases.signers) == {
        Role.SELLER_COMPLIANCE,
        Role.BUYER_COMPLIANCE,
    }
    assert set(found.releases.checkpoints) == set(found.releases.signers)
    assert found.plan_hash == plan_hash(canonical_bytes(PLAN))
    assert found.decision == DECISION


def test_the_mandate_ends_with_the_first_thing_in_it() -> None:
    assert mandate().expires == datetime(2026, 11, 30, tzinfo=UTC)
    soon = NOW + timedelta(minutes=1)
    officers = [replace(k, expires_at=soon) if k == SO.key else k for k in OFFICERS]
    found = check_mandate(PLAN, APPROVALS, RELEASES, officers, DECISION, NOW)
    assert found.expires == soon
    assert (
        refusal_of(check_mandate, PLAN, APPROVALS, RELEASES, officers, DECISION, soon)[
            0
        ]
        is Refusal.KEY_EXPIRED
    )


def test_the_vectors_are_a_mandate() -> None:
    vector = json.loads((VECTORS / "mandate.json").read_bytes())
    officers = []
    for row in vector["officers"]:
        public = bytes.fromhex(row["public_key_hex"])
        officers.append(
            OfficerKey(
                keyid(public), row["party"], Role(row["role"]), row["person"], "sign",
                public,
            )
        )  # fmt: skip
    names = ("snapshot_id", "decision_root", "counts", "as_of")
    decision = FrozenDecision(**{name: vector[name] for name in names})
    found = check_mandate(
        parse_plan(vector["plan"].encode()),
        vector["approvals"],
        vector["releases"],
        officers,
        decision,
        parse_instant(vector["now"]),
    )
    assert found.expires == parse_instant(vector["expires"])


@pytest.mark.parametrize("missing", range(4))
def test_three_approvals_are_too_few(missing: int) -> None:
    some = [a for i, a in enumerate(APPROVALS) if i != missing]
    code, role = refusal_of(check_approvals, PLAN, some, OFFICERS, NOW)
    assert (code, role) == (Refusal.ROLE_MISSING, FOUR[missing].key.role)


def test_one_release_is_too_few() -> None:
    for who, document in zip((BC, SC), RELEASES, strict=True):
        found = refusal_of(check_releases, PLAN, [document], OFFICERS, DECISION, NOW)
        assert found == (Refusal.ROLE_MISSING, who.key.role)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"installation": "inst-2"}, Refusal.WRONG_INSTALLATION),
        ({"handover": OTHER_HANDOVER}, Refusal.WRONG_HANDOVER),
        ({"plan_hash": "sha256:" + "00" * 32}, Refusal.WRONG_PLAN),
        ({"expires": "2026-11-24T12:00:00Z"}, Refusal.DOCUMENT_EXPIRED),
    ],
    ids=["installation", "handover", "plan", "expired"],
)
def test_a_document_about_something_else_is_refused(
    changed: dict[str, Any], code: Refusal
) -> None:
    assert approving(approval(SO, PLAN, **changed), *APPROVALS[1:]) is code
    assert releasing(RELEASES[0], release(BC, PLAN, **changed)) is code


def test_any_edit_of_the_plan_voids_all() -> None:
    edited = plan_of(expires="2026-12-25T00:00:00Z")
    for document in APPROVALS:
        refused = refusal_of(check_approvals, edited, [document], OFFICERS, NOW)
        assert refused[0] is Refusal.WRONG_PLAN
    refused = refusal_of(check_releases, edited, RELEASES, OFFICERS, DECISION, NOW)
    assert refused[0] is Refusal.WRONG_PLAN


def test_an_expired_plan_authorises_nothing() -> None:
    late = parse_instant(PLAN.expires)
    for call in (
        (check_approvals, PLAN, APPROVALS, OFFICERS, late),
        (check_releases, PLAN, RELEASES, OFFICERS, DECISION, late),
        (check_mandate, PLAN, APPROVALS, RELEASES, OFFICERS, DECISION, late),
    ):
        assert refusal_of(*call)[0] is Refusal.PLAN_EXPIRED


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"revoked_at": NOW}, Refusal.KEY_REVOKED),
        ({"revoked_at": NOW + timedelta(days=1)}, Refusal.KEY_REVOKED),
        ({"use": "login"}, Refusal.KEY_NOT_FOR_SIGNING),
        ({"expires_at": NOW}, Refusal.KEY_EXPIRED),
        ({"party": "buyer-co"}, Refusal.WRONG_PARTY),
        ({"party": "law-firm"}, Refusal.WRONG_PARTY),
        ({"person": "so-2"}, Refusal.WRONG_PERSON),
        ({"role": Role.SELLER_COMPLIANCE}, Refusal.WRONG_ROLE),
        ({"role": Role.MONITOR}, Refusal.WRONG_ROLE),
        ({"public_key": BO.key.public_key}, Refusal.SIGNATURE_INVALID),
    ],
    ids=str,
)
def test_the_officer_table_decides_who_signs(
    changed: dict[str, Any], code: Refusal
) -> None:
    officers = [replace(k, **changed) if k == SO.key else k for k in OFFICERS]
    assert approving(*APPROVALS, officers=officers) is code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"revoked_at": NOW}, Refusal.KEY_REVOKED),
        ({"use": "login"}, Refusal.KEY_NOT_FOR_SIGNING),
        ({"party": "buyer-co"}, Refusal.WRONG_PARTY),
        ({"role": Role.SELLER_OWNER}, Refusal.WRONG_ROLE),
        ({"role": Role.REVIEWER}, Refusal.WRONG_ROLE),
        ({"role": Role.BUYER_COMPLIANCE}, Refusal.WRONG_PARTY),
        ({"person": BC.key.person}, Refusal.PERSON_TWICE),
    ],
    ids=str,
)
def test_the_officer_table_decides_who_releases(
    changed: dict[str, Any], code: Refusal
) -> None:
    officers = [replace(k, **changed) if k == SC.key else k for k in OFFICERS]
    found = refusal_of(check_releases, PLAN, RELEASES, officers, DECISION, NOW)
    assert found[0] is code


def test_a_stranger_signs_nothing() -> None:
    stranger = signer("SO", "seller-co", "so-9")
    assert approving(approval(stranger, PLAN), *APPROVALS[1:]) is (
        Refusal.SIGNATURE_INVALID
    )


def test_a_signature_over_other_bytes_is_refused() -> None:
    one, two = (json.loads(document) for document in APPROVALS[:2])
    one["payload"] = two["payload"]
    assert approving(one, *APPROVALS[1:]) is Refusal.SIGNATURE_INVALID


def test_bytes_that_are_no_envelope_are_refused() -> None:
    assert approving(b"{}", *APPROVALS[1:]) is Refusal.ENVELOPE_MALFORMED


def test_a_release_is_no_approval_and_an_approval_no_release() -> None:
    assert approving(RELEASES[0]) is Refusal.SIGNATURE_INVALID
    assert releasing(APPROVALS[1]) is Refusal.SIGNATURE_INVALID


def test_one_kind_under_the_media_type_of_the_other_is_refused() -> None:
    def relabelled(document: bytes, payload_type: str) -> bytes:
        payload = base64.b64decode(json.loads(document)["payload"])
        return sign_envelope(payload, payload_type, SC.seed)

    assert approving(relabelled(RELEASES[0], APPROVAL_TYPE)) is (
        Refusal.DOCUMENT_MALFORMED
    )
    assert releasing(relabelled(APPROVALS[1], RELEASE_TYPE)) is (
        Refusal.DOCUMENT_MALFORMED
    )


def test_nobody_signs_in_a_role_that_approves_nothing() -> None:
    for who in (SR, PR):
        assert approving(approval(who, PLAN)) is Refusal.WRONG_ROLE
        assert approving(*APPROVALS, approval(who, PLAN)) is Refusal.WRONG_ROLE


def test_nobody_signs_in_the_role_of_another() -> None:
    forged = approval(SO, PLAN, role=Role.SELLER_COMPLIANCE)
    assert approving(APPROVALS[0], forged, *APPROVALS[2:]) is Refusal.WRONG_ROLE


def test_a_role_is_taken_once() -> None:
    assert approving(*APPROVALS, APPROVALS[0]) is Refusal.ROLE_TWICE
    assert releasing(*RELEASES, RELEASES[0]) is Refusal.ROLE_TWICE


def test_four_roles_are_four_persons() -> None:
    both = signer("SC", "seller-co", SO.key.person)
    documents = [approval(who, PLAN) for who in (SO, both, BO, BC)]
    assert approving(*documents, officers=[*OFFICERS, both.key]) is (
        Refusal.PERSON_TWICE
    )


def test_the_drafter_signs_neither_plan_nor_decision() -> None:
    drafter = signer("SR", "seller-co", SC.key.person)
    officers = [*OFFICERS, drafter.key]
    assert approving(*APPROVALS, officers=officers) is Refusal.DRAFTER_SIGNS
    refused = refusal_of(check_releases, PLAN, RELEASES, officers, DECISION, NOW)
    assert refused[0] is Refusal.DRAFTER_SIGNS
    former = replace(drafter.key, revoked_at=NOW)
    assert check_approvals(PLAN, APPROVALS, [*OFFICERS, former], NOW).signers


def test_who_approved_in_one_role_does_not_release_in_another() -> None:
    owner_as_compliance = signer("SC", "seller-co", SO.key.person)
    officers = [*OFFICERS, owner_as_compliance.key]
    releases = [release(owner_as_compliance, PLAN), RELEASES[1]]
    assert check_releases(PLAN, releases, officers, DECISION, NOW).signers
    refused = refusal_of(
        check_mandate, PLAN, APPROVALS, releases, officers, DECISION, NOW
    )
    assert refused[0] is Refusal.PERSON_TWICE


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"snapshot_id": "snap-2"}, Refusal.WRONG_SNAPSHOT),
        ({"decision_root": "sha256:" + "00" * 32}, Refusal.WRONG_DECISION),
        ({"counts": {"basic": {"transfer": {"eligible": 2}}}}, Refusal.WRONG_COUNTS),
        ({"counts": {}}, Refusal.WRONG_COUNTS),
        ({"as_of": "2018-02-01"}, Refusal.WRONG_DAY),
    ],
    ids=["snapshot", "root", "counts", "no-counts", "day"],
)
def test_a_release_covers_exactly_the_decision(
    changed: dict[str, Any], code: Refusal
) -> None:
    for documents in (
        [release(SC, PLAN, **changed), RELEASES[1]],
        [RELEASES[0], release(BC, PLAN, **changed)],
    ):
        assert releasing(*documents) is code


def test_a_decision_for_another_day_than_the_plans_is_refused() -> None:
    other = replace(DECISION, as_of="2018-02-01")
    assert releasing(*RELEASES, decision=other) is Refusal.WRONG_DAY
    undated = plan_of(as_of=None)
    releases = [release(who, undated, as_of="2018-02-01") for who in (SC, BC)]
    assert check_releases(undated, releases, OFFICERS, other, NOW).signers


def test_a_refusal_says_its_code_and_role_and_nothing_else() -> None:
    with pytest.raises(MandateRefused, match=r"^role-missing: BC$"):
        check_approvals(PLAN, APPROVALS[:3], OFFICERS, NOW)
