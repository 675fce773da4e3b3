# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows of the records room: one example of each request.

Pure. The people are made up, their addresses in domains that RFC 2606 reserves.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import ConfigDict

_ID: Final = "01a20e44-d46f-738e-8d3a-9d01e47e5194"
_MOP: Final = {
    "entry_id": "O-1",
    "at": "2026-05-04T10:00:00Z",
    "item": "Mop",
    "total": "19.90",
}

RECORD: Final[dict[str, Any]] = {
    "external_id": "C-1",
    "tags": ["retail"],
    "documents": {"basic": {"name": "Jane Roe", "email": "jane@example.com"}},
    "entries": {"orders": [_MOP]},
}
CONSENT: Final[dict[str, Any]] = {
    "kind": "separate",
    "recipient": "birch",
    "classes": ["basic", "orders"],
    "given_at": "2026-06-02T12:00:00Z",
}
OBJECTION: Final[dict[str, Any]] = {
    "recipient": "birch",
    "objected_at": "2026-06-03T08:00:00Z",
}
BATCH: Final[dict[str, Any]] = {
    "items": [{"ref": "row-1", "record": RECORD, "consents": [CONSENT]}]
}
PATCH: Final[dict[str, Any]] = {"documents": {"basic": {"city": "Hamburg"}}}
ENTRIES: Final[dict[str, Any]] = {"class": "orders", "entries": [_MOP]}
LOOKUP: Final[dict[str, Any]] = {
    "identifiers": [
        {"field": "email", "value": "jane@example.com"},
        {"field": "external_id", "value": "C-2"},
    ]
}
AGGREGATE: Final[dict[str, Any]] = {
    "class": "orders",
    "measure": "sum",
    "field": "total",
    "group_by": "at.month",
    "period": "2026",
}
RESOLVE: Final[dict[str, Any]] = {"records": [_ID]}


def shown(example: dict[str, Any]) -> ConfigDict:
    """Return the model configuration that puts an example into the schema."""
    return ConfigDict(json_schema_extra={"examples": [example]})
