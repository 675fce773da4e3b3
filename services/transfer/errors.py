# SPDX-License-Identifier: Apache-2.0
"""Every error transfer raises on purpose; one root, the problem beside the cause.

No message carries a value of a request: errors reach logs and answers.
"""

from __future__ import annotations

from contracts import problems
from contracts.problems import Refusal


class TransferError(Refusal):
    """The root of transfer's typed errors; `problem` is what a caller is told."""

    problem = problems.INTERNAL


class HandoverNotFound(TransferError):  # noqa: N818 - a state, not a mistake
    """There is no such handover, or none that this caller may know of."""

    problem = problems.NOT_FOUND


class CursorInvalid(TransferError):  # noqa: N818
    """The cursor is none that a page of this listing gave."""

    problem = problems.CURSOR_INVALID


class StaleHandover(TransferError):  # noqa: N818
    """Somebody else moved the handover in between; read it again."""

    problem = problems.STATE_CONFLICT

    def __init__(self) -> None:
        super().__init__(extra={"reason": "stale"})


class StepNotAllowed(TransferError):  # noqa: N818
    """The handover does not allow this step in this state, or not yet."""

    problem = problems.STATE_CONFLICT

    def __init__(self, reason: str, state: str) -> None:
        super().__init__(extra={"reason": reason, "state": state})


class ActorDenied(TransferError):  # noqa: N818
    """This person may not take this step, in this role or at all."""

    problem = problems.DENIED

    def __init__(self, reason: str) -> None:
        super().__init__(extra={"reason": reason})


class SignatureRefused(TransferError):  # noqa: N818
    """A signed document is not by an enrolled signing key, or is malformed."""

    problem = problems.SIGNATURE_INVALID

    def __init__(self, reason: str) -> None:
        super().__init__(pointer="/document", extra={"reason": reason})


class MandateIncomplete(TransferError):  # noqa: N818
    """The signatures together do not authorise what comes next."""

    problem = problems.MANDATE_REFUSED

    def __init__(self, reason: str) -> None:
        super().__init__(extra={"reason": reason})


class BodyRefused(TransferError):  # noqa: N818
    """A member of the request does not fit this step of this handover."""

    problem = problems.VALIDATION

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(pointer=pointer, extra={"reason": reason})


class DemonstrationOnly(TransferError):  # noqa: N818
    """A plan fixes the day of its decision outside a demonstration."""

    problem = problems.DEMONSTRATION_ONLY

    def __init__(self) -> None:
        super().__init__(pointer="/plan/as_of")


class VaultError(TransferError):
    """Root of what calling the vault may come to."""

    problem = problems.UPSTREAM_UNAVAILABLE


class VaultUnavailable(VaultError):  # noqa: N818
    """The vault did not answer in time, is busy, or broke off; ask again."""


class VaultMalformed(VaultError):  # noqa: N818
    """The vault's answer is not of the agreed form, or too large."""


class VaultRefused(VaultError):  # noqa: N818
    """The vault answered with a problem; repeating the call changes nothing.

    Attributes:
        code: The problem's stable code.
        status: HTTP status.
        reason: The problem's `reason`, or the `state` it met, or empty.
    """

    problem = problems.STATE_CONFLICT

    def __init__(self, code: str, status: int, reason: str = "") -> None:
        super().__init__(extra={"vault_code": code, "reason": reason or code})
        self.code = code
        self.status = status
        self.reason = reason


class VaultMismatch(VaultError):  # noqa: N818
    """Two answers of the vault, or an answer and what was signed, do not agree."""

    problem = problems.STATE_CONFLICT

    def __init__(self, what: str) -> None:
        super().__init__(extra={"reason": what})
        self.what = what
