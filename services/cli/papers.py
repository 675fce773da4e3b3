# SPDX-License-Identifier: Apache-2.0
"""What a person is about to sign: fetched, hashed here, and compared.

The plan comes from transfer, the decision from the vault. Nothing that a service
merely claims goes into a document: hashes and counts are computed from the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contracts import base64text
from contracts.custody.decision import (
    DecisionSummary,
    decision_root,
    parse_summary,
)
from contracts.custody.document import Counts, DocumentMalformed, digest
from contracts.custody.officers import OfficerRole, Role, role_in_handover
from contracts.custody.plan import Plan, parse_plan, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    approval_bytes,
    parse_release,
    release_bytes,
)
from contracts.custody.statement import (
    STATEMENT_TYPE,
    Statement,
    StatementKind,
    statement_bytes,
)
from contracts.dsse import DsseError, sign_envelope, verify_envelope
from contracts.events.envelope import canonical_json
from contracts.officers import OfficerFile
from services.cli.http import Api, EvidenceWrong
from services.cli.pinning import witness

Facts = list[tuple[str, str]]

EVENT_OF: Final[Mapping[StatementKind, str]] = {
    StatementKind.NECESSITY: "confirm",
    StatementKind.SCOPE: "agree",
    StatementKind.OPINION: "pass",
    StatementKind.RECEIPT: "receive",
    StatementKind.AUDIT_REPORT: "pass",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """One person with the three services, logged in as that person.

    Attributes:
        pin: Where the person's pinned checkpoint lies.
        log_key: The log's key; needed before the first pin only.
    """

    officer: OfficerFile
    vault: Api
    transfer: Api
    audit: Api
    pin: Path
    log_key: str | None = None


@dataclass(frozen=True, slots=True)
class Paper:
    """A document ready to be signed, and what a person should look at first.

    Attributes:
        event: The step at transfer that takes it.
        facts: Name and value, computed here.
        counts: The decision's folios per class, outcome and reason.
    """

    event: str
    payload_type: str
    payload: bytes
    facts: Facts
    counts: Counts = field(default_factory=dict)

    def sealed(self, officer: OfficerFile) -> bytes:
        """Return the DSSE envelope, signed with the officer's signing key."""
        return sign_envelope(self.payload, self.payload_type, officer.sign.seed)


def approval_paper(desk: Desk, handover: str) -> Paper:
    """Return the approval of a handover's plan, in this person's role.

    Raises:
        EvidenceWrong: The plan is malformed, or not of this handover, this
            installation or the hash that transfer shows.
        Refused, Unreachable: Transfer does not show it.
    """
    shown = handover_of(desk, handover)
    raw, plan = _plan(desk, handover, shown)
    role = role_of(desk.officer, shown)
    hashed = plan_hash(raw)
    approval = Approval(
        installation=plan.installation,
        handover=handover,
        plan_hash=hashed,
        role=role,
        person=desk.officer.person,
        expires=plan.expires,
    )
    facts = [("you sign", "approval of the plan"), *_plan_facts(plan, raw, hashed)]
    facts.append(("your role", f"{role.value}, as {desk.officer.person}"))
    return Paper("approve", APPROVAL_TYPE, approval_bytes(approval), facts)


def release_paper(desk: Desk, handover: str) -> Paper:
    """Return the release of the frozen decision.

    Raises:
        EvidenceWrong: Plan, decision and log contradict themselves, one another or
            what this person pinned before.
        FileUnusable: The log's key is not known yet.
        Refused, Unreachable: A service does not show its part.
    """
    shown = handover_of(desk, handover)
    raw, plan = _plan(desk, handover, shown)
    hashed = plan_hash(raw)
    decision = desk.vault.get(f"/v1/custody/{handover}/decision")
    summary = summary_of(decision)
    root = _checked_root(decision, summary)
    _require(decision["plan_hash"] == hashed, "the vault decided by another plan")
    _require(decision["handover"] == handover, "the decision is of another handover")
    seen = witness(desk.audit, desk.pin, desk.log_key)
    release = Release(
        installation=plan.installation,
        handover=handover,
        plan_hash=hashed,
        snapshot_id=decision["snapshot_id"],
        decision_root=root,
        counts=summary.counts(),
        as_of=decision["as_of"],
        expires=plan.expires,
        checkpoint=seen.note.decode(),
    )
    facts = [
        ("you sign", "release of the frozen decision"),
        *_plan_facts(plan, raw, hashed),
        ("decision of", str(decision["as_of"])),
        ("decision root", f"{root} (from the vault's groups, hashed here)"),
        ("folios", str(summary.inventory())),
        ("log", _log_fact(seen.before, seen.checkpoint.size)),
    ]
    return Paper(
        "release", RELEASE_TYPE, release_bytes(release), facts, summary.counts()
    )


