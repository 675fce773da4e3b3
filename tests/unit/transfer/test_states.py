# SPDX-License-Identifier: Apache-2.0
"""The handover's invariants, searched for a counterexample (transfer.md)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.transfer.handovers.states import (
    APPROVERS,
    GATES_NOT_BUILT,
    OWNERS,
    RELEASERS,
    TRANSITIONS,
    Actor,
    Event,
    State,
    ended,
)
from services.transfer.handovers.steps import (
    Act,
    Fault,
    Position,
    StepRefused,
    VaultStep,
    advance,
    next_vault_step,
    replay,
    waiting_for,
)

#: Every person once; the drafter's second chair is what must never work.
PEOPLE = {
    Actor.SO: "so",
    Actor.SC: "sc",
    Actor.SR: "sr",
    Actor.BO: "bo",
    Actor.BC: "bc",
    Actor.PR: "pr",
}
SYSTEM = {Event.FROZEN, Event.BACKED_UP, Event.MANDATED, Event.EXECUTED}
SYSTEM |= {Event.VERIFIED, Event.TURNED, Event.DISPUTE, Event.WITHDRAWN, Event.EXPIRE}


def act(event: Event, role: Actor) -> Act:
    return Act(event, role, PEOPLE.get(role, ""))


TO_REVIEW = (
    act(Event.SUBMIT, Actor.SO),
    act(Event.CONFIRM, Actor.SC),
    act(Event.PROPOSE, Actor.SR),
    act(Event.AGREE, Actor.SO),
    act(Event.AGREE, Actor.BO),
    act(Event.READY, Actor.SR),
)
TO_APPROVAL = (*TO_REVIEW, act(Event.PASS, Actor.PR))
TO_FREEZE = (
    *TO_APPROVAL,
    *(act(Event.APPROVE, role) for role in (Actor.SO, Actor.SC, Actor.BO, Actor.BC)),
)
TO_RELEASE = (
    *TO_FREEZE,
    act(Event.FREEZE, Actor.SC),
    act(Event.FROZEN, Actor.SYS),
    act(Event.BACK_UP, Actor.SR),
    act(Event.BACKED_UP, Actor.SYS),
)
WHOLE_WAY = (
    *TO_RELEASE,
    act(Event.RELEASE, Actor.SC),
    act(Event.RELEASE, Actor.BC),
    act(Event.MANDATED, Actor.SYS),
    act(Event.EXECUTED, Actor.SYS),
    act(Event.VERIFIED, Actor.SYS),
    act(Event.RECEIVE, Actor.BC),
    act(Event.TURNED, Actor.SYS),
    act(Event.PASS, Actor.PR),
)


def refused(position: Position, step: Act) -> Fault:
    with pytest.raises(StepRefused) as caught:
        advance(position, step)
    return caught.value.fault


def test_whole_way_ends_at_seller_restricted_with_dense_steps() -> None:
    position = replay(WHOLE_WAY)
    assert position.state is State.SELLER_RESTRICTED
    assert position.step == len(WHOLE_WAY)
    assert position.turned


def test_every_state_is_reachable_or_a_start_and_no_unbuilt_one_is_present() -> None:
    targets = {way.to for ways in TRANSITIONS.values() for way in ways.values()}
    assert set(State) - targets == {State.DRAFT}
    assert set(TRANSITIONS) == set(State)
    assert not {state.value for state in State} & set(GATES_NOT_BUILT)


def test_three_approvals_of_four_freeze_nothing() -> None:
    assert replay(TO_FREEZE[:-1]).state is State.APPROVAL
    assert replay(TO_FREEZE).state is State.FREEZE


def test_an_edit_after_signing_voids_every_approval() -> None:
    position = replay(TO_FREEZE[:-1])
    position = advance(position, act(Event.CHANGES, Actor.BC))
    assert not position.has(Event.APPROVE, frozenset({Actor.SO}))
    for step in (act(Event.READY, Actor.SR), act(Event.PASS, Actor.PR)):
        position = advance(position, step)
    position = advance(position, act(Event.APPROVE, Actor.BC))
    assert position.state is State.APPROVAL


def test_a_new_proposal_voids_the_owner_s_agreement_to_the_old_one() -> None:
    position = replay(TO_REVIEW[:4])
    position = advance(position, act(Event.PROPOSE, Actor.BC))
    position = advance(position, act(Event.AGREE, Actor.BO))
    assert position.state is State.SCOPING


def test_whoever_drafted_the_plan_does_not_approve_it() -> None:
    drafted = (*TO_REVIEW[:-1], act(Event.READY, Actor.BC), TO_APPROVAL[-1])
    assert refused(replay(drafted), act(Event.APPROVE, Actor.BC)) is Fault.DRAFTER
    other = Act(Event.APPROVE, Actor.BC, "bc-2")
    assert advance(replay(drafted), other).state is State.APPROVAL
    assert refused(replay(drafted), act(Event.APPROVE, Actor.SR)) is Fault.ROLE


def test_one_person_takes_one_role_per_handover() -> None:
    twice = Act(Event.APPROVE, Actor.SC, PEOPLE[Actor.SO])
    assert refused(replay(TO_APPROVAL), twice) is Fault.PERSON


def test_nobody_approves_or_releases_twice() -> None:
    position = advance(replay(TO_APPROVAL), act(Event.APPROVE, Actor.SO))
    assert refused(position, act(Event.APPROVE, Actor.SO)) is Fault.TWICE
    position = advance(replay(TO_RELEASE), act(Event.RELEASE, Actor.SC))
    assert refused(position, act(Event.RELEASE, Actor.SC)) is Fault.TWICE


def test_the_vault_is_driven_only_after_the_person_s_word() -> None:
    position = replay(TO_FREEZE)
    assert next_vault_step(position) is None
    assert refused(position, act(Event.FROZEN, Actor.SYS)) is Fault.NOT_ASKED
    asked = advance(position, act(Event.FREEZE, Actor.SC))
    assert next_vault_step(asked) is VaultStep.FREEZE
    frozen = advance(asked, act(Event.FROZEN, Actor.SYS))
    assert next_vault_step(frozen) is None  # the word for the freeze starts no backup


def test_the_buyer_receives_only_what_was_verified() -> None:
    position = replay(WHOLE_WAY[: WHOLE_WAY.index(act(Event.VERIFIED, Actor.SYS))])
    assert refused(position, act(Event.RECEIVE, Actor.BC)) is Fault.UNVERIFIED


def test_cancelling_is_possible_until_the_turn_and_never_after() -> None:
    for length in range(len(WHOLE_WAY) + 1):
        position = replay(WHOLE_WAY[:length])
        step = act(Event.CANCEL, Actor.BO)
        if position.turned:
            assert refused(position, step) is Fault.STATE
        else:
            to = advance(position, step).state
            assert to in {State.CANCELLED, State.CANCELLING}
    disputed = replay((*WHOLE_WAY[:-1], act(Event.REJECT, Actor.PR)))
    assert refused(disputed, act(Event.CANCEL, Actor.SO)) is Fault.TURNED


def test_a_cancel_that_comes_after_the_vault_turned_tells_the_truth() -> None:
    cancelling = replay((*WHOLE_WAY[:-2], act(Event.CANCEL, Actor.SO)))
    assert cancelling.state is State.CANCELLING
    late = advance(cancelling, act(Event.TURNED, Actor.SYS))
    assert late.state is State.POST_AUDIT


def test_waiting_for_names_who_has_not_signed_yet() -> None:
    position = advance(replay(TO_APPROVAL), act(Event.APPROVE, Actor.SO))
    assert waiting_for(position) == {Actor.SC, Actor.BO, Actor.BC}
    assert waiting_for(replay(TO_REVIEW[:2])) == {Actor.SR, Actor.BC}
    assert waiting_for(replay(WHOLE_WAY)) == frozenset()


@given(st.lists(st.tuples(st.sampled_from(Event), st.sampled_from(Actor))))
@settings(max_examples=200, deadline=None)
def test_no_order_of_steps_turns_custody_without_six_signatures(
    tries: list[tuple[Event, Actor]],
) -> None:
    position = Position()
    for event, role in tries:
        try:
            position = advance(position, act(event, role))
        except StepRefused:
            continue
    if position.turned:
        assert position.has(Event.APPROVE, APPROVERS)
        assert position.has(Event.RELEASE, RELEASERS)


class Runner(RuleBasedStateMachine):
    """Anybody tries anything, at any time, under any name."""

    def __init__(self) -> None:
        super().__init__()
        self.position = Position()
        self.acts: list[Act] = []

    def attempt(self, step: Act) -> None:
        try:
            after = advance(self.position, step)
        except StepRefused:
            return
        assert step.actor is Actor.SYS or step.actor is not Actor.MO
        assert after.step == self.position.step + 1
        self.position = after
        self.acts.append(step)

    @rule(event=st.sampled_from(Event), role=st.sampled_from(Actor))
    def own_chair(self, event: Event, role: Actor) -> None:
        self.attempt(act(event, role))

    @rule(
        event=st.sampled_from(Event),
        role=st.sampled_from(sorted(PEOPLE)),
        person=st.sampled_from(sorted(PEOPLE.values())),
    )
    def foreign_chair(self, event: Event, role: Actor, person: str) -> None:
        self.attempt(Act(event, role, person))

    @precondition(lambda self: not ended(self.position.state))
    @rule(data=st.data())
    def an_allowed_step(self, data: st.DataObject) -> None:
        ways = TRANSITIONS[self.position.state]
        stops = {Event.CANCEL, Event.REJECT, Event.EXPIRE, Event.DISPUTE}
        event = data.draw(
            st.sampled_from([e for e in ways if e not in stops] or [*ways])
        )
        role = data.draw(st.sampled_from(sorted(ways[event].by)))
        self.attempt(act(event, role))

    @invariant()
    def replaying_the_events_rebuilds_the_same_state(self) -> None:
        assert replay(self.acts) == self.position

    @invariant()
    def a_step_has_one_owner_people_or_the_system(self) -> None:
        owners = waiting_for(self.position)
        if ended(self.position.state):
            assert not owners
        if next_vault_step(self.position) is not None:
            assert owners == {Actor.SYS}
        else:
            assert Actor.SYS not in owners

    @invariant()
    def a_person_has_one_role(self) -> None:
        people = [person for person, _role in self.position.seats]
        assert len(people) == len(set(people))

    @invariant()
    def nothing_is_frozen_without_four_approvals_and_two_agreements(self) -> None:
        if any(step.event is Event.FROZEN for step in self.acts):
            assert self.position.has(Event.APPROVE, APPROVERS)
            assert self.position.has(Event.AGREE, OWNERS)
            assert ("sr", Actor.SO) not in self.position.seats

    @invariant()
    def the_drafter_of_the_plan_never_approved_it(self) -> None:
        last_ready = max(
            (i for i, step in enumerate(self.acts) if step.event is Event.READY),
            default=0,
        )
        for step in self.acts[last_ready:]:
            if step.event is Event.APPROVE:
                assert step.person != self.position.drafter

    @invariant()
    def a_cancelled_handover_has_not_turned(self) -> None:
        if self.position.state in {State.CANCELLED, State.REJECTED, State.EXPIRED}:
            assert not self.position.turned


Runner.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None
)
TestRunner = Runner.TestCase
