# SPDX-License-Identifier: Apache-2.0
"""What surrounds every request: its id, its guarded entrance, its answer's headers.

Pure ASGI, because Starlette's BaseHTTPMiddleware breaks streaming (api.md).
Authorises nothing: a path or host never decides who may do what (CVE-2026-48710).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from uuid import UUID

from starlette.datastructures import Headers

from contracts import problems
from contracts.problems import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

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

DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Policy of the documentation pages: nothing inline, nothing foreign."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
MAX_HEADER_BYTES = 32_768
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
        request_id = _own_id(Headers(scope=scope).get("request-id")) or self._new_id()
        # A dictionary of this request's own, whatever the server does: the verified
        # principal is kept in it and must never be seen by another request.
        scope["state"] = {**scope.get("state", {}), "request_id": str(request_id)}

        own = (b"request-id", str(request_id).encode())

        async def frame(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [h for h in message.get("headers", ()) if h[0] not in _OURS]
                names = {name for name, _ in given}
                missing = [h for h in _RAW_HEADERS if h[0] not in names]
                message["headers"] = [*given, *missing, own]
            await send(message)

        await self._app(scope, receive, frame)


def _own_id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text and len(text) == 36 else None
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            Refusal: `bad-request` or `header-too-large`; the boundary around this one
                answers it.
        """
        size = sum(len(name) + len(value) for name, value in scope.get("headers", ()))
        if size > MAX_HEADER_BYTES:
            raise Refusal(problems.HEADER_TOO_LARGE)
        if scope["type"] == "http" and not self._is_plain(Headers(scope=scope)):
            raise Refusal(problems.BAD_REQUEST)
        await self._app(scope, receive, send)

    def _is_plain(self, headers: Headers) -> bool:
        seen = [name for name, _ in headers.raw if name in _ONCE]
        if len(seen) != len(set(seen)):
            return False
        if b"content-length" in seen and b"transfer-encoding" in seen:
            return False
        match = _HOST.fullmatch(headers.get("host", ""))
        return match is not None and match[1].lower().strip("[]") in self._hosts
