# SPDX-License-Identifier: Apache-2.0
"""The only place where an error becomes an answer (RFC 9457).

No byte of the request is ever in an answer: texts are constants, pointers are made of
names the OpenAPI document declares, and what has no place there is written `*`.
What nobody foresaw is `internal`, logged as type and place, without its message.
"""

from __future__ import annotations

import json
import re
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any, get_args

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from contracts import problems
from contracts.problems import Fault, Problem
from services.chassis import telemetry
from services.chassis.database import (
    CommitUnknown,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    Fenced,
)
from services.chassis.declared import MEDIA_TYPE

MAX_FAULTS = 50
EVENT_MEMBER = "audit_event"
"""Member of a refusal that stands in the log; its answer has the header too."""

_BY_STATUS: Mapping[int, Problem] = {
    400: problems.BAD_REQUEST,
    401: problems.AUTHENTICATION_REQUIRED,
    403: problems.DENIED,
    404: problems.NOT_FOUND,
    405: problems.METHOD_NOT_ALLOWED,
    406: problems.NOT_ACCEPTABLE,
    413: problems.BODY_TOO_LARGE,
    415: problems.MEDIA_TYPE,
    422: problems.VALIDATION,
    429: problems.QUOTA_EXCEEDED,
    431: problems.HEADER_TOO_LARGE,
    503: problems.BUSY,
}

_BY_DATABASE_ERROR: Mapping[type[DatabaseError], Problem] = {
    DatabaseBusy: problems.BUSY,
    DatabaseUnavailable: problems.AUDIT_UNAVAILABLE,
    CommitUnknown: problems.AUDIT_UNAVAILABLE,
    Fenced: problems.SHUTTING_DOWN,
}

_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is no member here; it takes {accepted}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_length": "has a wrong length in Unicode NFC",
    "string_pattern_mismatch": "has characters or a form that is not accepted",
    "control_character": "has a control character",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be an array",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "value_type": "must be a string, integer, boolean, array of strings or null",
    "uuid_parsing": "must be a UUID",
    "datetime_from_date_parsing": "must be a time as in RFC 3339",
    "datetime_parsing": "must be a time as in RFC 3339",
    "timezone_aware": "must have a time zone",
    "date_from_datetime_parsing": "must be a date such as 2026-11-24",
    "date_parsing": "must be a date such as 2026-11-24",
}
_CODE = re.compile(r"[a-z][a-z_]{0,63}")
_EXTRA_VALUE = re.compile(r"[A-Za-z0-9_.:/-]{0,256}")
_RESERVED = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
)


