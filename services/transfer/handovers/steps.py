# SPDX-License-Identifier: Apache-2.0
"""The rules of a handover's steps: pure functions of what was done so far.

Owns the guards, the collecting of signatures and what voids them, and what the
system owes next. The acts are the evidence: replaying them gives the position again.
Source: transfer.md, State machine and its invariants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from services.transfer.handovers.states import (
    RELEASERS,
    TRANSITIONS,
    Actor,
    Event,
    State,
    Way,
)


class Fault(StrEnum):
    """Why a step is refused; stable codes of the API."""

    STATE = "state"
    ROLE = "role"
    PERSON = "person"
    TWICE = "twice"
    DRAFTER = "drafter"
    NO_SCOPE = "no-scope"
    NOT_ASKED = "not-asked"
    RELEASES_MISSING = "releases-missing"
    UNVERIFIED = "unverified"
    TURNED = "turned"


class StepRefused(Exception):  # noqa: N818 - an answer, not a failure
    """The handover does not allow this step now, or not by this person."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Act:
    """One step as it was asked for.

    Attributes:
        person: Alias of the person in this handover; empty for the system.
    """

    event: Event
    actor: Actor
    person: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """All that decides the next step; rebuilt exactly by replaying the acts.

    Attributes:
        step: Number of acts so far, dense from 1.
        seats: Role of each person who acted: one person, one role.
        collected: The steps of roles that count now.
        drafter: Who wrote the plan that is being signed.
        proposed: A scope lies on the table.
        asked: The person whose word the vault's step needs has given it.
        verified: Every batch was verified.
        turned: Custody has turned; nothing before it can come back.
    """

    state: State = State.DRAFT
    step: int = 0
    seats: frozenset[tuple[str, Actor]] = frozenset()
    collected: frozenset[tuple[Event, Actor]] = frozenset()
    drafter: str = ""
    proposed: bool = False
    asked: bool = False
    verified: bool = False
    turned: bool = False

    def has(self, event: Event, roles: frozenset[Actor]) -> bool:
        """Whether all these roles have taken a collected step that still counts."""
        return roles <= {actor for done, actor in self.collected if done is event}


def way(state: State, event: Event) -> Way:
    """Return the way of an event out of a state.

    Raises:
        StepRefused: `state`, if there is none.
    """
    found = TRANSITIONS[state].get(event)
    if found is None:
        raise StepRefused(Fault.STATE)
    return found


def advance(position: Position, act: Act) -> Position:
    """Return the position after one step.

    Raises:
        StepRefused: With the first rule that forbids it.
    """
    taken = way(position.state, act.event)
    if act.actor not in taken.by:
        raise StepRefused(Fault.ROLE)
    _check_seat(position, act)
    if taken.collects and (act.event, act.actor) in position.collected:
        raise StepRefused(Fault.TWICE)
    _guard(position, act)
    collected = frozenset(c for c in position.collected if c[0] not in taken.voids)
    if taken.collects:
        collected |= {(act.event, act.actor)}
    complete = taken.collects <= {a for e, a in collected if e is act.event}
    to = taken.to if complete else position.state
    seats = position.seats
    if act.actor is not Actor.SYS:
        seats |= {(act.person, act.actor)}
    stepped = replace(
        position,
        state=to,
        step=position.step + 1,
        seats=seats,
        collected=collected,
        asked=position.asked and to is position.state,
    )
    return _marked(stepped, act)


def replay(acts: Iterable[Act]) -> Position:
    """Return the position that these acts lead to, from a new draft.

    Raises:
        StepRefused: One of them was not allowed.
    """
    position = Position()
    for act in acts:
        position = advance(position, act)
    return position


def _check_seat(position: Position, act: Act) -> None:
    if act.actor is Actor.SYS:
        return
    for person, role in position.seats:
        if person == act.person and role is not act.actor:
            raise StepRefused(Fault.PERSON)


