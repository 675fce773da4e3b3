# SPDX-License-Identifier: Apache-2.0
"""How the mandate room refuses. Codes and ids only; nothing of a document is echoed."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import problems
from contracts.custody.mandate import MandateRefused as SignaturesRefused
from contracts.problems import Fault
from services.chassis.lanes import EventRef
from services.vault.errors import VaultError


class HandoverUnknown(VaultError):  # noqa: N818 - a state, not a failure
    """No plan of this handover is lodged, or the caller's party has no part in it."""

    problem = problems.NOT_FOUND


class BatchUnknown(VaultError):  # noqa: N818
    """The decision has no batch of this number."""

    problem = problems.NOT_FOUND


class CollisionUnknown(VaultError):  # noqa: N818
    """The handover has no collision at this position."""

    problem = problems.NOT_FOUND


class KeepUnknown(VaultError):  # noqa: N818
    """The record to keep is none of the two that collide."""

    problem = problems.VALIDATION

    def __init__(self) -> None:
        """Name the member."""
        super().__init__("The record to keep is none of the two.")
        self.faults = (Fault("/keep", "unknown", "is none of the two records"),)


class BothNumbered(VaultError):  # noqa: N818
    """Both records have a number in the party's CRM: one would be lost by a merge."""

    problem = problems.STATE_CONFLICT

    def __init__(self) -> None:
        """Say which state is in the way."""
        super().__init__("Both records have an external id.")
        self.extra = {"state": "both-numbered"}


class PlanMalformed(VaultError):  # noqa: N818
    """The bytes are not a canonical plan, or not the plan of this address."""

    problem = problems.VALIDATION

    def __init__(self, code: str, rule: str = "") -> None:
        """Remember which rule it breaks; both are constants or names of members."""
        super().__init__(f"The plan is refused ({code}).")
        self.faults = (Fault("", code, rule or "is not what a plan must be"),)
        self.extra = {"reason": code}


class PlanRefused(VaultError):  # noqa: N818
    """The plan is well-formed, and this vault cannot carry it out."""

    problem = problems.PLAN_REFUSED

    def __init__(self, reason: str, missing: Sequence[str] = ()) -> None:
        """Remember why; `missing` names fields of the seller by `class.field`."""
        super().__init__(f"The plan is refused ({reason}).")
        self.extra = {"reason": reason} | (
            {"missing": list(missing)} if missing else {}
        )


class AsOfRefused(VaultError):  # noqa: N818
    """Only a demonstration may name the day of its decision."""

    problem = problems.DEMONSTRATION_ONLY


class WrongState(VaultError):  # noqa: N818
    """The handover's state does not allow this step."""

    problem = problems.STATE_CONFLICT

    def __init__(self, state: str) -> None:
        """Remember the state it is in."""
        super().__init__(f"Not possible in the state {state}.")
        self.extra = {"state": state}


class MandateRefused(VaultError):  # noqa: N818
    """The signatures do not authorise the step."""

    problem = problems.MANDATE_REFUSED

    def __init__(self, refused: SignaturesRefused, event: EventRef) -> None:
        """Keep the stable reason, the role where one is known, and the event."""
        super().__init__(f"The mandate is refused ({refused.code.value}).")
        self.reason = refused.code.value
        self.event = event
        role = {} if refused.role is None else {"role": refused.role.value}
        told = {"reason": refused.code.value, "audit_event": str(event)}
        self.extra = told | role


class BatchDiffers(VaultError):  # noqa: N818
    """The digest is not that of the batch."""

    problem = problems.BATCH_DIGEST_MISMATCH


class TurnRefused(VaultError):  # noqa: N818
    """Custody cannot turn; `reason` says what is missing."""

    problem = problems.TURN_REFUSED

    def __init__(self, reason: str, event: EventRef | None = None) -> None:
        """Remember the code of the reason, and the event where signatures failed."""
        super().__init__(f"The turn is refused ({reason}).")
        named = {} if event is None else {"audit_event": str(event)}
        self.extra = {"reason": reason} | named


class NotReconciled(VaultError):  # noqa: N818
    """What was prepared is not what was decided: an alarm, never a turn."""

    problem = problems.NOT_RECONCILED
    alarm = True


class Overtaken(VaultError):  # noqa: N818
    """Something changed between preparation and transaction; it is tried again."""

    problem = problems.BUSY


class CursorRefused(VaultError):  # noqa: N818
    """The cursor is not one of this list."""

    problem = problems.CURSOR_INVALID
