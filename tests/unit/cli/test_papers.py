# SPDX-License-Identifier: Apache-2.0
"""Promise: a person signs what was hashed here, and nothing that contradicts itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contracts import dsse
from contracts.custody.plan import canonical_bytes, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    parse_approval,
    parse_release,
)
from contracts.custody.statement import (
    STATEMENT_TYPE,
    StatementKind,
    parse_statement,
)
from services.cli import sign
from services.cli.http import EvidenceWrong, Refused
from services.cli.papers import (
    Desk,
    approval_paper,
    release_paper,
    statement_paper,
)
from tests.unit.cli.deal import HANDOVER, Deal, officer
from tests.unit.contracts.custody.factories import BC, OTHER_HANDOVER, SC, plan_of


@pytest.fixture
def deal(tmp_path: Path) -> Deal:
    return Deal(tmp_path / "log")


@pytest.fixture
def desk(deal: Deal, tmp_path: Path) -> Desk:
    return deal.desk(officer(), tmp_path / "sc.json.pin", deal.log_key)


def verified(deal: Deal, payload_type: str) -> bytes:
    """Open what was handed in, with the officer's signing key and no other."""
    who = officer()
    _path, body = deal.posted[-1]
    keys = {who.sign.key_id: who.sign.public_key}
    return dsse.verify_envelope(body["document"], keys, payload_type).payload


def test_an_approval_carries_the_hash_of_the_fetched_bytes(
    deal: Deal, desk: Desk
) -> None:
    sign.hand_in(desk, HANDOVER, approval_paper(desk, HANDOVER))
    approval = parse_approval(verified(deal, APPROVAL_TYPE))
    assert approval.plan_hash == plan_hash(deal.plan)
    assert (approval.role.value, approval.person) == ("SC", "sc-1")
    assert deal.posted[-1][0] == f"/v1/handovers/{HANDOVER}:approve"


def test_a_release_carries_root_and_counts_of_the_vaults_groups(
    deal: Deal, desk: Desk
) -> None:
    paper = release_paper(desk, HANDOVER)
    sign.hand_in(desk, HANDOVER, paper)
    release = parse_release(verified(deal, RELEASE_TYPE))
    assert release.decision_root == deal.decided["decision_root"]
    assert release.counts == {
        "basic": {"transfer": {"eligible": 4}, "excluded": {"objected": 1}}
    }
    assert release.checkpoint.encode() == (deal.log / "log/checkpoint").read_bytes()
    assert ("folios", "5") in paper.facts


@pytest.mark.parametrize(
    ("kind", "role", "party", "event"),
    [
        ("necessity", "compliance", "seller-co", "confirm"),
        ("scope", "owner", "buyer-co", "agree"),
        ("opinion", "reviewer", "law-firm", "pass"),
        ("receipt", "compliance", "buyer-co", "receive"),
        ("audit_report", "reviewer", "law-firm", "pass"),
    ],
)
def test_a_statement_goes_to_its_step_and_says_its_subject(
    deal: Deal, tmp_path: Path, kind: str, role: str, party: str, event: str
) -> None:
    who = officer(role, party, "someone")
    desk = deal.desk(who, tmp_path / "pin", None)
    # The vault shows the decision to its two parties, not to a reviewer.
    deal.hidden = role == "reviewer"
    deal.released_by(SC)
    deal.released_by(BC)
    paper = statement_paper(desk, HANDOVER, StatementKind(kind), {"said": "so"})
    sign.hand_in(desk, HANDOVER, paper)
    statement = parse_statement(verified(deal, STATEMENT_TYPE))
    assert deal.posted[-1][0].endswith(f":{event}")
    assert statement.body["said"] == "so"
    closing = kind in {"receipt", "audit_report"}
    root = deal.decided["decision_root"] if closing else None
    assert statement.body.get("decision_root") == root
    if kind in {"opinion", "receipt", "audit_report"}:
        assert statement.subject == plan_hash(deal.plan)


def test_another_plan_than_the_shown_hash_is_not_signed(deal: Deal, desk: Desk) -> None:
    deal.plan = canonical_bytes(plan_of(contract_hash="sha256:" + "cd" * 32))
    for paper in (approval_paper, release_paper):
        with pytest.raises(EvidenceWrong, match="another plan hash"):
            paper(desk, HANDOVER)


