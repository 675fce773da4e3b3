# SPDX-License-Identifier: Apache-2.0
"""What a route declares of its answers, for the OpenAPI document.

It stands at the route that behaves so; `api_document` adds what is true of all alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from contracts import problems
from contracts.problems import Problem

MEDIA_TYPE = "application/problem+json"
Answers: TypeAlias = dict[int | str, dict[str, Any]]
"""The `responses` of a route."""

_ANSWERED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Accept-Patch": ("The media types that are taken.", {"type": "string"}),
    "Audit-Event": (
        "Where the event that records this stands in the log; absent where none does.",
        {"type": "string"},
    ),
    "ETag": ("The version, to be sent back in `If-Match`.", {"type": "string"}),
    "Idempotency-Replayed": (
        "`true` where this is the first answer of the key again.",
        {"type": "string", "const": "true"},
    ),
    "Location": ("The address of what is here now.", {"type": "string"}),
    "Retry-After": (
        "Seconds after which a repetition may succeed.",
        {"type": "integer", "minimum": 0},
    ),
    "WWW-Authenticate": ("RFC 6750 §3.", {"type": "string"}),
}


def answered(*names: str) -> dict[str, Any]:
    """Return the OpenAPI `headers` member of an answer that can have these headers.

    `responses={200: answered("ETag")}` stands where a route sets them.
    """
    told = {name: _ANSWERED[name] for name in names}
    return {
        "headers": {
            name: {"description": text, "schema": dict(schema)}
            for name, (text, schema) in told.items()
        }
    }


def openapi_responses(*listed: Problem, logged: bool = False) -> Answers:
    """Return the OpenAPI `responses` rows of problems, one per status.

    Args:
        listed: What is answered.
        logged: Whether the route logs its refusals, and names the event of each.
    """
    rows: Answers = {}
    for status in sorted({problem.status for problem in listed}):
        codes = sorted(p.code for p in listed if p.status == status)
        named = list(_HEADERS.get(status, ()))
        if problems.SCOPE_MISSING.code in codes:
            named.append("WWW-Authenticate")
        if logged and status in _LOGGED:
            named.append("Audit-Event")
        rows[status] = {
            "description": ", ".join(f"`{code}`" for code in codes),
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
            **(answered(*named) if named else {}),
        }
    return rows


_HEADERS: Mapping[int, Sequence[str]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_LOGGED = frozenset({403, 409, 429})


@runtime_checkable
class Declared(Protocol):
    """A dependency that says itself what it reads and how it refuses.

    For what FastAPI cannot know: a header that is read from the request as it came,
    and the refusals of whoever reads it.

    Attributes:
        parameters: OpenAPI parameters.
        refusals: What it answers.
    """

    parameters: Sequence[Mapping[str, Any]]
    refusals: Sequence[Problem]


PROBLEM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "code", "msg"],
                "properties": {
                    "in": {"type": "string"},
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "msg": {"type": "string"},
                },
            },
        },
    },
}
"""JSON schema of the answer; further members are codes and counts."""
