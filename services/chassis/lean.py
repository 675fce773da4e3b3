# SPDX-License-Identifier: Apache-2.0
"""A lean way to the hottest routes, past the framework's routing and parameters.

It takes plain requests alone: the path's last segment in its one form, no query, no
body, headers that need no checking. Every other request goes the whole way, so the
route as it is declared decides what is refused and how (ADR 0017). The guard is the
route's own, and errors are raised to the same boundary.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi.routing import APIRoute

from services.chassis.auth import Principal, Requirement

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
Serve: TypeAlias = Callable[
    [Principal, str, str | None], Awaitable[tuple[bytes, RawHeaders]]
]
"""Principal, last segment, the header's value → the body of a 200 and its headers."""

_BODY = frozenset({b"content-length", b"transfer-encoding", b"content-type"})


@dataclass(frozen=True, slots=True)
class LeanRoute:
    """How plain requests of one GET route are served.

    Attributes:
        path: The route's template; its last segment is its one parameter.
        segment: What that segment must be to be plain.
        header: The one header that the route takes, in lower case.
        value: What that header must be to be plain.
    """

    path: str
    segment: re.Pattern[str]
    header: bytes
    value: re.Pattern[str]
    serve: Serve

    @property
    def prefix(self) -> str:
        """The path up to its last segment."""
        return self.path[: self.path.rindex("/") + 1]


@dataclass(frozen=True, slots=True)
class _Plain:
    """A request that may go the lean way."""

    lean: LeanRoute
    segment: str
    authorization: bytes
    value: str | None


class LeanWay:
    """ASGI middleware, the innermost: serves plain requests, passes on all others."""

    def __init__(
        self, app: App, leans: Sequence[LeanRoute], routes: Callable[[], Iterable[Any]]
    ) -> None:
        """Take what is served.

        Args:
            app: Serves everything else.
            leans: The lean routes.
            routes: The application's routes, asked once, at the first request.
        """
        self._app = app
        self._leans = {lean.prefix: lean for lean in leans}
        self._routes = routes
        self._found: dict[str, tuple[APIRoute, Requirement]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        plain = self._plain(scope) if scope["type"] == "http" else None
        if plain is None:
            await self._app(scope, receive, send)
            return
        scope["route"], guard = self._route(plain.lean)
        principal = await guard.admit(scope, plain.authorization.decode("latin-1"))
        body, headers = await plain.lean.serve(principal, plain.segment, plain.value)
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _plain(self, scope: Scope) -> _Plain | None:
        path: str = scope["path"]
        cut = path.rfind("/") + 1
        lean = self._leans.get(path[:cut])
        if lean is None or scope["method"] != "GET" or scope["query_string"]:
            return None
        segment = path[cut:]
        if (
            lean.segment.fullmatch(segment) is None
            or scope.get("raw_path") != path.encode()
            or scope.get("root_path")
        ):
            return None
        authorization, value = b"", None
        for name, text in scope["headers"]:
            if name == b"authorization":
                authorization = text
            elif name == lean.header:
                value = text.decode("latin-1")
                if lean.value.fullmatch(value) is None:
                    return None
            elif name in _BODY:
                return None
        return _Plain(lean, segment, authorization, value)

    def _route(self, lean: LeanRoute) -> tuple[APIRoute, Requirement]:
        found = self._found.get(lean.path)
        if found is None:
            found = self._found[lean.path] = declared(lean, self._routes())
        return found


def declared(lean: LeanRoute, routes: Iterable[Any]) -> tuple[APIRoute, Requirement]:
    """Return the route that a lean one shortens, and its guard.

    Raises:
        LookupError: There is no such GET route, or no one guard of its own.
    """
    for route in routes:
        if route.path == lean.path and "GET" in (route.methods or ()):
            calls = [inner.call for inner in route.dependant.dependencies]
            guards = [call for call in calls if isinstance(call, Requirement)]
            if len(guards) == 1 and len(calls) == 1:
                return route, guards[0]
    raise LookupError(lean.path)