@pytest.mark.parametrize(
    "changed", [{"handover": OTHER_HANDOVER}, {"installation": "inst-2"}]
)
def test_a_plan_of_elsewhere_is_not_signed(
    deal: Deal, desk: Desk, changed: dict[str, Any]
) -> None:
    deal.plan = canonical_bytes(plan_of(**changed))
    deal.shown["plan_hash"] = plan_hash(deal.plan)
    with pytest.raises(EvidenceWrong, match=r"of another (handover|installation)"):
        approval_paper(desk, HANDOVER)


def test_plan_bytes_that_are_not_canonical_are_not_signed(
    deal: Deal, desk: Desk
) -> None:
    deal.plan = json.dumps(json.loads(deal.plan), indent=1).encode()
    deal.shown["plan_hash"] = plan_hash(deal.plan)
    with pytest.raises(EvidenceWrong, match="malformed"):
        approval_paper(desk, HANDOVER)


def test_counts_that_do_not_give_the_root_are_not_released(
    deal: Deal, desk: Desk
) -> None:
    deal.decided["counts"]["basic"]["transfer"]["eligible"]["count"] = 3
    with pytest.raises(EvidenceWrong, match="another root"):
        release_paper(desk, HANDOVER)


def test_a_decision_by_another_plan_is_not_released(deal: Deal, desk: Desk) -> None:
    deal.decided["plan_hash"] = "sha256:" + "00" * 32
    with pytest.raises(EvidenceWrong, match="another plan"):
        release_paper(desk, HANDOVER)


def test_who_has_no_role_signs_nothing(deal: Deal, tmp_path: Path) -> None:
    stranger = officer("owner", "somebody-else", "x")
    desk = deal.desk(stranger, tmp_path / "pin", None)
    with pytest.raises(EvidenceWrong, match="no role"):
        approval_paper(desk, HANDOVER)


def test_a_refusal_of_the_service_is_shown_with_its_code(
    deal: Deal, desk: Desk
) -> None:
    with pytest.raises(Refused, match="not-found") as caught:
        approval_paper(desk, OTHER_HANDOVER)
    assert (caught.value.status, caught.value.exit_code) == (404, 1)


def test_an_envelope_may_be_written_instead_of_handed_in(
    deal: Deal, desk: Desk, tmp_path: Path
) -> None:
    out = tmp_path / "approval.dsse.json"
    sign._sign(desk, HANDOVER, approval_paper, out, yes=True, as_json=True)
    assert deal.posted == []
    assert dsse.payload_type_of(out.read_bytes()) == APPROVAL_TYPE


@pytest.mark.parametrize("fault", ["one", "two roots", "forged", "other plan"])
def test_a_reviewer_signs_only_what_both_compliance_officers_signed(
    deal: Deal, tmp_path: Path, fault: str
) -> None:
    deal.released_by(SC)
    match fault:
        case "two roots":
            deal.released_by(BC, decision_root="sha256:" + "00" * 32)
        case "forged":
            deal.released_by(BC)
            deal.releases[-1]["envelope"]["signatures"][0]["sig"] = "A" * 86 + "=="
        case "other plan":
            deal.released_by(BC, plan_hash="sha256:" + "00" * 32)
        case _:
            pass
    desk = deal.desk(officer("reviewer", "law-firm", "pr"), tmp_path / "pin", None)
    with pytest.raises(EvidenceWrong):
        statement_paper(desk, HANDOVER, StatementKind.AUDIT_REPORT, {})


def test_what_is_shown_cannot_move_the_cursor_or_be_markup(
    deal: Deal, desk: Desk
) -> None:
    deal.scope = "[red]x[/] \x1b[2J \u202e{}".encode()
    who = officer("owner", "seller-co", "so")
    paper = statement_paper(
        deal.desk(who, desk.pin, None), HANDOVER, StatementKind.SCOPE, {}
    )
    out = io.StringIO()
    sign.show(paper, Console(file=out, width=200))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]x[/] <U+001B>[2J <U+202E>{}" in text


def test_a_person_sees_all_that_the_plan_allows(deal: Deal, desk: Desk) -> None:
    out = io.StringIO()
    sign.show(approval_paper(desk, HANDOVER), Console(file=out, width=240))
    text = out.getvalue()
    plan = json.loads(deal.plan)
    for name in plan["classes"]:
        for said in (*plan["purposes"][name], *plan["denied_purposes"][name]):
            assert said in text
        assert plan["window_closes"][name] in text
    for said in (plan["expires"], plan["as_of"], plan["contract_hash"], "wholesale"):
        assert said in text
    assert plan_hash(deal.plan) in text
