# SPDX-License-Identifier: Apache-2.0
"""What surrounds every request: its id, its guarded entrance, its answer's headers.

Pure ASGI, because Starlette's BaseHTTPMiddleware breaks streaming (api.md).
Authorises nothing: a path or host never decides who may do what (CVE-2026-48710).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any
from uuid import UUID

from contracts import problems
from contracts.problems import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeader = tuple[bytes, bytes]

API_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
}
"""Headers of every answer; a route that sets one itself keeps its own value."""

_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in API_HEADERS.items()]
_OURS = frozenset({b"request-id", b"server"})
_KNOWN = _OURS | {name for name, _ in _RAW_HEADERS}

DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Policy of the documentation pages: nothing inline, nothing foreign."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
MAX_HEADER_BYTES = 32_768
MAX_GREETED = 64
_ONCE = frozenset(
    {
        b"host",
        b"content-length",
        b"authorization",
        b"content-type",
        b"transfer-encoding",
        b"keyturn-purpose",
        b"if-match",
        b"if-none-match",
        b"idempotency-key",
    }
)


class RequestFrame:
    """ASGI middleware: gives each request an id and each answer its headers.

    A caller's own `Request-Id` is kept only if it is a UUID, so that nothing a caller
    typed gets into logs.
    """

    def __init__(self, app: App, new_id: Callable[[], UUID]) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(_own_id(scope["headers"]) or self._new_id())
        # A dictionary of this request's own, whatever the server does: the verified
        # principal is kept in it and must never be seen by another request.
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}

        own = (b"request-id", request_id.encode())

        async def frame(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _framed(message.get("headers", ()), own)
            await send(message)

        await self._app(scope, receive, frame)


def _framed(headers: Iterable[RawHeader], own: RawHeader) -> list[RawHeader]:
    """Return an answer's headers with those of every answer, and its id."""
    given = list(headers)
    names = {name for name, _ in given}
    if names.isdisjoint(_KNOWN):  # nearly always
        return [*given, *_RAW_HEADERS, own]
    kept = [header for header in given if header[0] not in _OURS]
    return [*kept, *(h for h in _RAW_HEADERS if h[0] not in names), own]


def _own_id(headers: Iterable[RawHeader]) -> UUID | None:
    text = next((value for name, value in headers if name == b"request-id"), b"")
    try:
        return UUID(text.decode("latin-1")) if len(text) == 36 else None
    except ValueError:
        return None


class Entrance:
    """ASGI middleware: refuses requests that two servers could read differently.

    A `Host` outside the list, a header doubled that may come once, a body with both a
    length and a transfer encoding (RFC 9112 §6.1).
    """

    def __init__(self, app: App, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)
        self._greeted: set[bytes] = set()  # spellings of them that were let in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            Refusal: `bad-request` or `header-too-large`; the boundary around this one
                answers it.
        """
        headers: Sequence[RawHeader] = scope.get("headers", ())
        size = sum([len(name) + len(value) for name, value in headers])
        if size > MAX_HEADER_BYTES:
            raise Refusal(problems.HEADER_TOO_LARGE)
        if scope["type"] == "http" and not self._is_plain(headers):
            raise Refusal(problems.BAD_REQUEST)
        await self._app(scope, receive, send)

    def _is_plain(self, headers: Sequence[RawHeader]) -> bool:
        seen = [name for name, _ in headers if name in _ONCE]
        if len(seen) != len(set(seen)):
            return False
        if b"content-length" in seen and b"transfer-encoding" in seen:
            return False
        host = next((value for name, value in headers if name == b"host"), b"")
        return host in self._greeted or self._is_ours(host)

    def _is_ours(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host.decode("latin-1"))
        if match is None or match[1].lower().strip("[]") not in self._hosts:
            return False
        if len(self._greeted) < MAX_GREETED:
            self._greeted.add(host)
        return True
