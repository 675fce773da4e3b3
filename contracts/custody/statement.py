# SPDX-License-Identifier: Apache-2.0
"""Statements: what people sign in a handover beside approvals and releases.

Owns their members, media type, domain string and canonical bytes (RFC 8785). A
statement binds what it speaks about by `subject`: the plan's hash where a plan
exists, before that the hash of the deal or of the scope. Knows no signature.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from contracts.custody.document import (
    Digest,
    Document,
    HandoverId,
    Installation,
    canonical_document,
    parse_document,
)
from contracts.custody.officers import Role
from contracts.custody.signing import Person

STATEMENT_TYPE: Final = "application/vnd.keyturn.statement.v1+json"
STATEMENT_DOMAIN: Final = "keyturn-statement/1"

MAX_BODY_MEMBERS: Final = 256
MAX_BODY_DEPTH: Final = 6
MAX_BODY_TEXT: Final = 8_192


class StatementKind(StrEnum):
    """What a statement says.

    Attributes:
        NECESSITY: Why the data must go over, and what else was considered (SC).
        SCOPE: An owner's consent to exactly one version of the scope (SO, BO).
        OPINION: The reviewer's opinion on the plan (PR).
        RECEIPT: The buyer's compliance officer has checked what arrived (BC).
        AUDIT_REPORT: The reviewer's findings after the turn (PR).
    """

    NECESSITY = "necessity"
    SCOPE = "scope"
    OPINION = "opinion"
    RECEIPT = "receipt"
    AUDIT_REPORT = "audit_report"


def _bounded(body: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [body]
    members = 0
    for _depth in range(MAX_BODY_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            members += 1
            below.extend(_inside(value))
        if members > MAX_BODY_MEMBERS:
            raise ValueError("a statement has too many members")
        if not below:
            return body
        level = below
    raise ValueError("a statement is nested too deeply")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and len(value) > MAX_BODY_TEXT:
        raise ValueError("a text of a statement is too long")
    return []


Body = Annotated[dict[str, Any], AfterValidator(_bounded)]


class Statement(Document):
    """One person's signed word on one subject; the payload of an envelope.

    Attributes:
        subject: SHA-256 of what is spoken about.
        body: What is said: texts, integers, booleans, lists and objects.
    """

    domain: Literal["keyturn-statement/1"] = STATEMENT_DOMAIN
    installation: Installation
    handover: HandoverId
    kind: StatementKind = Field(strict=False)
    role: Role = Field(strict=False)
    person: Person
    body: Body
    subject: Digest


def statement_bytes(statement: Statement) -> bytes:
    """Return the canonical payload of a statement, as it is signed."""
    return canonical_document(statement)


def parse_statement(raw: bytes) -> Statement:
    """Read the payload of a statement that already is in its canonical bytes.

    Raises:
        DocumentMalformed: Not canonical, not a statement, or out of bounds.
    """
    return parse_document(Statement, raw)
