# SPDX-License-Identifier: Apache-2.0
"""Why an access is refused. Denials are in the log before they are answered."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import problems
from contracts.problems import Fault
from contracts.purposes import GIVEN
from services.chassis.lanes import EventRef
from services.vault.errors import VaultError


class PurposeMissing(VaultError):  # noqa: N818 - a refusal, not a failure
    """The request names no purpose, and its caller has no default one."""

    problem = problems.PURPOSE_MISSING


class PurposeUnknown(VaultError):  # noqa: N818
    """The purpose is no term of the catalogue of purposes."""

    problem = problems.PURPOSE_UNKNOWN
    faults: Sequence[Fault] = (
        Fault(
            "/Keyturn-Purpose",
            "enum",
            f"must be of {', '.join(sorted(GIVEN))}",
            "header",
        ),
    )


class PurposeNotGiven(VaultError):  # noqa: N818
    """The purpose exists and was not given to this caller."""

    problem = problems.PURPOSE_NOT_GIVEN

    def __init__(self, event: EventRef) -> None:
        """Remember where the denial stands in the log."""
        super().__init__("The purpose was not given to this caller.")
        self.extra = {"reason": "purpose-not-given", "audit_event": str(event)}


class AccessRefused(VaultError):  # noqa: N818
    """Policy denies the access to a record of the caller's own party."""

    problem = problems.DENIED

    def __init__(self, reason: str, event: EventRef) -> None:
        """Remember the rule's id as `reason`, and where the denial stands."""
        super().__init__("Policy denies this access.")
        self.reason = reason
        self.extra = {"reason": reason, "audit_event": str(event)}


class QuotaSpent(VaultError):  # noqa: N818
    """The caller would be shown more distinct records today than it may be.

    Attributes:
        retry_after: Seconds until the next day of its party.
    """

    problem = problems.QUOTA_EXCEEDED

    def __init__(self, retry_after: int, event: EventRef | None = None) -> None:
        """Remember when it may ask again, and where the denial stands in the log."""
        super().__init__("The day's quota of distinct records is used up.")
        self.retry_after = retry_after
        self.extra = {} if event is None else {"audit_event": str(event)}


class AuditUnavailable(VaultError):  # noqa: N818
    """The access cannot be made durable in the journal: nothing is disclosed."""

    problem = problems.AUDIT_UNAVAILABLE


class Unsettled(VaultError):  # noqa: N818
    """The party's rules moved at each attempt; try again."""

    problem = problems.BUSY