def statement_paper(
    desk: Desk, handover: str, kind: StatementKind, body: Mapping[str, Any]
) -> Paper:
    """Return a statement: necessity, scope, opinion, receipt or audit report.

    Args:
        desk: Who signs.
        handover: What about.
        kind: Which statement.
        body: What is said; a receipt's and a report's decision root is added from
            the vault.

    Raises:
        EvidenceWrong: What is shown contradicts itself.
        Refused, Unreachable: A service does not show its part.
    """
    shown = handover_of(desk, handover)
    role = role_of(desk.officer, shown)
    subject, facts = _subject(desk, handover, shown, kind)
    said = dict(body)
    if kind in {StatementKind.RECEIPT, StatementKind.AUDIT_REPORT}:
        root, whence = _decided(desk, handover, shown, role)
        said["decision_root"] = root
        facts.append(("decision root", f"{root} ({whence})"))
    statement = Statement(
        installation=desk.officer.installation,
        handover=handover,
        kind=kind,
        role=role,
        person=desk.officer.person,
        body=said,
        subject=subject,
    )
    facts = [
        ("you sign", f"statement: {kind.value}"),
        *facts,
        *((name, str(value)) for name, value in said.items()),
        ("your role", f"{role.value}, as {desk.officer.person}"),
    ]
    return Paper(EVENT_OF[kind], STATEMENT_TYPE, statement_bytes(statement), facts)


def handover_of(desk: Desk, handover: str) -> dict[str, Any]:
    """Return a handover as transfer shows it. Raises Refused, Unreachable."""
    shown: dict[str, Any] = desk.transfer.get(f"/v1/handovers/{handover}")
    return shown


def role_of(officer: OfficerFile, shown: Mapping[str, Any]) -> Role:
    """Return what a person is in a handover.

    Raises:
        EvidenceWrong: Nothing that signs.
    """
    role = role_in_handover(
        OfficerRole(officer.role.value),
        officer.party,
        seller=str(shown["seller"]),
        buyer=str(shown["buyer"]),
    )
    if role is None:
        raise EvidenceWrong("you have no role in this handover")
    return role


def summary_of(decision: Mapping[str, Any]) -> DecisionSummary:
    """Return the groups of a decision.

    Raises:
        EvidenceWrong: They are malformed.
    """
    try:
        return parse_summary(canonical_json(dict(decision["counts"])))
    except (DocumentMalformed, KeyError, TypeError, ValueError) as error:
        raise EvidenceWrong("the vault's decision is malformed") from error


def _subject(
    desk: Desk, handover: str, shown: Mapping[str, Any], kind: StatementKind
) -> tuple[str, Facts]:
    if kind is StatementKind.NECESSITY:
        names = ("seller", "buyer", "deal_type", "path")
        deal = {name: shown[name] for name in names}
        deal["reviewer"] = shown["reviewer"] or ""
        installation = desk.officer.installation
        deal |= {"handover": handover, "installation": installation}
        hashed = digest(canonical_json(deal))
        facts = [(name, str(deal[name])) for name in names]
        return hashed, [*facts, ("deal", f"{hashed} (hashed here)")]
    if kind is StatementKind.SCOPE:
        raw = desk.transfer.read(f"/v1/handovers/{handover}/scope")
        hashed = digest(raw)
        return hashed, [
            ("scope", raw.decode(errors="replace")),
            ("scope hash", f"{hashed} (of {len(raw)} bytes, hashed here)"),
        ]
    raw, plan = _plan(desk, handover, shown)
    return plan_hash(raw), _plan_facts(plan, raw, plan_hash(raw))


