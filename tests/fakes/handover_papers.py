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
from contracts.custody.document import digest
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
from contracts.events.enrolment import OfficerEnrolled, OfficerRevoked
from contracts.events.envelope import canonical_json
from contracts.events.payload import Payload
from contracts.events.transfer import DocumentFiled, HandoverAdvanced
from contracts.events.vault import (
    CustodyTurned,
    DecisionMade,
    MandateAccepted,
    PlanLodged,
)
from tests.fakes.evidence import Lane

HANDOVER = "01a20d8b-85df-7190-b6d4-ee11097bd7c2"
SNAPSHOT = "snapshot-1"
_EXPIRES = "2026-12-24T10:00:00.000Z"
_DIGEST = "sha256:" + "0" * 64
CONTRACT = b"Sold as seen."
CANCELLED = "01a20d8b-0000-7190-b6d4-ee11097bd7c2"


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
            "contract_hash": digest(CONTRACT),
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


def documents() -> dict[str, bytes]:
    """Return the signed documents of the handover by name, in order of filing."""
    found = {f"approval-{role}": approval(role) for role in OFFICERS}
    return found | {f"release-{role}": release(role) for role in ("SC", "BC")}


def steps() -> list[HandoverAdvanced]:
    """Return the steps that filed the documents, and one of the system's."""
    made = [
        HandoverAdvanced(
            handover=HANDOVER,
            event=name.split("-")[0],
            from_state="approval",
            to_state="approval",
            step=n,
            role=name.split("-")[1],
            document=digest(canonical_json(json.loads(envelope))),
        )
        for n, (name, envelope) in enumerate(documents().items(), start=1)
    ]
    turned = {"event": "turned", "role": "SYS", "step": len(made) + 1, "document": None}
    return [*made, made[-1].model_copy(update=turned)]


def filing_entries(*, cancelled: bool = False, **said: str) -> list[bytes]:
    """Return transfer's entries of the handover, on one lane.

    With `cancelled`, a document of another handover is filed before. With members in
    `said`, the first approval is filed once more, with these members.
    """
    lane = Lane("e", "w1/papers", "transfer")
    entries = [lane.open()]
    if cancelled:
        entries.append(lane.write(_filed("approval-SO", cancelled_approval()).draft()))
    if said:
        again = _filed("approval-SO", documents()["approval-SO"])
        entries.append(lane.write(again.model_copy(update=said).draft()))
    papers = iter(documents().items())
    for step in steps():
        if step.document is not None:
            entries.append(lane.write(_filed(*next(papers)).draft()))
        entries.append(lane.write(step.draft("seller", "buyer")))
    return entries


def cancelled_approval() -> bytes:
    """Return an approval that was signed in another handover, which was cancelled."""
    return approval("SO", handover=CANCELLED)


def _filed(name: str, envelope: bytes) -> DocumentFiled:
    kind, role = name.split("-")
    return DocumentFiled(
        handover=CANCELLED if envelope == cancelled_approval() else HANDOVER,
        kind=kind,
        digest=digest(canonical_json(json.loads(envelope))),
        role=role,
        key_id=OFFICERS[role].key_id,
    )


def history() -> dict[str, Any]:
    """Return the history as transfer shows it."""
    return {
        "items": [
            {
                "step": step.step,
                "event": step.event,
                "role": step.role,
                "key_id": OFFICERS[step.role].key_id if step.document else None,
                "from_state": step.from_state,
                "to_state": step.to_state,
                "document": step.document,
                "at": "2026-11-24T10:00:00.000Z",
            }
            for step in steps()
        ]
    }


def handover_entries() -> list[bytes]:
    """Return all entries of the handover, the vault's and transfer's."""
    return [*custody_entries(), *filing_entries()]


def custody_entries(*, revoked: str = "") -> list[bytes]:
    """Return the vault's entries of the handover, on one lane.

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
    (folder / "contract.txt").write_bytes(CONTRACT)
    (folder / "history.json").write_text(json.dumps(history()))
    for name, envelope in documents().items():
        (folder / f"{name}.dsse.json").write_bytes(envelope)
