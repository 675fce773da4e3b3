# SPDX-License-Identifier: Apache-2.0
"""How the records room refuses; never with a value in the message."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import problems
from contracts.problems import Fault
from services.vault.errors import VaultError


class RecordNotFound(VaultError):  # noqa: N818 - a state
    """There is no such record for this party: absent, foreign and pending alike."""

    problem = problems.NOT_FOUND


class RecordExists(VaultError):  # noqa: N818
    """The caller asked for a new record, and one has this external id."""

    problem = problems.ALREADY_EXISTS

    def __init__(self) -> None:
        """Leave room for the event that names the refusal in the log."""
        super().__init__("A record has this external id.")
        self.extra: dict[str, str] = {}


class EtagRequired(VaultError):  # noqa: N818
    """A change must name the state it was made from (`If-Match`)."""

    problem = problems.ETAG_REQUIRED


class EtagInvalid(VaultError):  # noqa: N818
    """`If-Match` is no ETag of this service, and no reading again would make it one."""

    problem = problems.VALIDATION
    faults: Sequence[Fault] = (
        Fault(
            "/If-Match",
            "etag",
            "must be one ETag as it was answered, in its double quotes; "
            "`*`, weak ones and lists are not taken",
            "header",
        ),
    )


class CursorInvalid(VaultError):  # noqa: N818
    """The cursor was altered, or belongs to another party or list."""

    problem = problems.CURSOR_INVALID


class RolledBack(VaultError):  # noqa: N818
    """Another item of an all-or-none batch was refused, so this one was not done."""

    problem = problems.ROLLED_BACK


class ContentRefused(VaultError):  # noqa: N818
    """A part of the content is not what it may be; names place and rule."""

    problem = problems.VALIDATION

    def __init__(self, pointer: str, code: str, msg: str) -> None:
        """Name the member of the request and the rule."""
        super().__init__(code)
        self.faults = (Fault(pointer, code, msg),)


class ClassUnknown(VaultError):  # noqa: N818
    """A class or field was named that the party's catalogue does not have."""

    problem = problems.FIELD_UNKNOWN

    def __init__(self, fault: Fault) -> None:
        """Name its place in the request."""
        super().__init__(fault.code)
        self.faults = (fault,)