def _decided(
    desk: Desk, handover: str, shown: Mapping[str, Any], role: Role
) -> tuple[str, str]:
    """Return the decision's root, and where it is from.

    The vault shows a decision to its two parties. A reviewer of neither takes the
    root that both compliance officers signed, by the keys that the vault names.
    """
    if role is Role.REVIEWER:
        return _released_root(desk, handover, shown), "as SC and BC signed it"
    decision = desk.vault.get(f"/v1/custody/{handover}/decision")
    root = _checked_root(decision, summary_of(decision))
    return root, "from the vault's groups, hashed here"


def _checked_root(decision: Mapping[str, Any], summary: DecisionSummary) -> str:
    root = decision_root(summary)
    _require(decision["decision_root"] == root, "the decision has another root")
    return root


def _released_root(desk: Desk, handover: str, shown: Mapping[str, Any]) -> str:
    released: dict[str, str] = {}
    items = desk.transfer.get(f"/v1/handovers/{handover}/documents")["items"]
    for party in (str(shown["seller"]), str(shown["buyer"])):
        keys = _compliance_keys(desk, party)
        for item in items:
            if item["kind"] != "release" or item["key_id"] not in keys:
                continue
            release = _opened_release(item["envelope"], keys)
            about = (release.handover, release.plan_hash)
            _require(about == (handover, shown["plan_hash"]), "a release of another")
            released[party] = release.decision_root
    _require(len(released) == 2, "the two releases are not there")
    _require(len(set(released.values())) == 1, "the releases name two decisions")
    return next(iter(released.values()))


def _compliance_keys(desk: Desk, party: str) -> dict[str, bytes]:
    listed = desk.vault.get(f"/v1/parties/{party}/officers")["items"]
    return {
        item["key_id"]: base64text.decode(item["public_key"])
        for item in listed
        if item["use"] == "sign" and item["role"] == "compliance"
    }


def _opened_release(envelope: Mapping[str, Any], keys: Mapping[str, bytes]) -> Release:
    try:
        signed = verify_envelope(envelope, keys, RELEASE_TYPE)
        return parse_release(signed.payload)
    except (DsseError, DocumentMalformed) as error:
        raise EvidenceWrong(f"a release: {error}") from error


def _plan(desk: Desk, handover: str, shown: Mapping[str, Any]) -> tuple[bytes, Plan]:
    raw = desk.transfer.read(f"/v1/handovers/{handover}/plan")
    try:
        plan = parse_plan(raw)
    except DocumentMalformed as error:
        raise EvidenceWrong(f"the plan is malformed: {error}") from error
    _require(plan_hash(raw) == shown["plan_hash"], "transfer shows another plan hash")
    _require(plan.handover == handover, "the plan is of another handover")
    installation = desk.officer.installation
    _require(plan.installation == installation, "the plan is of another installation")
    return raw, plan


def _plan_facts(plan: Plan, raw: bytes, hashed: str) -> Facts:
    facts = [
        ("seller", plan.seller),
        ("buyer", plan.buyer),
        ("deal", f"{plan.deal_type.value}, {plan.path.value}"),
        ("expires", plan.expires),
        ("profile", plan.profile.value),
        ("rule pack", plan.rule_pack_hash),
        ("contract", plan.contract_hash),
    ]
    if plan.as_of is not None:
        facts.append(("decided for", f"{plan.as_of} (demonstration)"))
    for name in plan.classes:
        given = ", ".join(plan.purposes[name]) or "nothing"
        denied = ", ".join(plan.denied_purposes[name]) or "nothing"
        kept = plan.retention[name] or "no end that the plan sets"
        window = plan.window_closes.get(name, "not waited for")
        text = f"for {given}; never for {denied}; kept until: {kept}; "
        facts.append((f"class {name}", f"{text}missing consent: {window}"))
    for found in plan.filters:
        value = ", ".join(found.values)
        text = f"{found.class_}: {found.fact.value} {found.op.value} {value}"
        facts.append(("filter", text))
    facts.append(("plan hash", f"{hashed} (of {len(raw)} bytes, hashed here)"))
    return facts


def _log_fact(before: int | None, size: int) -> str:
    if before is None:
        return f"{size} leaves, pinned for the first time"
    return f"{size} leaves, consistent with the {before} you pinned before"


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise EvidenceWrong(what)
