# SPDX-License-Identifier: Apache-2.0
"""Promise: nobody is asked to sign what the handover would not take from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import sign
from services.cli.main import app
from services.cli.signing_turn import NotToSign, require_turn
from tests.unit.cli.deal import HANDOVER, Deal, officer


@pytest.fixture
def deal(tmp_path: Path) -> Deal:
    return Deal(tmp_path / "log")


def refused(deal: Deal, tmp_path: Path, kind: str, role: str, party: str) -> str:
    desk = deal.desk(officer(role, party), tmp_path / "pin", None)
    with pytest.raises(NotToSign) as caught:
        require_turn(desk, HANDOVER, kind)
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_whose_turn_it_is_may_sign(deal: Deal, tmp_path: Path) -> None:
    for role, party in (("compliance", "seller-co"), ("owner", "buyer-co")):
        desk = deal.desk(officer(role, party), tmp_path / "pin", None)
        require_turn(desk, HANDOVER, "approval")


def test_another_role_is_told_who_signs(deal: Deal, tmp_path: Path) -> None:
    said = refused(deal, tmp_path, "approval", "operator", "seller-co")
    assert said == "your role is SR; the approval is signed by BC, BO, SC, SO"
    due = {"event": "pass", "kind": "audit_report", "subject": "x", "roles": ["PR"]}
    deal.shown |= {"to_sign": [due], "signed": []}
    said = refused(deal, tmp_path, "audit_report", "owner", "seller-co")
    assert said == "your role is SO; the audit report is signed by PR"


def test_who_has_signed_is_told_so(deal: Deal, tmp_path: Path) -> None:
    said = refused(deal, tmp_path, "approval", "owner", "seller-co")
    assert said == "the approval is signed by SO already"


def test_without_a_plan_there_is_nothing_to_approve(deal: Deal, tmp_path: Path) -> None:
    deal.shown |= {"plan_hash": None, "state": "planning", "to_sign": []}
    deal.shown["waiting_for"] = ["BC", "SR"]
    said = refused(deal, tmp_path, "approval", "compliance", "seller-co")
    assert said == (
        "there is no plan to approve yet; the handover is in state planning and "
        "waits for BC, SR"
    )


def test_without_a_scope_there_is_nothing_to_agree_to(
    deal: Deal, tmp_path: Path
) -> None:
    due = {"event": "agree", "kind": "scope", "subject": None, "roles": ["BO", "SO"]}
    deal.shown |= {"plan_hash": None, "state": "scoping", "to_sign": [due]}
    said = refused(deal, tmp_path, "scope", "owner", "seller-co")
    assert said.startswith("there is no scope to agree to yet; the handover is in")


def test_a_document_that_is_not_due_is_not_asked_for(
    deal: Deal, tmp_path: Path
) -> None:
    deal.shown["state"] = "app\x1broval"
    said = refused(deal, tmp_path, "release", "compliance", "seller-co")
    assert said == (
        "no release is to be signed now; the handover is in state "
        "app<U+001B>roval and waits for SC"
    )


@pytest.mark.parametrize(
    ("words", "role", "party"),
    [
        (["approval"], "operator", "seller-co"),
        (["release"], "owner", "buyer-co"),
        (["statement", "--kind", "opinion"], "owner", "buyer-co"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else None,
)
def test_the_command_refuses_before_it_asks(
    deal: Deal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    role: str,
    party: str,
) -> None:
    def desk(*_: Any) -> Any:
        return deal.desk(officer(role, party), tmp_path / "pin", deal.log_key)

    monkeypatch.setattr(sign, "open_desk", desk)
    due = [("approve", "approval", "SC"), ("release", "release", "SC")]
    deal.shown["to_sign"] = [
        {"event": event, "kind": kind, "subject": "x", "roles": [who]}
        for event, kind, who in (*due, ("pass", "opinion", "PR"))
    ]
    args = ["sign", *words, "--officer", "x", "--handover", HANDOVER]
    run = CliRunner().invoke(app, args, input="y\n")
    assert run.exit_code == 1
    assert "your role is" in run.output
    assert "Sign this?" not in run.output
    assert "What you sign" not in run.output
    assert deal.posted == []
    run = CliRunner().invoke(app, [*args, "--json", "--yes"])
    assert json.loads(run.stderr)["error"] == "NotToSign"
