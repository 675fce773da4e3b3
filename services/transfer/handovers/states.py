# SPDX-License-Identifier: Apache-2.0
"""The states of a handover by custody, as data: ways, roles, documents.

Owns which step leads where, who may take it and what must be signed with it; the
rules of taking it are in `steps`. States of the package way and of destruction are
not built and absent; `GATES_NOT_BUILT` names them. Source: transfer.md, State machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where a handover stands."""

    DRAFT = "draft"
    NECESSITY = "necessity"
    SCOPING = "scoping"
    PLANNING = "planning"
    REVIEW = "review"
    APPROVAL = "approval"
    FREEZE = "freeze"
    BACKUP = "backup"
    AWAIT_RELEASE = "await_release"
    EXECUTING = "executing"
    VERIFY = "verify"
    RECONCILED = "reconciled"
    POST_AUDIT = "post_audit"
    SELLER_RESTRICTED = "seller_restricted"
    DISPUTED = "disputed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Event(StrEnum):
    """What moves a handover; people's events are spelled as in their routes."""

    SUBMIT = "submit"
    CONFIRM = "confirm"
    PROPOSE = "propose"
    AGREE = "agree"
    READY = "ready"
    PASS = "pass"  # noqa: S105 - a step, no password
    CHANGES = "changes"
    REJECT = "reject"
    APPROVE = "approve"
    FREEZE = "freeze"
    BACK_UP = "back_up"
    RELEASE = "release"
    RECEIVE = "receive"
    CANCEL = "cancel"
    # The system's own: what the vault has done, or the clock.
    FROZEN = "frozen"
    BACKED_UP = "backed_up"
    MANDATED = "mandated"
    EXECUTED = "executed"
    VERIFIED = "verified"
    TURNED = "turned"
    DISPUTE = "dispute"
    WITHDRAWN = "withdrawn"
    EXPIRE = "expire"


class Actor(StrEnum):
    """Who takes a step: a person's role in this handover, or the system."""

    SO = "SO"
    SC = "SC"
    SR = "SR"
    BO = "BO"
    BC = "BC"
    PR = "PR"
    MO = "MO"
    SYS = "SYS"


