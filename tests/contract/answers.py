# SPDX-License-Identifier: Apache-2.0
"""What every refusal looks like, whichever service gives it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from contracts.problems import PROBLEMS
from tests.contract.operations import Operation

SAFE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
TELLING = {
    "audit-event",
    "etag",
    "idempotency-replayed",
    "location",
    "retry-after",
    "www-authenticate",
}
"""Headers that a caller goes on with."""


def refused(
    answer: httpx.Response, operation: Operation | None = None
) -> dict[str, Any]:
    """Check that an answer is a problem of the registry, documented; return it."""
    where = f"{operation and operation.name} {answer.status_code} {answer.text[:300]}"
    assert 400 <= answer.status_code < 500 or answer.status_code == 503, where
    assert answer.headers["content-type"] == "application/problem+json", where
    document: dict[str, Any] = answer.json()
    problem = PROBLEMS[document["code"]]
    assert problem.status == document["status"] == answer.status_code, where
    assert document["type"] == problem.type, where
    assert str(UUID(document["request_id"])) == answer.headers["request-id"], where
    for name, value in SAFE_HEADERS.items():
        assert answer.headers[name] == value, where
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer "), where
    if answer.status_code == 503:
        assert answer.headers["retry-after"].isdigit(), where
    if operation is not None:
        documented(answer, operation)
        row = operation.item["responses"][str(answer.status_code)]
        assert f"`{document['code']}`" in row["description"], f"undocumented: {where}"
    return document


def documented(answer: httpx.Response, operation: Operation) -> None:
    """Check that the document has the answer's status and what its headers tell."""
    where = f"undocumented: {operation.name} {answer.status_code}"
    row = operation.item["responses"].get(str(answer.status_code))
    assert row is not None, where
    known = {name.lower() for name in row.get("headers", {})}
    assert {*answer.headers} & TELLING <= known, (where, known)


def without_id(document: dict[str, Any]) -> dict[str, Any]:
    """Return a problem without what differs from request to request."""
    return {name: value for name, value in document.items() if name != "request_id"}
