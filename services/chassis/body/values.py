# SPDX-License-Identifier: Apache-2.0
"""The base of request models, and the types that bodies and addresses are made of."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Self, cast, get_args, get_origin

from fastapi import Query
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from pydantic_core import to_json as _to_json

from services.chassis.clock import parse_rfc3339


class Body(BaseModel):
    """Base of every request model: unknown members and coercions are refused.

    Strict means strict JSON: `"1"` is no integer and `1` no boolean, while a UUID, a
    time (`Instant`), a day (`Day`) or an enumeration is the string JSON has for it.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _as_json(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        # FastAPI hands over Python values, and strict Python mode would take no
        # string for a UUID; so the outermost model is validated as JSON.
        if info.mode == "json" or not isinstance(value, dict):
            return handler(value)
        return cls.model_validate_json(_to_json(value), context=info.context)

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: Any) -> None:
        """Refuse a member that no request could fill.

        Raises:
            TypeError: A member is a bare `date` or `datetime`, which strict mode takes
                no text for; `Day` and `Instant` are read from theirs.
        """
        for name, member in cls.model_fields.items():
            read = any(isinstance(one, BeforeValidator) for one in member.metadata)
            if not read and _has_bare_time(member.annotation):
                raise TypeError(f"{cls.__name__}.{name}: use Day or Instant")


def _has_bare_time(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        if any(isinstance(one, BeforeValidator) for one in metadata):
            return False
        return _has_bare_time(inner)
    if annotation in (date, datetime, AwareDatetime):
        return True
    return any(_has_bare_time(inner) for inner in get_args(annotation))


@dataclass(frozen=True, slots=True)
class Text:
    """Annotation of a text: bounded, in NFC, without control characters.

    Attributes:
        max_length: Most characters, after normalisation. UAX #15 NFC.
        min_length: Fewest characters.
        lines: Whether tab and line feed are allowed.
        pattern: Regular expression (Rust syntax) the text must match as sent.
    """

    max_length: int
    min_length: int = 1
    lines: bool = False
    pattern: str | None = None

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema: a strict bounded string, then normalised and checked."""
        text = core_schema.str_schema(
            strict=True,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
        )
        return core_schema.no_info_after_validator_function(self._clean, text)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON schema, which names the refused characters too."""
        document = handler(schema)
        low = r"\u0000-\u0008\u000b-\u001f" if self.lines else r"\u0000-\u001f"
        printable = rf"^[^{low}\u007f-\u009f]*$"  # ECMA-262, as JSON schema wants it
        document.setdefault("pattern", printable)
        return document

    def _clean(self, value: str) -> str:
        unwanted = {c for c in value if unicodedata.category(c) in {"Cc", "Cs"}}
        if unwanted - set("\t\n" if self.lines else ""):
            raise PydanticCustomError("control_character", "has a control character")
        normal = unicodedata.normalize("NFC", value)
        if not self.min_length <= len(normal) <= self.max_length:
            raise PydanticCustomError("string_length", "has a wrong length")
        return normal


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Annotation of a union: what fits no alternative is one fault, at its place.

    Pydantic would give a fault for each alternative, below a place of that name.

    Attributes:
        code: The fault's.
    """

    code: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the union's schema with one error of its own."""
        schema: Any = handler(source)
        union = schema["schema"] if schema["type"] == "nullable" else schema
        union |= {"custom_error_type": self.code, "custom_error_message": self.code}
        return cast("CoreSchema", schema)


Name = Annotated[str, Text(64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""A name of a class, field, party or client: `[a-z0-9_-]`, at most 64."""

SAFE_INT = 2**53 - 1
_DIGITS = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _integral(value: Any) -> Any:
    """Let `1.0` be the integer it is in JSON schema; leave everything else alone."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _digits(value)


def _digits(value: Any) -> Any:
    """Refuse the spellings of an integer that only Python knows: `1_0`, ` 1`, `1.0`."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise PydanticCustomError("int_parsing", "must be an integer")
    return value


def _instant(value: Any) -> Any:
    """Return the time of an RFC 3339 text; pydantic would take `1700000000` too."""
    moment = parse_rfc3339(value) if isinstance(value, str) else None
    if moment is None:
        raise PydanticCustomError("datetime_parsing", "must be a time as in RFC 3339")
    return moment


def _day(value: Any) -> Any:
    if isinstance(value, str) and _DAY.fullmatch(value):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("date_parsing", "must be a date")


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
"""A time with its offset; see `clock.parse_rfc3339`."""

Day = Annotated[date, BeforeValidator(_day)]
"""A day, `YYYY-MM-DD`."""

Digits = BeforeValidator(_digits)
"""For an integer of an address or header: ASCII digits, one spelling."""

Whole = Annotated[int, Field(ge=-SAFE_INT, le=SAFE_INT), BeforeValidator(_integral)]
"""An integer every JSON reader keeps exactly. RFC 7493 §2.2, RFC 8785 §3.2.2.3."""

Position = Annotated[int, Field(ge=0, le=SAFE_INT), BeforeValidator(_integral)]
"""A position or count, in a body, path or query."""

Limit = Annotated[
    int, Query(ge=1, le=200, description="Most items of the page."), Digits
]
"""Page size; outside 1-200 the answer is 400 `limit-out-of-range`, never a cap."""

Cursor = Annotated[str, Text(1024, pattern=r"^[A-Za-z0-9_=.-]+$")]
"""An opaque cursor as a caller sends it back."""
