# SPDX-License-Identifier: Apache-2.0
"""What a log says of handovers: keys, plans, decisions, turns, papers filed, steps.

The vault's custody events and transfer's own. Pure: takes only entries that the signed
root covers; whoever calls it vouches for that. Judges nothing (`papers_check` does).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import ValidationError

from contracts.events.enrolment import OfficerEnrolled, OfficerRevoked
from contracts.events.envelope import Event
from contracts.events.payload import Payload
from contracts.events.transfer import DocumentFiled, HandoverAdvanced
from contracts.events.vault import (
    CustodyTurned,
    DecisionMade,
    MandateAccepted,
    PlanLodged,
)

_BY_SERVICE: Final[Mapping[str, tuple[type[Payload], ...]]] = {
    "vault": (
        OfficerEnrolled,
        OfficerRevoked,
        PlanLodged,
        DecisionMade,
        MandateAccepted,
        CustodyTurned,
    ),
    "transfer": (DocumentFiled, HandoverAdvanced),
}
_READ: Final[Mapping[tuple[str, str], type[Payload]]] = {
    (service, kind.TYPE): kind
    for service, kinds in _BY_SERVICE.items()
    for kind in kinds
}


class Enrolment(NamedTuple):
    """A signing key as the log enrolled it: role and party of its officer."""

    role: str
    party: str


class Filed(NamedTuple):
    """A signed document that the log says was filed, and the leaf that says so."""

    leaf: int
    document: DocumentFiled


class Stepped(NamedTuple):
    """A step of a handover, and when (RFC 3339) the log says it was taken."""

    time: str
    step: HandoverAdvanced


@dataclass(slots=True)
class HandoverEntries:
    """What the log says of one handover.

    Attributes:
        plans: Hashes of the plans lodged, in order.
        decisions: Decisions made, in order.
        mandates: Mandates accepted, with the time (RFC 3339) of each, in order.
        turned: The turn of custody, if it came to that.
        filed: Signed documents filed, in order.
        steps: Its steps; people's and the system's lie on two lanes, so in no order.
    """

    plans: list[str] = field(default_factory=list)
    decisions: list[DecisionMade] = field(default_factory=list)
    mandates: list[tuple[str, MandateAccepted]] = field(default_factory=list)
    turned: CustodyTurned | None = None
    filed: list[Filed] = field(default_factory=list)
    steps: list[Stepped] = field(default_factory=list)

    def binding_plans(self) -> Sequence[str]:
        """Return the hashes that a plan may have: after the turn, one alone."""
        return self.plans if self.turned is None else [self.turned.plan_hash]

    def binding_decisions(self) -> Sequence[DecisionMade]:
        """Return the decisions that may be shown: after the turn, the one turned."""
        if self.turned is None:
            return self.decisions
        root = self.turned.decision_root
        return [made for made in self.decisions if made.decision_root == root]


@dataclass(slots=True)
class Ledger:
    """What the log says of keys, plans, decisions and turns, papers and steps.

    Attributes:
        installation: Whose events count.
        keys: Enrolled signing keys by key id (hex SHA-256 of the raw key).
        revoked: When each revoked key first was, RFC 3339, by key id.
        handovers: By handover id.
        unreadable: Leaf indexes of such events that have another payload.
    """

    installation: str
    keys: dict[str, Enrolment] = field(default_factory=dict)
    revoked: dict[str, str] = field(default_factory=dict)
    handovers: dict[str, HandoverEntries] = field(default_factory=dict)
    unreadable: list[int] = field(default_factory=list)

    def add(self, index: int, event: Event) -> None:
        """Take an event of the log; a kind that is not its service's passes by."""
        kind = _READ.get((event.service, event.type))
        if kind is None:
            return
        if event.installation != self.installation:
            return
        members = {name: v for name, v in event.data.items() if name != "parties"}
        try:
            payload = kind.model_validate(members)
        except ValidationError:
            self.unreadable.append(index)
            return
        if isinstance(payload, OfficerEnrolled):
            self._enrol(payload, event)
        elif isinstance(payload, OfficerRevoked):
            self.revoked.setdefault(payload.key_id, event.time)
        else:
            self._hand(index, payload, event.time)

    def handover(self, handover: str) -> HandoverEntries:
        """Return what the log says of a handover; nothing where it knows none."""
        return self.handovers.get(handover, HandoverEntries())

    def _enrol(self, payload: OfficerEnrolled, event: Event) -> None:
        if payload.use == "sign" and event.parties:
            enrolment = Enrolment(payload.role, event.parties[0].party)
            self.keys[payload.key_id] = enrolment

    def _hand(self, index: int, payload: Payload, time: str) -> None:
        assert isinstance(
            payload,
            PlanLodged
            | DecisionMade
            | MandateAccepted
            | CustodyTurned
            | DocumentFiled
            | HandoverAdvanced,
        )
        entries = self.handovers.setdefault(payload.handover, HandoverEntries())
        match payload:
            case PlanLodged():
                entries.plans.append(payload.plan_hash)
            case DecisionMade():
                entries.decisions.append(payload)
            case MandateAccepted():
                entries.mandates.append((time, payload))
            case CustodyTurned():
                entries.turned = payload
            case DocumentFiled():
                entries.filed.append(Filed(index, payload))
            case HandoverAdvanced():
                entries.steps.append(Stepped(time, payload))
