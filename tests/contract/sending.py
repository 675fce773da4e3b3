# SPDX-License-Identifier: Apache-2.0
"""Calls an operation as its row says, but for what a test changes."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.contract.operations import FORM, PLAN, Operation, rows
from tests.contract.site import Site


def send(
    site: Site,
    operation: Operation,
    who: str | None,
    *,
    path: Mapping[str, str] | None = None,
    **changed: Any,
) -> httpx.Response:
    """Call an operation as its row says, but for what is changed.

    `content` replaces the body's bytes; `headers`, `query` are added or replaced, a
    `query` of pairs is sent as it is.
    """
    row = rows()[operation.name]
    address = operation.address(row.values(site, row.path if path is None else path))
    headers = {**row.values(site, row.headers), **changed.get("headers", {})}
    query = changed.get("query", {})
    if not isinstance(query, list):
        query = {**row.values(site, row.query), **query}
    body = row.content(site)
    options: dict[str, Any] = {}
    if "content" in changed:
        options["content"] = changed["content"]
        headers.setdefault("Content-Type", operation.media_type or "application/json")
    elif isinstance(body, bytes):
        options["content"] = body
        headers.setdefault("Content-Type", PLAN)
    elif operation.media_type == FORM:
        options["data"] = body
    elif body is not None:
        options["json"] = body
    sent = {k: v for k, v in headers.items() if v is not None}
    return site.call(
        operation.service,
        operation.method,
        address,
        who,
        sent,
        params=query or None,
        **options,
    )