def _guard(position: Position, act: Act) -> None:  # noqa: C901 - one row an event
    """Refuse a step whose condition does not hold yet."""
    match act.event:
        case Event.AGREE:
            _require(position.proposed, Fault.NO_SCOPE)
        case Event.APPROVE:
            _require(act.person != position.drafter, Fault.DRAFTER)
        case Event.FROZEN | Event.BACKED_UP:
            _require(position.asked, Fault.NOT_ASKED)
        case Event.MANDATED:
            _require(position.has(Event.RELEASE, RELEASERS), Fault.RELEASES_MISSING)
        case Event.RECEIVE:
            _require(position.verified, Fault.UNVERIFIED)
        case Event.VERIFIED:
            _require(not position.verified, Fault.TWICE)
        case Event.CANCEL:
            _require(not position.turned, Fault.TURNED)
        case (
            Event.SUBMIT
            | Event.CONFIRM
            | Event.PROPOSE
            | Event.READY
            | Event.PASS
            | Event.CHANGES
            | Event.REJECT
            | Event.FREEZE
            | Event.BACK_UP
            | Event.RELEASE
            | Event.EXECUTED
            | Event.TURNED
            | Event.DISPUTE
            | Event.WITHDRAWN
            | Event.EXPIRE
        ):
            return
        case _ as never:
            assert_never(never)


def _marked(position: Position, act: Act) -> Position:
    """Return the position with what this event leaves behind."""
    match act.event:
        case Event.PROPOSE:
            return replace(position, proposed=True)
        case Event.READY:
            return replace(position, drafter=act.person)
        case Event.FREEZE | Event.BACK_UP:
            return replace(position, asked=True)
        case Event.VERIFIED:
            return replace(position, verified=True)
        case Event.TURNED:
            return replace(position, turned=True)
        case _:
            return position


def _require(holds: bool, fault: Fault) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise StepRefused(fault)


class VaultStep(StrEnum):
    """What the system has to do next, by itself."""

    FREEZE = "freeze"
    BACKUP = "backup"
    MANDATE = "mandate"
    EXECUTE = "execute"
    VERIFY = "verify"
    TURN = "turn"
    CANCEL = "cancel"


def next_vault_step(  # noqa: C901 - one row a state
    position: Position,
) -> VaultStep | None:
    """Return the step that the vault owes this handover; None: it waits for people.

    A restart asks this again: what to do next stands in the row and nowhere else.
    """
    match position.state:
        case State.FREEZE:
            return VaultStep.FREEZE if position.asked else None
        case State.BACKUP:
            return VaultStep.BACKUP if position.asked else None
        case State.AWAIT_RELEASE:
            ready = position.has(Event.RELEASE, RELEASERS)
            return VaultStep.MANDATE if ready else None
        case State.EXECUTING:
            return VaultStep.EXECUTE
        case State.VERIFY:
            return None if position.verified else VaultStep.VERIFY
        case State.RECONCILED:
            return VaultStep.TURN
        case State.CANCELLING:
            return VaultStep.CANCEL
        case (
            State.DRAFT
            | State.NECESSITY
            | State.SCOPING
            | State.PLANNING
            | State.REVIEW
            | State.APPROVAL
            | State.POST_AUDIT
            | State.SELLER_RESTRICTED
            | State.DISPUTED
            | State.CANCELLED
            | State.REJECTED
            | State.EXPIRED
        ):
            return None
        case _ as never:
            assert_never(never)


def waiting_for(position: Position) -> frozenset[Actor]:
    """Return the roles whose word the handover waits for; SYS where it is at work.

    Steps that stop a handover (cancel, reject) are open to more people than this.
    """
    if next_vault_step(position) is not None:
        return frozenset({Actor.SYS})
    stops = {Event.CANCEL, Event.REJECT, Event.CHANGES, Event.DISPUTE, Event.EXPIRE}
    waiting: set[Actor] = set()
    for event, found in TRANSITIONS[position.state].items():
        if event in stops or (event is Event.AGREE and not position.proposed):
            continue
        taken = {actor for done, actor in position.collected if done is event}
        waiting |= found.by - taken - {Actor.SYS}
    return frozenset(waiting)
