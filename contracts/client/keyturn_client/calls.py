# SPDX-License-Identifier: Apache-2.0
"""A call and its answer as values: what is sent, and how the answer is read.

Everything about an operation stands in its `Call`; whoever sends it, blocking or
awaited, knows no operation. Owns no connection and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from keyturn_client.errors import AnswerMalformed, refusal

T = TypeVar("T")


class Service(StrEnum):
    """Who is called."""

    VAULT = "vault"
    TRANSFER = "transfer"
    AUDIT = "audit"


class PathTail(str):
    """A value that spans several segments of a path: its slashes stay."""

    __slots__ = ()


def json_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer.

    Raises:
        AnswerMalformed: It is none.
    """
    try:
        return answer.json()
    except (ValueError, RecursionError):
        # `from None`: the cause would carry the text, and with it a record.
        raise AnswerMalformed("the answer is no JSON") from None


def bytes_of(answer: httpx.Response) -> bytes:
    """Return the exact bytes of an answer."""
    return answer.content


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request to one operation. Its `repr` shows no value that is sent.

    Attributes:
        operation: The operation id in the OpenAPI document of `service`.
        template: The operation's path, with its parameters in braces.
        path: The path with their values.
        repeatable: Whether sending it twice does no more than once: it reads, puts,
            or carries an idempotency key. Nothing else is ever sent twice when it
            may have been done.
        read: Makes the body of a successful answer from it.
    """

    service: Service
    operation: str
    method: str
    template: str
    path: str = field(repr=False)
    read: Callable[[httpx.Response], T] = field(repr=False)
    repeatable: bool
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(default=None, repr=False)

    def request(
        self,
        http: httpx.Client | httpx.AsyncClient,
        origin: str,
        timeout: httpx.Timeout | None = None,
    ) -> httpx.Request:
        """Return the request to send; the same at each try."""
        return http.build_request(
            self.method,
            f"{origin}{self.path}",
            params=self.query or None,
            headers=dict(self.headers),
            json=self.body,
            timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
        )


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a service answered. Its `repr` shows nothing of the body.

    Attributes:
        body: The answer's content, typed as its operation says.
        status: HTTP status.
        audit_event: `<lane>/<seq>` of the event that records this call in the log;
            None where none does. `log.prove` proves it.
        etag: The record's version, in quotes, for a patch.
        replayed: Whether this is the answer of an earlier try under the same key.
    """

    body: T = field(repr=False)
    status: int
    audit_event: str | None = None
    etag: str | None = None
    replayed: bool = False


def make(  # noqa: PLR0913 - the parts of a request
    service: Service,
    operation: str,
    method: str,
    template: str,
    *,
    read: Callable[[httpx.Response], T],
    place: Mapping[str, str | int] | None = None,
    query: Mapping[str, str | int | None] | None = None,
    headers: Mapping[str, str | None] | None = None,
    body: Any = None,
    repeatable: bool | None = None,
) -> Call[T]:
    """Return a call; members that are None are left out.

    Args:
        service: Who is called.
        operation: Operation id.
        method: HTTP method.
        template: Path with its parameters in braces.
        read: Makes the body of the answer.
        place: Values of the path's parameters. Never a personal value.
        query: Query parameters. Never a personal value.
        headers: Header fields.
        body: JSON to send.
        repeatable: By default GET and PUT are.
    """
    parts = {name: _spelled(value) for name, value in (place or {}).items()}
    return Call(
        service=service,
        operation=operation,
        method=method,
        template=template,
        path=template.format_map(parts),
        read=read,
        repeatable=method in {"GET", "PUT"} if repeatable is None else repeatable,
        query=_given(query or {}),
        headers=_given(headers or {}),
        body=body,
    )


def answer_of(call: Call[T], sent: httpx.Response) -> Answer[T]:
    """Return the answer of a call whose body was read.

    Raises:
        Refused: The service refuses; the class says how.
        AnswerMalformed: It is not what the contract says.
    """
    check(sent)
    return Answer(
        body=call.read(sent),
        status=sent.status_code,
        audit_event=sent.headers.get("Audit-Event"),
        etag=sent.headers.get("ETag"),
        replayed=sent.headers.get("Idempotency-Replayed") == "true",
    )


def check(sent: httpx.Response) -> None:
    """Let a successful answer pass. Raises Refused; its body must have been read."""
    if sent.is_success:
        return
    try:
        problem = sent.json()
    except (ValueError, RecursionError):
        problem = None
    raise refusal(
        sent.status_code,
        problem,
        audit_event=sent.headers.get("Audit-Event"),
        retry_after=_seconds(sent.headers.get("Retry-After")),
    )


def _spelled(value: str | int) -> str:
    return quote(str(value), safe="/" if isinstance(value, PathTail) else "")


def _seconds(header: str | None) -> float | None:
    # The date form of RFC 9110 §10.2.3 is not used by these services.
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return float(header[:6])


def _given(members: Mapping[str, str | int | None]) -> dict[str, str]:
    return {name: str(value) for name, value in members.items() if value is not None}
