# SPDX-License-Identifier: Apache-2.0
"""What is remembered of judgements and events is what would be worked out afresh."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.events.envelope import canonical_json
from contracts.events.vault import RecordRead
from contracts.purposes import Purpose
from services.chassis.auth import Principal, PrincipalKind
from services.vault.access import Action, Caller, Role, load_policy
from services.vault.custody import (
    OPT_OUT,
    CustodyState,
    CustodyTerms,
    FiledConsent,
    HeldFolio,
    Place,
    StoredRecord,
)
from services.vault.records import reading
from services.vault.records.judging import Judgements
from services.vault.records.naming import ReadEvents
from services.vault.records.reading import Held, Refused, Shown
from tests.unit.vault.catalogue.test_catalogue import CATALOGUE

POLICY = load_policy()
ACCESS: Any = SimpleNamespace(decide=POLICY.decide_all, policy_version=POLICY.version)


def caller(role: Role = Role.CLIENT, purpose: Purpose = Purpose.INVOICING) -> Caller:
    who = Principal(PrincipalKind.CLIENT, "crm", "alpha", None, None, frozenset())
    return Caller(who, "a" * 32, role, purpose)


def folio(record: str, class_: str, state: CustodyState, denied: str = "") -> HeldFolio:
    terms = CustodyTerms("contract", None, (denied,) if denied else ())
    return HeldFolio(
        Place("alpha", record, class_, ""), "v", state, 1, b"", b"", b"", terms,
        "contract", None, None, (), 0, 0,
    )  # fmt: skip


def held(number: int, *folios: HeldFolio, consents: Any = ()) -> Held:
    id_ = f"r{number}"
    record = StoredRecord("alpha", id_, "", f"{number:032x}", 1, 1, None, None)
    return Held(record, folios, consents, (), handed_over=False, epoch=number)


STATES = (CustodyState.ACTIVE, CustodyState.RESTRICTED)
CASES = list(
    product(
        (Role.CLIENT, Role.REVIEWER),
        (Purpose.INVOICING, Purpose.CUSTOMER_SERVICE),
        (Action.READ, Action.HISTORY),
        STATES,
        STATES,
        ("", "invoicing"),
        (None, ["basic"], ["purchases"]),
    )
)


def test_records_that_are_alike_are_judged_as_each_would_be() -> None:
    judgements = Judgements(ACCESS)
    seen = set()
    for turn, case in product((1, 2), CASES):
        role, purpose, action, first, second, denied, asked = case
        who = caller(role, purpose)
        mine = held(
            turn,
            folio(f"r{turn}", "basic", first, denied),
            folio(f"r{turn}", "purchases", second),
        )
        said = judgements.judge(who, action, mine, asked, CATALOGUE)
        fresh = reading.judge(ACCESS, who, action, mine, asked, CATALOGUE)
        assert said == fresh
        if isinstance(said, Shown):
            assert said.held is mine  # its own folios, not another record's
            assert all(any(one is f for f in mine.folios) for one in said.folios)
        seen.add(type(said))
    assert seen == {Shown, Refused}


def test_who_filed_something_is_judged_afresh() -> None:
    judgements = Judgements(ACCESS)
    basic = folio("r1", "basic", CustodyState.ACTIVE)
    plain = judgements.judge(caller(), Action.READ, held(1, basic), None, CATALOGUE)
    closed = FiledConsent(OPT_OUT, "", (Purpose.INVOICING.value,), 1, None, "")
    opted_out = held(2, basic, consents=[closed])
    said = judgements.judge(caller(), Action.READ, opted_out, None, CATALOGUE)
    assert isinstance(plain, Shown)
    assert said == reading.judge(
        ACCESS, caller(), Action.READ, opted_out, None, CATALOGUE
    )


def _modelled(who: Caller, shown: Shown, view: str) -> Any:
    return RecordRead.model_validate(
        {
            **who.acted(),
            "purpose": who.why().value,
            "record": shown.held.record.alias,
            "classes": list(shown.classes),
            "view": view,
            "policy": ACCESS.policy_version,
        }
    ).draft(who.party)


def test_the_event_of_a_read_is_the_models_to_the_byte() -> None:
    events = ReadEvents(ACCESS)
    for number, classes, view, purpose in product(
        (1, 2, 3), (("basic",), ("basic", "purchases")), ("full", "masked"),
        (Purpose.INVOICING, Purpose.CUSTOMER_SERVICE),
    ):  # fmt: skip
        who = caller(purpose=purpose)
        shown = Shown(held(number), classes, (), frozenset())
        made, modelled = events.draft(who, shown, view), _modelled(who, shown, view)
        assert made == modelled
        assert canonical_json(made.data) == canonical_json(modelled.data)


def test_an_alias_that_the_model_refuses_is_refused_of_a_known_event_too() -> None:
    events = ReadEvents(ACCESS)
    shown = Shown(held(1), ("basic",), (), frozenset())
    events.draft(caller(), shown, "full")
    record = StoredRecord("alpha", "r", "", "Jane", 1, 1, None, None)
    forged = Shown(Held(record, (), (), (), False, 1), ("basic",), (), frozenset())
    with pytest.raises(ValueError, match="record"):
        events.draft(caller(), forged, "full")
