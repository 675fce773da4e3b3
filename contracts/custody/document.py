# SPDX-License-Identifier: Apache-2.0
"""What every signed or hashed document of a handover shares.

Owns the strict reading of canonical JSON (RFC 8785), the one spelling of a hash
(`sha256:` and lower hex), of a day and of an instant. Knows no kind of document.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final, TypeVar

import rfc8785
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

MAX_DOCUMENT_BYTES: Final = 256 * 1024
HASH_PREFIX: Final = "sha256:"

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z", re.ASCII
)


class DocumentMalformed(ValueError):  # noqa: N818 - a state of the bytes
    """The bytes are not the canonical document they should be.

    The message names the broken rule or the member, never a value.
    """


class Document(BaseModel):
    """Base of all documents: frozen, strict, unknown members refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True
    )


AnyDocument = TypeVar("AnyDocument", bound=Document)


def parse_day(text: str) -> date:
    """Return the day of `YYYY-MM-DD`.

    Raises:
        ValueError: Another spelling, or no such day.
    """
    if _DAY.fullmatch(text) is None:
        raise ValueError("not a date of the form YYYY-MM-DD")
    return date.fromisoformat(text)


def parse_instant(text: str) -> datetime:
    """Return the instant of an RFC 3339 text in UTC that ends in `Z`.

    The fraction has no, three or six digits.

    Raises:
        ValueError: Another spelling, or no such instant.
    """
    if _INSTANT.fullmatch(text) is None:
        raise ValueError("not RFC 3339 in UTC with a final Z")
    return datetime.fromisoformat(text)


def parse_moment(text: str) -> datetime:
    """Return the instant of `parse_instant`, or the start (UTC) of a `parse_day`.

    Raises:
        ValueError: Neither.
    """
    if _DAY.fullmatch(text) is not None:
        return start_of(parse_day(text))
    return parse_instant(text)


def start_of(day: date) -> datetime:
    """Return the first instant of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def _spelled_for(parse: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


Day = Annotated[str, _spelled_for(parse_day)]
Instant = Annotated[str, _spelled_for(parse_instant)]
Moment = Annotated[str, _spelled_for(parse_moment)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
ClassName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.\-/]{0,63}$")]
PartyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Installation = Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,64}$")]
HandoverId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Counts = dict[ClassName, dict[Code, dict[Code, Count]]]
"""Folios per class, outcome and reason."""


def digest(raw: bytes) -> str:
    """Return `sha256:` and the lower hex SHA-256 of the bytes."""
    return HASH_PREFIX + hashlib.sha256(raw).hexdigest()


def canonical_document(document: Document, *, optional: str = "") -> bytes:
    """Return the RFC 8785 bytes of a document.

    Args:
        document: The document.
        optional: A member that is left out while it is None; all others are
            always written, so that one document has one spelling.
    """
    members = document.model_dump(mode="json", by_alias=True)
    if optional and members[optional] is None:
        del members[optional]
    return rfc8785.dumps(members)


def read_canonical(raw: bytes) -> dict[str, Any]:
    """Read one canonical JSON object.

    Raises:
        DocumentMalformed: Too large, not UTF-8 JSON, not an object, a duplicate
            member, a number that is no integer, or bytes that are not RFC 8785.
    """
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise DocumentMalformed("larger than a document may be")
    try:
        members = json.loads(
            raw.decode(),
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
        canonical = rfc8785.dumps(members)
    except DocumentMalformed:
        raise
    except (ValueError, RecursionError) as exc:
        raise DocumentMalformed("not JSON in UTF-8 with a canonical form") from exc
    if canonical != raw:
        raise DocumentMalformed("the bytes are not canonical (RFC 8785)")
    if not isinstance(members, dict):
        raise DocumentMalformed("not an object")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DocumentMalformed("a member twice")
    return members


def _no_float(_text: str) -> Any:
    raise DocumentMalformed("a number that is no integer")


def parse_document(
    kind: type[AnyDocument], raw: bytes, *, optional: str = ""
) -> AnyDocument:
    """Read a document that already is in its canonical bytes.

    Args:
        kind: Which document it must be.
        raw: The bytes.
        optional: As for `canonical_document`.

    Raises:
        DocumentMalformed: Not canonical, of another kind, or out of its bounds.
    """
    document = validated(kind, read_canonical(raw))
    # A member left out for its default, or under a second name, is another spelling.
    if canonical_document(document, optional=optional) != raw:
        raise DocumentMalformed("a member has another spelling than its canonical one")
    return document


def validated(kind: type[AnyDocument], members: dict[str, Any]) -> AnyDocument:
    """Return the document of already read members.

    Raises:
        DocumentMalformed: A member is unknown, missing or out of its bounds; the
            message names it if the kind knows it, and never its value.
    """
    try:
        return kind.model_validate(members)
    except ValidationError as exc:
        raise DocumentMalformed(_broken_rule(kind, exc)) from None


def _broken_rule(kind: type[Document], error: ValidationError) -> str:
    # Only names of our own model are repeated: a location may hold sent keys.
    first = error.errors(include_url=False, include_context=False)[0]
    known = {field.alias or name for name, field in kind.model_fields.items()}
    member = str(first["loc"][0]) if first["loc"] else ""
    if member not in known:
        return "members do not fit together" if not member else "unknown member"
    return f"{member}: {first['type'].replace('_', ' ')}"
