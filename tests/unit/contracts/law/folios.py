# SPDX-License-Identifier: Apache-2.0
"""Folios, packs and criteria of one small deal, for the tests of the law."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

from contracts.law.eligibility import Criteria, prepare
from contracts.law.pack import RulePack, pack_bytes, parse_pack, rule_pack_hash
from contracts.law.scope import Consent, FolioFacts, Objection
from tests.unit.contracts.custody.factories import LINE_1, plan_of

PACK = parse_pack(LINE_1)
DAY = date(2018, 1, 31)
BEFORE = datetime(2018, 1, 10, 9, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 9, tzinfo=UTC)
ALL = frozenset({"basic", "habits", "purchases"})
GIVEN = Consent("buyer-co", ALL, "separate", BEFORE)
OBJECTED = Objection(BEFORE)


def pack_with(**changed: object) -> RulePack:
    """The line's pack with other machine parts in its rules."""
    members = json.loads(LINE_1)
    for name in ("inactivity_months", "admin_only_bases"):
        if name in changed:
            members["rules"]["retention"][name] = changed[name]
    members["paths"].update(changed.get("paths", {}))
    return RulePack.model_validate(members)


def ready(pack: RulePack = PACK, as_of: date = DAY, **changed: object) -> Criteria:
    plan = {
        "rule_pack_hash": rule_pack_hash(pack_bytes(pack)),
        "as_of": as_of.isoformat(),
        **changed,
    }
    return prepare(plan_of(**plan), pack, as_of)


EU = pack_with(paths={"asset_sale": ["contract", "legitimate_interest"]})
CRITERIA = ready()
FOLIO = FolioFacts("basic", "1", "v1", "contract", consents=(GIVEN,))
