# SPDX-License-Identifier: Apache-2.0
"""The papers of one small handover that turned, and the log entries they belong to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from contracts import base64text, dsse
from contracts.custody.decision import (
    DecisionRow,
    decision_root,
    summarise,
    summary_bytes,
)
from contracts.custody.officers import Role
from contracts.custody.plan import Plan, canonical_bytes, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    approval_bytes,
    release_bytes,
)
from contracts.events.payload import Payload
from contracts.events.vault import (
    CustodyTurned,
    DecisionMade,
    MandateAccepted,
    OfficerEnrolled,
    OfficerRevoked,
    PlanLodged,
)
from tests.fakes.evidence import Lane

HANDOVER = "01a20d8b-85df-7190-b6d4-ee11097bd7c2"
SNAPSHOT = "snapshot-1"
_EXPIRES = "2026-12-24T10:00:00.000Z"
_DIGEST = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class FakeOfficer:
    """One person with one signing key."""

    role: str
    party: str
    seed: bytes

    @property
    def public_key(self) -> bytes:
        return bytes(SigningKey(self.seed).verify_key)

    @property
    def key_id(self) -> str:
        return dsse.keyid(self.public_key)


OFFICERS = {
    "SO": FakeOfficer("owner", "seller", bytes([7] * 32)),
    "SC": FakeOfficer("compliance", "seller", bytes([8] * 32)),
    "BO": FakeOfficer("owner", "buyer", bytes([9] * 32)),
    "BC": FakeOfficer("compliance", "buyer", bytes([10] * 32)),
}
LOGIN = FakeOfficer("owner", "seller", bytes([11] * 32))
OPERATOR = FakeOfficer("operator", "seller", bytes([12] * 32))
PLAN = canonical_bytes(
    Plan.model_validate(
        {
            "installation": "demo",
            "handover": HANDOVER,
            "deal_type": "asset_sale",
            "path": "contract",
            "rule_pack_hash": _DIGEST,
            "seller": "seller",
            "buyer": "buyer",
            "classes": ["basic"],
            "filters": [],
            "purposes": {"basic": ["service"]},
            "denied_purposes": {"basic": []},
            "retention": {"basic": None},
            "window_closes": {},
            "contract_hash": _DIGEST,
            "expires": _EXPIRES,
            "profile": "standard",
        }
    )
)
PLAN_HASH = plan_hash(PLAN)
SUMMARY = summarise(
    [
        DecisionRow(n, "r", "n", "basic", "", "1", "transfer", "rule", "eligible")
        for n in range(3)
    ],
    bytes(32),
)
ROOT = decision_root(SUMMARY)


def custody_entries(*, revoked: str = "") -> list[bytes]:
    """Return the vault's entries of the handover: an even number, on one lane.

    With `revoked`, that officer's key is revoked before the mandate is accepted.
    """
    lane = Lane("d", "w1/custody")
    entries = [lane.open()]

    def write(payload: Payload, *parties: str) -> None:
        entries.append(lane.write(payload.draft(*parties)))

    for officer in (*OFFICERS.values(), OPERATOR, LOGIN):
        enrolled = OfficerEnrolled(
            officer="a" * 32,
            key_id=officer.key_id,
            role=officer.role,
            use="login" if officer is LOGIN else "sign",
            enrolled_by="host",
        )
        write(enrolled, officer.party)
    both = ("seller", "buyer")
    if revoked:
        write(OfficerRevoked(key_id=OFFICERS[revoked].key_id), "seller")
    write(PlanLodged(handover=HANDOVER, plan_hash=PLAN_HASH), *both)
    decided: dict[str, Any] = {"decision_root": ROOT, "counts": SUMMARY.counts()}
    made = DecisionMade(
        handover=HANDOVER, snapshot=SNAPSHOT, as_of="2026-11-24", **decided
    )
    write(made, *both)
    accepted = MandateAccepted(
        handover=HANDOVER,
        plan_hash=PLAN_HASH,
        decision_root=ROOT,
        signers=sorted(officer.key_id for officer in OFFICERS.values()),
    )
    write(accepted, *both)
    turned = CustodyTurned(handover=HANDOVER, plan_hash=PLAN_HASH, **decided)
    write(turned, *both)
    return entries


def approval(role: str, seed: bytes | None = None, **changed: Any) -> bytes:
    """Return a signed approval; by default as the officer of the role signs it."""
    members = {
        "installation": "demo",
        "handover": HANDOVER,
        "plan_hash": PLAN_HASH,
        "role": Role(role),
        "person": f"person-{role.lower()}",
        "expires": _EXPIRES,
    }
    raw = approval_bytes(Approval.model_validate({**members, **changed}))
    return dsse.sign_envelope(raw, APPROVAL_TYPE, seed or OFFICERS[role].seed)


def release(role: str, seed: bytes | None = None, **changed: Any) -> bytes:
    """Return a signed release; by default as the officer of the role signs it."""
    members = {
        "installation": "demo",
        "handover": HANDOVER,
        "plan_hash": PLAN_HASH,
        "snapshot_id": SNAPSHOT,
        "decision_root": ROOT,
        "counts": SUMMARY.counts(),
        "as_of": "2026-11-24",
        "expires": _EXPIRES,
        "person": f"person-{role.lower()}",
        "checkpoint": "a note",
    }
    known = {name: members[name] for name in Release.model_fields if name in members}
    raw = release_bytes(Release.model_validate({**known, **changed}))
    return dsse.sign_envelope(raw, RELEASE_TYPE, seed or OFFICERS[role].seed)


def decision() -> dict[str, Any]:
    """Return the decision as the vault shows it."""
    return {
        "installation": "demo",
        "handover": HANDOVER,
        "plan_hash": PLAN_HASH,
        "snapshot_id": SNAPSHOT,
        "as_of": "2026-11-24",
        "decision_root": ROOT,
        "counts": json.loads(summary_bytes(SUMMARY)),
        "folios": SUMMARY.inventory(),
    }


def officers_file(officers: Mapping[str, FakeOfficer]) -> str:
    """Return the text of `officers.json`."""
    listed = [
        {
            "public_key": base64text.encode(officer.public_key),
            "key_id": officer.key_id,
            "role": officer.role,
            "party": officer.party,
        }
        for officer in officers.values()
    ]
    return json.dumps({"officers": listed})


def write_papers(directory: Path) -> None:
    """Write all papers of the handover."""
    folder = directory / "handover"
    folder.mkdir()
    (folder / "plan.json").write_bytes(PLAN)
    (folder / "decision.json").write_text(json.dumps(decision()))
    (folder / "officers.json").write_text(officers_file(OFFICERS))
    for role in OFFICERS:
        (folder / f"approval-{role}.dsse.json").write_bytes(approval(role))
    for role in ("SC", "BC"):
        (folder / f"release-{role}.dsse.json").write_bytes(release(role))
