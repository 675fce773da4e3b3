# SPDX-License-Identifier: Apache-2.0
"""The route class of every Keyturn route: it reads a body once, bounded and typed.

It never answers: it raises `Refusal`, and problem_json maps that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from email.message import Message
from typing import Any, Protocol, runtime_checkable
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from contracts import problems
from contracts.problems import Fault, Refusal
from services.chassis.body.decoding import decode, decode_form

MAX_BODY_BYTES = 1_048_576
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396 §4


class BoundedRequest(Request):
    """A request whose body cannot grow beyond its bound, however it is read."""

    max_body_bytes = MAX_BODY_BYTES

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body; refuse with `body-too-large` at the first byte too many."""
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.max_body_bytes:
            raise Refusal(problems.BODY_TOO_LARGE)
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > self.max_body_bytes:
                raise Refusal(problems.BODY_TOO_LARGE)
            yield chunk

    async def json(self) -> Any:
        """Return the body's JSON value, read strictly."""
        if not hasattr(self, "_json"):
            self._json = decode(await self.body())
        return self._json


def require_media_type(request: Request, accepted: Collection[str]) -> None:
    """Refuse a body whose media type is not one of `accepted`, or not in UTF-8.

    Raises:
        Refusal: `media-type`; names those that are, of a PATCH in `Accept-Patch` too
            (RFC 5789 §3.1).
    """
    values = request.headers.getlist("content-type")
    message = Message()
    message["content-type"] = values[0] if values else "-"
    charset = str(message.get_param("charset", "utf-8")).lower()
    known = message.get_content_type() in accepted and "/" in "".join(values)
    if len(values) != 1 or not known or charset not in {"utf-8", "utf8"}:
        taken = sorted(accepted)
        text = f"must be {' or '.join(taken)}, in UTF-8"
        raise Refusal(
            problems.MEDIA_TYPE,
            faults=[Fault("/Content-Type", "media_type", text, "header")],
            headers={"Accept-Patch": ", ".join(taken)}
            if request.method == "PATCH"
            else None,
        )


async def read_bytes(request: Request, *accepted: str) -> bytes:
    """Return the exact body bytes of one of the `accepted` media types.

    For bodies that are hashed or verified as they are. The bound is the route's.

    Raises:
        Refusal: `media-type` or `body-too-large`.
    """
    require_media_type(request, accepted)
    return await request.body()


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of an `application/x-www-form-urlencoded` body.

    Raises:
        Refusal: `media-type`, `body-too-large` or `bad-request`.
    """
    return decode_form(await read_bytes(request, "application/x-www-form-urlencoded"))


@runtime_checkable
class BeforeBody(Protocol):
    """A dependency that can refuse a request before its body is read."""

    async def before_body(self, request: Request) -> None:
        """Refuse by raising, or return."""
        ...


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """The route class of every Keyturn route.

    Takes the query parameters it declares, each once, and no other. Reads the body
    once, within `max_body_size` bytes (1 MiB unless the route says otherwise), in the
    media type the route declares and no other; a PATCH takes JSON as merge patch too.
    """

    takes_any_query = False

    @property
    def media_types(self) -> Sequence[str]:
        """The media types of the body that the route declares, the usual one first."""
        if self.body_field is None:
            return ()
        declared = getattr(self.body_field.field_info, "media_type", None) or JSON
        patches = declared == JSON and "PATCH" in (self.methods or ())
        return (JSON, MERGE_PATCH) if patches else (declared,)

    def get_route_handler(self) -> Handler:
        """Return the handler that checks first and then does FastAPI's work."""
        inner = super().get_route_handler()
        limit = self.max_body_size or MAX_BODY_BYTES
        accepted = self.media_types
        calls: list[Any] = [d.call for d in self.dependant.dependencies]
        guards = [call for call in calls if isinstance(call, BeforeBody)]
        query = None if self.takes_any_query else _query_names(self)

        async def handler(request: Request) -> Response:
            _check_address(request)
            bounded = BoundedRequest(request.scope, request.receive)
            bounded.max_body_bytes = limit
            for guard in guards:
                await guard.before_body(bounded)
            if query is not None:
                _check_query(request, query)
            if accepted:
                require_media_type(bounded, accepted)
                # Decoded here, because FastAPI would turn a refusal into its own 400.
                await bounded.json()
            return await inner(bounded)

        return handler


def _check_address(request: Request) -> None:
    """Refuse a path or query that is not UTF-8 or holds NUL.

    Starlette would put U+FFFD in its place, and two addresses would become one.
    """
    raw = request.scope.get("raw_path") or b""
    try:
        text = unquote_to_bytes(raw) + unquote_to_bytes(request.scope["query_string"])
        fine = "\x00" not in text.decode()
    except UnicodeDecodeError:
        fine = False
    if not fine:
        raise Refusal(problems.BAD_REQUEST)


def _query_names(route: APIRoute) -> list[str]:
    """Return the query parameters that a route declares, by name."""
    declared = get_flat_params(route.dependant)
    return sorted(
        field.alias for field in declared if isinstance(field.field_info, Query)
    )


def _check_query(request: Request, known: Sequence[str]) -> None:
    """Refuse a query that says what nobody reads, or says one thing twice.

    A filter with a slip in its name would otherwise filter nothing, and of a doubled
    parameter two readers could each take another value.
    """
    names = [name for name, _value in request.query_params.multi_items()]
    unknown = any(name not in known for name in names)
    faults = [
        Fault(f"/{name}", "repeated", "may be sent once", "query")
        for name in known
        if names.count(name) > 1
    ]
    if unknown:
        # The name is the caller's own text, so those that are known are told instead.
        taken = ", ".join(known) or "none"
        text = f"is no parameter of this operation; it takes {taken}"
        faults.append(Fault("/*", "extra_forbidden", text, "query"))
    if faults:
        raise Refusal(problems.VALIDATION, faults=faults)


class PageRoute(StrictRoute):
    """A route for a browser or a probe, which may add a query of their own."""

    takes_any_query = True


class StrictRouter(APIRouter):
    """A router all of whose routes are strict. Give it its prefix here.

    Attributes:
        leans: Its `lean.LeanRoute`s, which serve plain requests of its busiest routes.
    """

    def __init__(
        self, *, route_class: type[StrictRoute] = StrictRoute, **options: Any
    ) -> None:
        super().__init__(route_class=route_class, redirect_slashes=False, **options)
        self.leans: list[Any] = []
