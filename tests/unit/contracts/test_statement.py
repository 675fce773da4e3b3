# SPDX-License-Identifier: Apache-2.0
"""Statements: one spelling, bounded, and of no other domain."""

import json
from typing import Any

import pytest
import rfc8785

from contracts.custody.document import DocumentMalformed
from contracts.custody.statement import (
    MAX_BODY_TEXT,
    Statement,
    StatementKind,
    parse_statement,
    statement_bytes,
)

MEMBERS: dict[str, Any] = {
    "installation": "0011223344556677",
    "handover": "01890000-0000-7000-8000-000000000000",
    "kind": "necessity",
    "role": "SC",
    "person": "p-sc",
    "body": {"classes": {"basic": {"why": "为了服务"}}},
    "subject": "sha256:" + "a" * 64,
}


def changed(**members: Any) -> bytes:
    whole = {"domain": "keyturn-statement/1", **MEMBERS, **members}
    return rfc8785.dumps({k: v for k, v in whole.items() if v is not None})


def test_a_statement_is_read_back_from_its_canonical_bytes() -> None:
    statement = Statement(**MEMBERS)
    raw = statement_bytes(statement)
    assert raw == changed()
    assert parse_statement(raw) == statement
    assert statement.kind is StatementKind.NECESSITY


@pytest.mark.parametrize(
    "members",
    [
        {"domain": "keyturn-approval/1"},
        {"kind": "approval"},
        {"role": "SYS"},
        {"subject": "a" * 64},
        {"subject": None},
        {"more": 1},
        {"body": []},
        {"body": {"text": "x" * (MAX_BODY_TEXT + 1)}},
        {"body": {"list": list(range(300))}},
        {"body": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}},
    ],
    ids=[
        "another-domain",
        "approval-is-no-statement",
        "the-system-states-nothing",
        "bare-hash",
        "no-subject",
        "unknown-member",
        "body-no-object",
        "long-text",
        "many-members",
        "deep",
    ],
)
def test_anything_else_is_refused_without_its_value(members: dict[str, Any]) -> None:
    with pytest.raises(DocumentMalformed) as caught:
        parse_statement(changed(**members))
    assert "xxxx" not in str(caught.value)


def test_other_spellings_of_the_same_statement_are_refused() -> None:
    loose = json.dumps(json.loads(changed()), indent=1).encode()
    with pytest.raises(DocumentMalformed):
        parse_statement(loose)
