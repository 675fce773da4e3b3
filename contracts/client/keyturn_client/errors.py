# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N818 - the names say what an answer or a log is: refused, unreachable
"""Everything this client raises, one root.

No message and no `repr` holds a value that was sent, a token or a secret: services
never echo input, and what a client adds is codes, numbers and pointers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class KeyturnError(Exception):
    """Root of everything that this package raises."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes:
        where: `body`, `query`, `path` or `header`.
        pointer: JSON Pointer into it, as it was sent.
        code: Stable code of the rule.
        message: One sentence for a person.
    """

    where: str
    pointer: str
    code: str
    message: str


class Refused(KeyturnError):
    """A service answered with a problem (RFC 9457).

    Attributes:
        status: HTTP status.
        code: The problem's stable code, explained at `/problems/CODE`; empty where
            the answer came from something else, such as a proxy.
        reason: A closer reason, where there is one.
        faults: What is wrong with the request.
        audit_event: `<lane>/<seq>` of the event that records it, where one does.
        retry_after: Seconds that the service asks to wait, where it does.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        reason: str = "",
        faults: tuple[Fault, ...] = (),
        audit_event: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        places = ", ".join(f"{f.pointer} {f.code}" for f in faults)
        named = " ".join(filter(None, (code or "no problem", reason)))
        super().__init__(": ".join(filter(None, (f"{status} {named}", detail, places))))
        self.status = status
        self.code = code
        self.reason = reason
        self.faults = faults
        self.audit_event = audit_event
        self.retry_after = retry_after


class Unauthenticated(Refused):
    """401: credentials or token are not accepted, also not a fresh token."""


class Denied(Refused):
    """403: not for this client, purpose or view. The denial is in the log."""


class NotFound(Refused):
    """404 or 410: there is no such thing, or none that this party may know of."""


class Conflict(Refused):
    """409: the state of the thing does not allow it, such as `folio-frozen`."""


class Stale(Refused):
    """412: somebody changed the record since its ETag was read."""


class TooMany(Refused):
    """429: a quota is used up. Nothing was done."""


class Unavailable(Refused):
    """502, 503 or 504: not now. `audit-unavailable`: nothing was disclosed."""


BY_STATUS: Final[dict[int, type[Refused]]] = {
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Stale,
    429: TooMany,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class Unreachable(KeyturnError):
    """No answer came, or not all of it.

    Attributes:
        maybe_done: False if the request never left; True if it may have been done.
    """

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class AnswerMalformed(KeyturnError):
    """A successful answer, or an event of a stream, is not what its contract says."""


class CredentialsUnusable(KeyturnError):
    """A credentials file is missing, open to others, or no credentials file."""


class LogUntrusted(KeyturnError):
    """What the log shows cannot be believed. Treat it as an attack until explained."""


class ProofWrong(LogUntrusted):
    """A proof does not show that the log holds these bytes."""


class LogRewritten(LogUntrusted):
    """The log shrank or forked since the checkpoint that was seen before."""


class PinUnusable(KeyturnError):
    """The file of the last checkpoint is damaged. Restore it; do not delete it."""


def refusal(
    status: int, problem: Any, *, audit_event: str | None, retry_after: float | None
) -> Refused:
    """Return the error of an answer; `problem` is its JSON, None if it has none."""
    members = problem if isinstance(problem, dict) else {}
    code = _text(members, "code", 64)
    return BY_STATUS.get(status, Refused)(
        status,
        code,
        _text(members, "detail", 600) if code else "the answer explains nothing",
        reason=_text(members, "reason", 64),
        faults=faults_of(members.get("errors")),
        audit_event=audit_event or _text(members, "audit_event", 64) or None,
        retry_after=retry_after,
    )


def faults_of(errors: Any) -> tuple[Fault, ...]:
    """Return the faults in a problem's `errors`; what is none is left out."""
    listed = errors if isinstance(errors, list) else []
    return tuple(
        Fault(
            _text(one, "in", 16),
            _text(one, "pointer", 256),
            _text(one, "code", 64),
            _text(one, "msg", 256),
        )
        for one in listed
        if isinstance(one, dict)
    )


def _text(members: dict[str, Any], name: str, longest: int) -> str:
    value = members.get(name)
    return value[:longest] if isinstance(value, str) else ""
