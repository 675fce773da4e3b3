# SPDX-License-Identifier: Apache-2.0
"""The errors of audit, one root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from contracts import problems
from contracts.problems import Fault, Problem


class AuditError(Exception):
    """Root of what audit tells its callers."""

    problem: ClassVar[Problem] = problems.INTERNAL


class LogConflict(AuditError):  # noqa: N818 - it names what happened
    """The stored checkpoint is not the one this process wrote: another sequencer."""


class LogBehindTiles(AuditError):  # noqa: N818
    """The database is older than the published tiles; the start is refused."""


class LogDamaged(AuditError):  # noqa: N818
    """Published log and database contradict each other; `fsck` names where."""


class EventNotFound(AuditError):  # noqa: N818
    """No such event under the published checkpoint, or not the caller's to see."""

    problem = problems.NOT_FOUND


class LeafNotFound(EventNotFound):
    """A lane has no such event: absent, foreign or not integrated yet, all alike."""

    faults: Sequence[Fault] = (
        Fault(
            "/seq",
            "no_event",
            "is no event of yours; one just committed appears within seconds",
            "path",
        ),
    )


class SourcesMalformed(AuditError):  # noqa: N818
    """`sources.json` is missing or not what `init` wrote."""
