# SPDX-License-Identifier: Apache-2.0
"""Signed documents of a handover: opened, bound to their step, or refused.

Pure. Owns what transfer checks of a single envelope: the signer is this very person
in this role, and speaks about this handover, plan or decision. Whether all of them
together are a mandate, `contracts.custody.mandate` says, and finally the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from contracts.custody.decision import FrozenDecision
from contracts.custody.document import DocumentMalformed, digest, parse_instant
from contracts.custody.officers import OfficerKey
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    parse_approval,
    parse_release,
)
from contracts.custody.statement import STATEMENT_TYPE, parse_statement
from contracts.dsse import EnvelopeMalformed, EnvelopeUnverified, verify_envelope
from contracts.events.envelope import canonical_json
from services.transfer.errors import BodyRefused, SignatureRefused
from services.transfer.handovers.states import Actor, Kind

PAYLOAD_TYPES: Final[Mapping[Kind, str]] = {
    Kind.NECESSITY: STATEMENT_TYPE,
    Kind.SCOPE: STATEMENT_TYPE,
    Kind.OPINION: STATEMENT_TYPE,
    Kind.APPROVAL: APPROVAL_TYPE,
    Kind.RELEASE: RELEASE_TYPE,
    Kind.RECEIPT: STATEMENT_TYPE,
    Kind.AUDIT_REPORT: STATEMENT_TYPE,
}

#: What a necessity statement says of each class (transfer.md, row 2).
NECESSITY_MEMBERS: Final = ("service", "why", "alternative")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a document must be about, and whose it must be.

    Attributes:
        subject: Hash of what is signed: deal, scope or plan.
        decision: The frozen decision, once there is one.
        members: Members that the statement's body must have, with these values.
    """

    installation: str
    handover: str
    kind: Kind
    actor: Actor
    party: str
    person: str
    subject: str
    now: datetime
    decision: FrozenDecision | None = None
    members: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A document that was accepted.

    Attributes:
        envelope: Its canonical JSON bytes, as they are stored.
        digest: `sha256:` of those bytes.
        body: A statement's body; empty for approvals and releases.
    """

    kind: Kind
    envelope: bytes
    digest: str
    key_id: str
    subject: str
    body: Mapping[str, Any]


class _Bound(Protocol):
    """What approvals, releases and statements share."""

    @property
    def installation(self) -> str: ...
    @property
    def handover(self) -> str: ...


ABound = TypeVar("ABound", bound=_Bound)


def open_document(
    envelope: Mapping[str, Any], keys: Iterable[OfficerKey], binding: Binding
) -> Opened:
    """Return a document that fits its step.

    Raises:
        SignatureRefused: The signature, the signer or the document does not fit.
        BodyRefused: A statement's body lacks what this kind must say.
    """
    if binding.kind is Kind.APPROVAL:
        key, subject, body = _approval(envelope, keys, binding)
    elif binding.kind is Kind.RELEASE:
        key, subject, body = _release(envelope, keys, binding)
    else:
        key, subject, body = _statement(envelope, keys, binding)
    raw = canonical_json(envelope)
    return Opened(binding.kind, raw, digest(raw), key.key_id, subject, body)


def _approval(
    envelope: Mapping[str, Any], keys: Iterable[OfficerKey], binding: Binding
) -> tuple[OfficerKey, str, Mapping[str, Any]]:
    key, approval = _opened(envelope, keys, binding, parse_approval)
    _require(approval.role.value == binding.actor.value, "wrong-role")
    _require(approval.person == binding.person, "wrong-person")
    _require(approval.plan_hash == binding.subject, "wrong-plan")
    _require(parse_instant(approval.expires) > binding.now, "document-expired")
    return key, approval.plan_hash, {}


def _release(
    envelope: Mapping[str, Any], keys: Iterable[OfficerKey], binding: Binding
) -> tuple[OfficerKey, str, Mapping[str, Any]]:
    key, release = _opened(envelope, keys, binding, parse_release)
    decision = binding.decision
    _require(decision is not None, "wrong-decision")
    assert decision is not None
    _require(release.plan_hash == binding.subject, "wrong-plan")
    _require(release.snapshot_id == decision.snapshot_id, "wrong-snapshot")
    _require(release.decision_root == decision.decision_root, "wrong-decision")
    _require(release.counts == decision.counts, "wrong-counts")
    _require(release.as_of == decision.as_of, "wrong-day")
    _require(parse_instant(release.expires) > binding.now, "document-expired")
    return key, release.decision_root, {}


def _statement(
    envelope: Mapping[str, Any], keys: Iterable[OfficerKey], binding: Binding
) -> tuple[OfficerKey, str, Mapping[str, Any]]:
    key, statement = _opened(envelope, keys, binding, parse_statement)
    _require(statement.kind.value == binding.kind.value, "wrong-kind")
    _require(statement.role.value == binding.actor.value, "wrong-role")
    _require(statement.person == binding.person, "wrong-person")
    _require(statement.subject == binding.subject, "wrong-subject")
    for name, value in (binding.members or {}).items():
        _require(statement.body.get(name) == value, "wrong-body")
    if binding.kind is Kind.NECESSITY:
        necessary_classes(statement.body)
    return key, statement.subject, statement.body


def necessary_classes(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the classes whose necessity is stated: service, why, alternative.

    Raises:
        BodyRefused: It speaks of no class, or leaves one of the three out.
    """
    classes = body.get("classes")
    if not isinstance(classes, dict) or not classes:
        raise BodyRefused("/document", "necessity-classes")
    for said in classes.values():
        if not isinstance(said, dict) or not all(
            isinstance(said.get(name), str) and said[name].strip()
            for name in NECESSITY_MEMBERS
        ):
            raise BodyRefused("/document", "necessity-incomplete")
    return frozenset(classes)


def _opened(
    envelope: Mapping[str, Any],
    keys: Iterable[OfficerKey],
    binding: Binding,
    parse: Callable[[bytes], ABound],
) -> tuple[OfficerKey, ABound]:
    by_id = {key.key_id: key for key in keys}
    try:
        signed = verify_envelope(
            envelope,
            {key_id: key.public_key for key_id, key in by_id.items()},
            PAYLOAD_TYPES[binding.kind],
        )
        document = parse(signed.payload)
    except EnvelopeMalformed as exc:
        raise SignatureRefused("envelope-malformed") from exc
    except EnvelopeUnverified as exc:
        raise SignatureRefused("signature-invalid") from exc
    except DocumentMalformed as exc:
        raise SignatureRefused("document-malformed") from exc
    key = by_id[signed.keyid]
    _check_key(key, binding)
    _require(document.installation == binding.installation, "wrong-installation")
    _require(document.handover == binding.handover, "wrong-handover")
    return key, document


def _check_key(key: OfficerKey, binding: Binding) -> None:
    _require(key.use == "sign", "key-not-for-signing")
    _require(key.revoked_at is None, "key-revoked")
    _require(key.expires_at is None or key.expires_at > binding.now, "key-expired")
    _require(key.party == binding.party, "wrong-party")
    # The envelope is carried by the person who signed it, never by a colleague.
    _require(key.person == binding.person, "wrong-person")


def _require(holds: bool, reason: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise SignatureRefused(reason)
