# SPDX-License-Identifier: Apache-2.0
"""The mandate: six signatures, checked on arrival, at each batch and at the turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.engine import Connection

from contracts import base64text
from contracts.custody import mandate as law
from contracts.custody.decision import (
    DecisionSummary,
    FrozenDecision,
    parse_summary,
)
from contracts.custody.officers import OfficerKey
from contracts.custody.signing import parse_approval
from contracts.events.envelope import canonical_json
from contracts.events.vault import MandateAccepted
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault.custody import handover as custody
from services.vault.custody.handover import Scope
from services.vault.custody.state import ScopeState
from services.vault.mandate import store
from services.vault.mandate.freezing import refusal
from services.vault.mandate.ground import (
    Ground,
    Standing,
    acted,
    party_lock,
    standing,
    turn_lock,
)
from services.vault.mandate.store import StoredDocument
from services.vault.parties import officer_keys

APPROVAL = "approval"
RELEASE = "release"
DECIDED = (ScopeState.DECIDED, ScopeState.MANDATED)


async def accept(
    ground: Ground,
    principal: Principal,
    handover: str,
    approvals: Sequence[Mapping[str, Any]],
    releases: Sequence[Mapping[str, Any]],
) -> EventRef | None:
    """Accept a mandate; new signatures over the same decision may replace it.

    Returns:
        The event; None if these very documents were accepted before.

    Raises:
        MandateRefused: They do not authorise the decision; logged.
        WrongState: It is not decided, or the handover ended.
        HandoverUnknown: See `standing`.
    """
    known = await ground.changes.read(lambda c: standing(c, handover, principal))

    def put(tx: Tx) -> EventRef | None:
        return _put(tx, principal, handover, approvals, releases)

    locks = [party_lock(known.seller), turn_lock(handover, exclusive=True)]
    try:
        return await ground.changes.write(put, locks)
    except law.MandateRefused as refused:
        raise await refusal(ground, principal, known, refused) from refused


def _put(
    tx: Tx,
    principal: Principal,
    handover: str,
    approvals: Sequence[Mapping[str, Any]],
    releases: Sequence[Mapping[str, Any]],
) -> EventRef | None:
    at = standing(tx.connection, handover, principal)
    scope = at.frozen(*DECIDED)
    officers = officer_keys(tx.connection, at.seller, at.buyer)
    checked = law.check_mandate(
        at.plan,
        approvals,
        releases,
        list(officers.values()),
        frozen_decision(scope),
        tx.now,
    )
    documents = _documents(checked, approvals, releases)
    if documents == store.documents_of(tx.connection, handover):
        return None
    store.put_documents(tx, handover, documents)
    custody.move_scope(tx, at.seller, handover, ScopeState.MANDATED, *DECIDED)
    event = MandateAccepted(
        **acted(tx, principal),
        handover=handover,
        plan_hash=checked.plan_hash,
        decision_root=scope.decision_root,
        signers=sorted({one.key_id for one in documents}),
    )
    return outbox.append(tx, event.draft(at.seller, at.buyer))


def _documents(
    checked: law.Mandate,
    approvals: Sequence[Mapping[str, Any]],
    releases: Sequence[Mapping[str, Any]],
) -> list[StoredDocument]:
    found = []
    for envelope in approvals:
        # Checked before: in a small company one key signs in several roles.
        role = parse_approval(base64text.decode(envelope["payload"])).role
        officer = checked.approvals.signers[role]
        found.append(_document(APPROVAL, role.value, officer, envelope))
    by_key = {
        officer.key_id: role for role, officer in checked.releases.signers.items()
    }
    for envelope in releases:
        role = by_key[envelope["signatures"][0]["keyid"]]
        officer = checked.releases.signers[role]
        found.append(_document(RELEASE, role.value, officer, envelope))
    return sorted(found)


def _document(
    kind: str, role: str, officer: Any, envelope: Mapping[str, Any]
) -> StoredDocument:
    return StoredDocument(
        kind, role, officer.key_id, officer.person, canonical_json(envelope)
    )


def summary_of(scope: Scope) -> DecisionSummary:
    """Return the groups of a decided scope."""
    return parse_summary(scope.summary.encode())


def frozen_decision(scope: Scope) -> FrozenDecision:
    """Return what a release of the scope's decision must cover."""
    return FrozenDecision(
        snapshot_id=scope.snapshot,
        decision_root=scope.decision_root,
        counts=summary_of(scope).counts(),
        as_of=scope.as_of,
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """All that the check of a stored mandate depends on.

    Attributes:
        officers: Their keys as enrolled now, revoked ones marked.
        now: When; no part of what is compared, see `checked_mandate`.
    """

    at: Standing = field(compare=False)
    scope: Scope = field(compare=False)
    plan: bytes
    decision: tuple[str, ...]
    documents: tuple[StoredDocument, ...]
    officers: tuple[OfficerKey, ...]
    now: datetime = field(compare=False)


@lru_cache(maxsize=16)
def _answered(question: _Question) -> law.Mandate:
    documents = question.documents
    return law.check_mandate(
        question.at.plan,
        [one.envelope for one in documents if one.kind == APPROVAL],
        [one.envelope for one in documents if one.kind == RELEASE],
        question.officers,
        frozen_decision(question.scope),
        question.now,
    )


def checked_mandate(
    connection: Connection, at: Standing, scope: Scope, now: datetime
) -> law.Mandate:
    """Check the stored mandate again, all of it.

    Plan, decision, documents and officers are read each time. Where they are those of
    an earlier check that passed, only time can have changed the answer, and that it
    does by the mandate's own end: then all of it is checked anew, to say what expired.

    Raises:
        contracts.custody.mandate.MandateRefused: It expired, or a key was revoked.
    """
    officers = officer_keys(connection, at.seller, at.buyer)
    question = _Question(
        at=at,
        scope=scope,
        plan=at.stored.raw,
        decision=(scope.snapshot, scope.decision_root, scope.summary, scope.as_of),
        documents=tuple(store.documents_of(connection, scope.handover)),
        officers=tuple(officers.values()),
        now=now,
    )
    known = _answered(question)
    return known if now < known.expires else _answered.__wrapped__(question)


def require_still_holding(
    connection: Connection, at: Standing, mandate: law.Mandate, now: datetime
) -> None:
    """Check a mandate that was just checked in full: only what may have changed.

    Raises:
        contracts.custody.mandate.MandateRefused: It expired, or a key was revoked.
    """
    if mandate.expires <= now:
        raise law.MandateRefused(law.Refusal.DOCUMENT_EXPIRED)
    officers = officer_keys(connection, at.seller, at.buyer)
    signed = [*mandate.approvals.signers.items(), *mandate.releases.signers.items()]
    for role, signer in signed:
        officer = officers.get(signer.key_id)
        if officer is None or officer.revoked_at is not None:
            raise law.MandateRefused(law.Refusal.KEY_REVOKED, role)
