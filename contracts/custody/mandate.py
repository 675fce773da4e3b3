# SPDX-License-Identifier: Apache-2.0
"""The mandate: approvals of the plan and releases of the decision, and their check.

Owns the pure check that the vault runs at the freeze, at each batch and at the turn.
Believes signatures and the officer table it is given, never who carries the
documents. Signatures: DSSE 1.0.2, Ed25519.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from contracts.custody.decision import FrozenDecision
from contracts.custody.document import DocumentMalformed, parse_document, parse_instant
from contracts.custody.officers import BUYER_ROLES, SELLER_ROLES, OfficerKey, Role
from contracts.custody.plan import Plan, Profile, canonical_bytes, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    Signed,
)
from contracts.dsse import EnvelopeMalformed, EnvelopeUnverified, verify_envelope

_OWNERS_AND_COMPLIANCE: Final = frozenset(
    {
        Role.SELLER_OWNER,
        Role.SELLER_COMPLIANCE,
        Role.BUYER_OWNER,
        Role.BUYER_COMPLIANCE,
    }
)
APPROVING: Final[Mapping[Profile, frozenset[Role]]] = {
    Profile.STANDARD: _OWNERS_AND_COMPLIANCE,
    Profile.SMALL: _OWNERS_AND_COMPLIANCE | {Role.REVIEWER},
}
RELEASING: Final = frozenset({Role.SELLER_COMPLIANCE, Role.BUYER_COMPLIANCE})


class Refusal(StrEnum):
    """Why signatures are no mandate; stable codes of the API."""

    PLAN_EXPIRED = "plan-expired"
    ENVELOPE_MALFORMED = "envelope-malformed"
    SIGNATURE_INVALID = "signature-invalid"
    KEY_NOT_FOR_SIGNING = "key-not-for-signing"
    KEY_REVOKED = "key-revoked"
    KEY_EXPIRED = "key-expired"
    DOCUMENT_MALFORMED = "document-malformed"
    DOCUMENT_EXPIRED = "document-expired"
    WRONG_INSTALLATION = "wrong-installation"
    WRONG_HANDOVER = "wrong-handover"
    WRONG_PLAN = "wrong-plan"
    WRONG_PERSON = "wrong-person"
    WRONG_ROLE = "wrong-role"
    WRONG_PARTY = "wrong-party"
    ROLE_TWICE = "role-twice"
    ROLE_MISSING = "role-missing"
    PERSON_TWICE = "person-twice"
    DRAFTER_SIGNS = "drafter-signs"
    WRONG_SNAPSHOT = "wrong-snapshot"
    WRONG_DECISION = "wrong-decision"
    WRONG_COUNTS = "wrong-counts"
    WRONG_DAY = "wrong-day"


class MandateRefused(Exception):  # noqa: N818 - a decision, not a failure
    """The signatures do not authorise what was asked; `code` says why.

    Attributes:
        code: The stable reason.
        role: Whose document it is about, where one is known or missing.
    """

    def __init__(self, code: Refusal, role: Role | None = None) -> None:
        super().__init__(code.value if role is None else f"{code.value}: {role.value}")
        self.code = code
        self.role = role


Envelope: TypeAlias = bytes | Mapping[str, Any]
"""A DSSE envelope: its JSON bytes, or what a JSON parser made of them."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """Approvals that suffice for the plan.

    Attributes:
        signers: Whose key signed, per role.
        expires: The earliest end among plan, documents and keys.
    """

    signers: Mapping[Role, OfficerKey]
    expires: datetime


@dataclass(frozen=True, slots=True)
class Releases:
    """Releases that suffice for the decision.

    Attributes:
        signers: Whose key signed, per role.
        checkpoints: The signed note of the log that each of the two saw.
        expires: The earliest end among plan, documents and keys.
    """

    signers: Mapping[Role, OfficerKey]
    checkpoints: Mapping[Role, str]
    expires: datetime


@dataclass(frozen=True, slots=True)
class Mandate:
    """Everything that a handover needs signed, checked.

    Attributes:
        expires: The earliest end of anything in it.
    """

    plan_hash: str
    decision: FrozenDecision
    approvals: Approvals
    releases: Releases
    expires: datetime


@dataclass(frozen=True, slots=True)
class _Check:
    """The fixed part of one check: the plan, its hash, the officers, the time."""

    plan: Plan
    plan_hash: str
    officers: Mapping[str, OfficerKey]
    now: datetime

    @classmethod
    def of(cls, plan: Plan, officers: Iterable[OfficerKey], now: datetime) -> _Check:
        if parse_instant(plan.expires) <= now:
            raise MandateRefused(Refusal.PLAN_EXPIRED)
        by_key = {officer.key_id: officer for officer in officers}
        return cls(plan, plan_hash(canonical_bytes(plan)), by_key, now)

    def opened(
        self, kind: type[Signed], payload_type: str, envelope: Envelope
    ) -> tuple[OfficerKey, Signed]:
        """Verify one envelope; give its officer and document.

        All keys take part in the verification, so that a revoked or a login key is
        refused for what it is.
        """
        keys = {key_id: officer.public_key for key_id, officer in self.officers.items()}
        try:
            signed = verify_envelope(envelope, keys, payload_type)
            document = parse_document(kind, signed.payload)
        except EnvelopeMalformed as exc:
            raise MandateRefused(Refusal.ENVELOPE_MALFORMED) from exc
        except EnvelopeUnverified as exc:
            raise MandateRefused(Refusal.SIGNATURE_INVALID) from exc
        except DocumentMalformed as exc:
            raise MandateRefused(Refusal.DOCUMENT_MALFORMED) from exc
        officer = self.officers[signed.keyid]
        self._check_key(officer)
        self._check_binding(document)
        return officer, document

    def _check_key(self, officer: OfficerKey) -> None:
        if officer.use != "sign":
            raise MandateRefused(Refusal.KEY_NOT_FOR_SIGNING, officer.role)
        if officer.revoked_at is not None:
            raise MandateRefused(Refusal.KEY_REVOKED, officer.role)
        if officer.expires_at is not None and officer.expires_at <= self.now:
            raise MandateRefused(Refusal.KEY_EXPIRED, officer.role)

    def _check_binding(self, document: Approval | Release) -> None:
        if document.installation != self.plan.installation:
            raise MandateRefused(Refusal.WRONG_INSTALLATION)
        if document.handover != self.plan.handover:
            raise MandateRefused(Refusal.WRONG_HANDOVER)
        if document.plan_hash != self.plan_hash:
            raise MandateRefused(Refusal.WRONG_PLAN)
        if parse_instant(document.expires) <= self.now:
            raise MandateRefused(Refusal.DOCUMENT_EXPIRED)

    def check_party(self, officer: OfficerKey, role: Role) -> None:
        parties = (self.plan.seller, self.plan.buyer)
        if role in SELLER_ROLES:
            fits = officer.party == self.plan.seller
        elif role in BUYER_ROLES:
            fits = officer.party == self.plan.buyer
        else:
            fits = officer.party not in parties  # a reviewer is of neither side
        if not fits:
            raise MandateRefused(Refusal.WRONG_PARTY, role)

    def may_act_as(self, officer: OfficerKey, role: Role) -> bool:
        """Tell whether the officer may sign in the role.

        In a small company one person holds all roles of its side.
        """
        if self.plan.profile is Profile.SMALL:
            sides = (SELLER_ROLES, BUYER_ROLES)
            if any(officer.role in side and role in side for side in sides):
                return True
        return officer.role is role

    def expiry(self, ends: Iterable[tuple[OfficerKey, Approval | Release]]) -> datetime:
        found = [parse_instant(self.plan.expires)]
        for officer, document in ends:
            found.append(parse_instant(document.expires))
            if officer.expires_at is not None:
                found.append(officer.expires_at)
        return min(found)


def check_approvals(
    plan: Plan,
    approvals: Sequence[Envelope],
    officers: Iterable[OfficerKey],
    now: datetime,
) -> Approvals:
    """Check that a plan is approved by those who must, and by nobody else.

    Standard profile: SO, SC, BO and BC by four persons, two a party, none of whom
    is the seller's operator (SR). Small profile: SO and SC may be one person, BO and
    BC too, and an independent PR of neither party approves as well.

    Raises:
        MandateRefused: With the stable code of the first rule that is broken.
    """
    return _approvals(_Check.of(plan, officers, now), approvals)


def _approvals(check: _Check, envelopes: Sequence[Envelope]) -> Approvals:
    needed = APPROVING[check.plan.profile]
    found: dict[Role, tuple[OfficerKey, Approval]] = {}
    for envelope in envelopes:
        officer, approval = check.opened(Approval, APPROVAL_TYPE, envelope)
        role = approval.role
        if approval.person != officer.person:
            raise MandateRefused(Refusal.WRONG_PERSON, role)
        if role not in needed or not check.may_act_as(officer, role):
            raise MandateRefused(Refusal.WRONG_ROLE, role)
        check.check_party(officer, role)
        if role in found:
            raise MandateRefused(Refusal.ROLE_TWICE, role)
        found[role] = (officer, approval)
    _require_all(needed, found)
    signers = {role: officer for role, (officer, _) in found.items()}
    _check_persons(check, signers.items())
    return Approvals(signers=signers, expires=check.expiry(found.values()))


def _require_all(needed: frozenset[Role], found: Mapping[Role, object]) -> None:
    for role in sorted(needed - set(found)):
        raise MandateRefused(Refusal.ROLE_MISSING, role)


def _check_persons(check: _Check, signers: Iterable[tuple[Role, OfficerKey]]) -> None:
    """Refuse a person in two roles that must be apart; roles may come repeatedly."""
    seats: dict[str, set[str]] = {}
    for role, officer in signers:
        seats.setdefault(officer.person, set()).add(_seat(check.plan.profile, role))
    if any(len(taken) > 1 for taken in seats.values()):
        raise MandateRefused(Refusal.PERSON_TWICE)
    if check.plan.profile is Profile.SMALL:
        return
    for officer in check.officers.values():
        drafts = officer.role is Role.SELLER_OPERATOR and officer.revoked_at is None
        if drafts and officer.person in seats:
            raise MandateRefused(Refusal.DRAFTER_SIGNS)


def _seat(profile: Profile, role: Role) -> str:
    # In a small company a whole side may be one person; otherwise each role is.
    if profile is Profile.SMALL and role in SELLER_ROLES:
        return "seller"
    if profile is Profile.SMALL and role in BUYER_ROLES:
        return "buyer"
    return role.value


def check_releases(
    plan: Plan,
    releases: Sequence[Envelope],
    officers: Iterable[OfficerKey],
    decision: FrozenDecision,
    now: datetime,
) -> Releases:
    """Check that both compliance officers release exactly this decision.

    Raises:
        MandateRefused: With the stable code of the first rule that is broken.
    """
    return _releases(_Check.of(plan, officers, now), releases, decision)


def _releases(
    check: _Check, envelopes: Sequence[Envelope], decision: FrozenDecision
) -> Releases:
    if check.plan.as_of not in (None, decision.as_of):
        raise MandateRefused(Refusal.WRONG_DAY)
    found: dict[Role, tuple[OfficerKey, Release]] = {}
    for envelope in envelopes:
        officer, release = check.opened(Release, RELEASE_TYPE, envelope)
        role = _releasing_role(check, officer)
        _check_decision(release, decision, role)
        if role in found:
            raise MandateRefused(Refusal.ROLE_TWICE, role)
        found[role] = (officer, release)
    _require_all(RELEASING, found)
    signers = {role: officer for role, (officer, _) in found.items()}
    _check_persons(check, signers.items())
    return Releases(
        signers=signers,
        checkpoints={role: doc.checkpoint for role, (_, doc) in found.items()},
        expires=check.expiry(found.values()),
    )


def _releasing_role(check: _Check, officer: OfficerKey) -> Role:
    # A release names no role: the officer table says whose it is.
    for role in sorted(RELEASING):
        if check.may_act_as(officer, role):
            check.check_party(officer, role)
            return role
    raise MandateRefused(Refusal.WRONG_ROLE, officer.role)


def _check_decision(release: Release, decision: FrozenDecision, role: Role) -> None:
    if release.snapshot_id != decision.snapshot_id:
        raise MandateRefused(Refusal.WRONG_SNAPSHOT, role)
    if release.decision_root != decision.decision_root:
        raise MandateRefused(Refusal.WRONG_DECISION, role)
    if release.counts != decision.counts:
        raise MandateRefused(Refusal.WRONG_COUNTS, role)
    if release.as_of != decision.as_of:
        raise MandateRefused(Refusal.WRONG_DAY, role)


def check_mandate(
    plan: Plan,
    approvals: Sequence[Envelope],
    releases: Sequence[Envelope],
    officers: Sequence[OfficerKey],
    decision: FrozenDecision,
    now: datetime,
) -> Mandate:
    """Check all signatures of a handover at once.

    Raises:
        MandateRefused: With the stable code of the first rule that is broken.
    """
    check = _Check.of(plan, officers, now)
    approved = _approvals(check, approvals)
    released = _releases(check, releases, decision)
    _check_persons(check, [*approved.signers.items(), *released.signers.items()])
    return Mandate(
        plan_hash=check.plan_hash,
        decision=decision,
        approvals=approved,
        releases=released,
        expires=min(approved.expires, released.expires),
    )