class Kind(StrEnum):
    """What a signed document of a handover is."""

    NECESSITY = "necessity"
    SCOPE = "scope"
    OPINION = "opinion"
    APPROVAL = "approval"
    RELEASE = "release"
    RECEIPT = "receipt"
    AUDIT_REPORT = "audit_report"


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of a state, or a step within it.

    Attributes:
        to: The state it leads to; for a collected step, once all have taken it.
        by: Who may take it.
        signs: The document that must come with it.
        collects: Roles that must all take it, each once; empty for a single step.
        voids: Collected steps that count no more afterwards.
    """

    to: State
    by: frozenset[Actor]
    signs: Kind | None = None
    collects: frozenset[Actor] = frozenset()
    voids: frozenset[Event] = frozenset()


def _by(*actors: Actor) -> frozenset[Actor]:
    return frozenset(actors)


_SYS: Final = _by(Actor.SYS)
_SIDES: Final = _by(Actor.SO, Actor.SC, Actor.BO, Actor.BC)
OWNERS: Final = _by(Actor.SO, Actor.BO)
APPROVERS: Final = _SIDES
RELEASERS: Final = _by(Actor.SC, Actor.BC)
_DRAFTERS: Final = _by(Actor.SR, Actor.BC)
_APPROVALS: Final = frozenset({Event.APPROVE})

_EARLY_CANCEL: Final = {Event.CANCEL: Way(State.CANCELLED, _SIDES)}
_CANCEL: Final = {Event.CANCEL: Way(State.CANCELLING, _SIDES)}
_EXPIRE: Final = {Event.EXPIRE: Way(State.EXPIRED, _SYS)}
_DISPUTE: Final = {Event.DISPUTE: Way(State.DISPUTED, _SYS)}

TRANSITIONS: Final[Mapping[State, Mapping[Event, Way]]] = MappingProxyType(
    {
        State.DRAFT: {
            Event.SUBMIT: Way(State.NECESSITY, _by(Actor.SO)),
            **_EARLY_CANCEL,
        },
        State.NECESSITY: {
            Event.CONFIRM: Way(State.SCOPING, _by(Actor.SC), signs=Kind.NECESSITY),
            Event.REJECT: Way(State.REJECTED, _by(Actor.SC)),
            **_EARLY_CANCEL,
        },
        State.SCOPING: {
            Event.PROPOSE: Way(
                State.SCOPING, _DRAFTERS, voids=frozenset({Event.AGREE})
            ),
            Event.AGREE: Way(State.PLANNING, OWNERS, signs=Kind.SCOPE, collects=OWNERS),
            **_EARLY_CANCEL,
        },
        State.PLANNING: {
            Event.READY: Way(State.REVIEW, _DRAFTERS, voids=_APPROVALS),
            **_EARLY_CANCEL,
        },
        State.REVIEW: {
            Event.PASS: Way(State.APPROVAL, _by(Actor.PR), signs=Kind.OPINION),
            Event.CHANGES: Way(State.PLANNING, _by(Actor.PR), voids=_APPROVALS),
            Event.REJECT: Way(State.REJECTED, _by(Actor.PR)),
            **_EARLY_CANCEL,
            **_EXPIRE,
        },
        State.APPROVAL: {
            Event.APPROVE: Way(
                State.FREEZE, APPROVERS, signs=Kind.APPROVAL, collects=APPROVERS
            ),
            Event.CHANGES: Way(State.PLANNING, APPROVERS, voids=_APPROVALS),
            Event.REJECT: Way(State.REJECTED, APPROVERS),
            **_EARLY_CANCEL,
            **_EXPIRE,
        },
        State.FREEZE: {
            Event.FREEZE: Way(State.FREEZE, _by(Actor.SC)),
            Event.FROZEN: Way(State.BACKUP, _SYS),
            **_DISPUTE,
            **_CANCEL,
        },
        State.BACKUP: {
            Event.BACK_UP: Way(State.BACKUP, _by(Actor.SR)),
            Event.BACKED_UP: Way(State.AWAIT_RELEASE, _SYS),
            **_CANCEL,
        },
        State.AWAIT_RELEASE: {
            # The second release does not move on: the vault must accept it first.
            Event.RELEASE: Way(
                State.AWAIT_RELEASE,
                RELEASERS,
                signs=Kind.RELEASE,
                collects=RELEASERS,
            ),
            Event.MANDATED: Way(State.EXECUTING, _SYS),
            **_CANCEL,
        },
        State.EXECUTING: {
            Event.EXECUTED: Way(State.VERIFY, _SYS),
            **_DISPUTE,
            **_CANCEL,
        },
        State.VERIFY: {
            Event.VERIFIED: Way(State.VERIFY, _SYS),
            Event.RECEIVE: Way(State.RECONCILED, _by(Actor.BC), signs=Kind.RECEIPT),
            **_DISPUTE,
            **_CANCEL,
        },
        State.RECONCILED: {
            Event.TURNED: Way(State.POST_AUDIT, _SYS),
            **_CANCEL,
        },
        State.POST_AUDIT: {
            # Custody has turned, and the counts do not add up.
            **_DISPUTE,
            Event.PASS: Way(
                State.SELLER_RESTRICTED, _by(Actor.PR), signs=Kind.AUDIT_REPORT
            ),
            Event.REJECT: Way(State.DISPUTED, _by(Actor.PR), signs=Kind.AUDIT_REPORT),
        },
        # Before the turn a dispute ends by cancelling; after it, its way out (a
        # re-sent part, a reverse handover) is not built.
        State.DISPUTED: {**_CANCEL},
        State.CANCELLING: {
            Event.WITHDRAWN: Way(State.CANCELLED, _SYS),
            # The vault had already turned: cancelling came too late.
            Event.TURNED: Way(State.POST_AUDIT, _SYS),
        },
        State.SELLER_RESTRICTED: {},
        State.CANCELLED: {},
        State.REJECTED: {},
        State.EXPIRED: {},
    }
)

GATES_NOT_BUILT: Final = (
    "notice",
    "packaging",
    "delivery",
    "paused",
    "incident_hold",
    "partial",
    "no_successor",
    "destroying",
    "closed",
)
"""States of the design that this version has no way into; every report lists them."""


def ended(state: State) -> bool:
    """Whether no step leads on."""
    return not TRANSITIONS[state]