def problem_response(
    problem: Problem,
    *,
    request_id: str,
    faults: Iterable[Fault] = (),
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer for a problem, `application/problem+json`."""
    document: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": f"{problem.detail} {problem.fix}",
        "code": problem.code,
        "request_id": request_id,
    }
    listed = [
        {"in": f.where, "pointer": f.pointer, "code": f.code, "msg": f.msg}
        for f in faults
    ]
    if listed:
        document["errors"] = listed[:MAX_FAULTS]
    document |= {
        name: value
        for name, value in (extra or {}).items()
        if name not in _RESERVED and _is_code_or_count(value)
    }
    return Response(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")),
        status_code=problem.status,
        headers={**_challenge(problem), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def _is_code_or_count(value: object) -> bool:
    if isinstance(value, bool | int):
        return True
    if isinstance(value, str):
        return _EXTRA_VALUE.fullmatch(value) is not None
    return isinstance(value, list | tuple) and all(
        isinstance(item, str) and _EXTRA_VALUE.fullmatch(item) for item in value
    )


def _challenge(problem: Problem) -> dict[str, str]:
    """Return the `WWW-Authenticate` header that RFC 6750 §3 asks for."""
    if problem is problems.SCOPE_MISSING:
        return {
            "WWW-Authenticate": 'Bearer realm="keyturn", error="insufficient_scope"'
        }
    if problem.status != problems.AUTHENTICATION_REQUIRED.status:
        return {}
    if problem is problems.AUTHENTICATION_REQUIRED:
        return {"WWW-Authenticate": 'Bearer realm="keyturn"'}
    return {"WWW-Authenticate": 'Bearer realm="keyturn", error="invalid_token"'}


def request_id(scope: Mapping[str, Any]) -> str:
    """Return the id that `headers` gave to this request, or an empty string."""
    return str(scope.get("state", {}).get("request_id", ""))


# -- From errors --------------------------------------------------------------


def refusal_response(error: Exception, scope: Mapping[str, Any]) -> Response | None:
    """Return the answer for an error that carries a `problem`, else None."""
    problem = getattr(error, "problem", None)
    if isinstance(error, DatabaseError):
        problem = _BY_DATABASE_ERROR.get(type(error))
    if not isinstance(problem, Problem):
        return None
    faults = list(getattr(error, "faults", ()))
    pointer = getattr(error, "pointer", None)
    if pointer is not None:
        faults.insert(0, Fault(pointer, problem.code, problem.title))
    retry = getattr(error, "retry_after", None)
    if retry is None and problem.status in {429, 503}:
        retry = 1
    extra = getattr(error, "extra", None) or {}
    headers = {**getattr(error, "headers", {})}
    if retry is not None:
        headers["Retry-After"] = str(retry)
    if EVENT_MEMBER in extra:
        headers["Audit-Event"] = str(extra[EVENT_MEMBER])
    return problem_response(
        problem,
        request_id=request_id(scope),
        faults=faults,
        extra=extra,
        headers=headers,
    )


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Answer 422 (or 400 for the page size) with places and rules, without values."""
    assert isinstance(error, RequestValidationError)
    known = _known_names(request.app)
    found = error.errors()
    body = getattr(request.scope.get("route"), "body_field", None)
    taken = None if body is None else body.field_info.annotation
    faults = [_fault(item, known, taken) for item in found[:MAX_FAULTS]]
    only_limit = all(tuple(item["loc"]) == ("query", "limit") for item in found)
    problem = problems.LIMIT_OUT_OF_RANGE if only_limit else problems.VALIDATION
    return problem_response(
        problem, request_id=request_id(request.scope), faults=faults
    )


def _fault(item: Mapping[str, Any], known: frozenset[str], body: Any) -> Fault:
    where, *path = item["loc"] or ("body",)
    code = str(item["type"])
    bounds: dict[str, Any] = {
        key: value
        for key, value in item.get("ctx", {}).items()
        # What is expected is told by our own model, the rest may quote the input.
        if isinstance(value, int | float)
        or (key == "expected" and code in {"enum", "literal_error"})
    }
    if code == "extra_forbidden" and where == "body":
        bounds["accepted"] = ", ".join(_accepted(body, path[:-1]))
    message = _MESSAGES.get(code, "is not valid")
    try:
        text = message.format_map(bounds)
    except KeyError:
        text = "is not valid"
    return Fault(
        # A key that is wrong itself has the place of its value.
        pointer="".join(f"/{_segment(p, known)}" for p in path if p != "[key]"),
        code=code if _CODE.fullmatch(code) else "invalid",
        msg=text,
        where=where if where in {"body", "query", "path", "header"} else "body",
    )


def _accepted(body: Any, path: Sequence[object]) -> list[str]:
    """Return the members of the model at a place of a body."""
    here = list(_models(body))
    for part in path:
        # Positions, and keys of the caller's own, lie within one annotation.
        inner = [_members(model).get(str(part)) for model in here]
        here = [m for one in inner if one is not None for m in _models(one)] or here
    return sorted({name for model in here for name in _members(model)})


def _members(model: type[BaseModel]) -> dict[str, Any]:
    fields = model.model_fields.items()
    return {field.alias or name: field.annotation for name, field in fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _models(inner)


def _segment(part: object, known: frozenset[str]) -> str:
    """Return a pointer segment, `*` if the caller chose it. RFC 6901 §3."""
    if isinstance(part, int):
        return str(part)
    text = str(part)
    return text.replace("~", "~0").replace("/", "~1") if text in known else "*"


def _known_names(app: FastAPI) -> frozenset[str]:
    """Return every member and parameter name the OpenAPI document declares."""
    if not hasattr(app.state, "known_names"):
        names: set[str] = set()
        _collect_names(app.openapi(), names)
        app.state.known_names = frozenset(names)
    known: frozenset[str] = app.state.known_names
    return known


def _collect_names(node: Any, names: set[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _collect_names(item, names)
        return
    if not isinstance(node, dict):
        return
    if isinstance(node.get("properties"), dict):
        names.update(node["properties"])
    if "in" in node and isinstance(node.get("name"), str):
        names.update({node["name"], node["name"].lower()})
    for item in node.values():
        _collect_names(item, names)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer the framework's own errors: 404, 405 with every method, and the rest."""
    assert isinstance(error, HTTPException)
    problem = _BY_STATUS.get(error.status_code, problems.INTERNAL)
    headers = {}
    if problem is problems.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(allowed_methods(request)))
    return problem_response(
        problem, request_id=request_id(request.scope), headers=headers
    )


def allowed_methods(request: Request) -> set[str]:
    """Return every method some route has at this path. RFC 9110 §10.2.1."""
    path = request.scope["path"]
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        pattern = getattr(context, "path_regex", None)
        if pattern is not None and pattern.match(path):
            methods |= context.methods or set()
    return methods


# -- Around the application ---------------------------------------------------

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ProblemBoundary:
    """ASGI middleware: no exception passes it, so no server prints its message."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; answer what nobody else answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the boundary: mapped and logged
            response = error_response(error, scope)
            # With the answer begun there is nothing left to say: returning without
            # its end makes the server close the connection, which the caller notices.
            if not started:
                await response(scope, receive, send)


def error_response(error: Exception, scope: Mapping[str, Any]) -> Response:
    """Return the answer for any exception; log those nobody should meet."""
    refused = refusal_response(error, scope)
    expected = refused is not None and refused.status_code != problems.INTERNAL.status
    alarming = isinstance(error, DatabaseError) or getattr(error, "alarm", False)
    if refused is not None and expected and not alarming:
        return refused
    telemetry.logger().error(
        "request.failed",
        request_id=request_id(scope),
        route=getattr(scope.get("route"), "path", "unmatched"),
        **telemetry.describe(error),
    )
    return refused or problem_response(problems.INTERNAL, request_id=request_id(scope))


def install(app: FastAPI) -> None:
    """Let the framework's errors be problems; `ProblemBoundary` answers the others."""
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
