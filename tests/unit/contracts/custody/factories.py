# SPDX-License-Identifier: Apache-2.0
"""Plans, officers and signatures of one small deal, for the tests of the contracts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nacl.signing import SigningKey

from contracts.custody.decision import FrozenDecision
from contracts.custody.officers import OfficerKey, Role
from contracts.custody.plan import Plan, canonical_bytes, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    approval_bytes,
    release_bytes,
)
from contracts.dsse import keyid, sign_envelope

ROOT = Path(__file__).parents[4]
VECTORS = ROOT / "contracts" / "vectors" / "custody"
LINE_1 = (ROOT / "contracts" / "law" / "packs" / "line-1.json").read_bytes()
LINE_1_HASH = "sha256:" + hashlib.sha256(LINE_1).hexdigest()

HANDOVER = "0193a8f0-1111-7222-8333-444455556666"
OTHER_HANDOVER = "0193a8f0-1111-7222-8333-444455557777"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRET = bytes(range(32))

PLAN: dict[str, Any] = {
    "installation": "inst-1",
    "handover": HANDOVER,
    "deal_type": "asset_sale",
    "path": "separate_consent",
    "rule_pack_hash": LINE_1_HASH,
    "seller": "seller-co",
    "buyer": "buyer-co",
    "classes": ["basic", "habits", "purchases"],
    "filters": [
        {"class": "habits", "fact": "tag", "op": "not_in", "value": ["wholesale"]}
    ],
    "purposes": {
        "basic": ["customer_service", "order_fulfilment"],
        "habits": ["customer_service"],
        "purchases": ["customer_service", "invoicing"],
    },
    "denied_purposes": {
        "basic": ["advertising", "marketing"],
        "habits": ["marketing", "profiling"],
        "purchases": ["marketing"],
    },
    "retention": {"basic": None, "habits": "2020-12-31", "purchases": "2027-12-31"},
    "window_closes": {
        "basic": "2018-01-15T00:00:00Z",
        "habits": "2018-03-01",
        "purchases": "2018-01-31",
    },
    "contract_hash": "sha256:" + "ab" * 32,
    "expires": "2026-12-24T00:00:00Z",
    "profile": "standard",
    "as_of": "2018-01-31",
}


def plan_of(**changed: Any) -> Plan:
    return Plan.model_validate({**PLAN, **changed})


DECISION = FrozenDecision(
    snapshot_id="snap-1",
    decision_root="sha256:" + "cd" * 32,
    counts={"basic": {"transfer": {"eligible": 3}}},
    as_of="2018-01-31",
)


@dataclass(frozen=True)
class Signer:
    """A person with one key; `key` is the row of the officer table."""

    seed: bytes
    key: OfficerKey

    def but(self, **changed: Any) -> Signer:
        return replace(self, key=replace(self.key, **changed))


def signer(
    role: str,
    party: str,
    person: str | None = None,
    use: Literal["sign", "login"] = "sign",
) -> Signer:
    person = person or f"{role.lower()}-1"
    seed = hashlib.sha256(f"{role} {party} {person} {use}".encode()).digest()
    public = bytes(SigningKey(seed).verify_key)
    return Signer(
        seed, OfficerKey(keyid(public), party, Role(role), person, use, public)
    )


SO = signer("SO", "seller-co")
SC = signer("SC", "seller-co")
SR = signer("SR", "seller-co")
BO = signer("BO", "buyer-co")
BC = signer("BC", "buyer-co")
PR = signer("PR", "law-firm")
FOUR = (SO, SC, BO, BC)
OFFICERS = [s.key for s in (*FOUR, SR, PR)]


def approval(who: Signer, plan: Plan, **changed: Any) -> bytes:
    document = {
        "installation": plan.installation,
        "handover": plan.handover,
        "plan_hash": plan_hash(canonical_bytes(plan)),
        "role": who.key.role,
        "person": who.key.person,
        "expires": "2026-12-01T00:00:00Z",
        **changed,
    }
    payload = approval_bytes(Approval.model_validate(document))
    return sign_envelope(payload, APPROVAL_TYPE, who.seed)


def release(who: Signer, plan: Plan, **changed: Any) -> bytes:
    document = {
        "installation": plan.installation,
        "handover": plan.handover,
        "plan_hash": plan_hash(canonical_bytes(plan)),
        "snapshot_id": DECISION.snapshot_id,
        "decision_root": DECISION.decision_root,
        "counts": DECISION.counts,
        "as_of": DECISION.as_of,
        "expires": "2026-11-30T00:00:00Z",
        "checkpoint": "log.example/1\n1\nAAAA\n\n— log.example/1 BBBB\n",
        **changed,
    }
    payload = release_bytes(Release.model_validate(document))
    return sign_envelope(payload, RELEASE_TYPE, who.seed)
