# SPDX-License-Identifier: Apache-2.0
"""How a request's bytes become values: bounded, UTF-8, unambiguous, or refused.

Owns the route class of every Keyturn route, the base class of request models and the
text types. It never answers: it raises `Refusal`, and problem_json maps that.
RFC 8259 leaves duplicate keys and lone surrogates open; here they are refused.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any, Protocol, Self, runtime_checkable
from urllib.parse import parse_qsl, unquote_to_bytes

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import (
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
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, from_json
from pydantic_core import to_json as _to_json

from contracts import problems
from contracts.problems import Refusal

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 64
MAX_INT = 2**63 - 1
MIN_INT = -(2**63)
MAX_FORM_FIELDS = 20


# -- Bytes to values ----------------------------------------------------------


def decode(data: bytes) -> Any:
    """Return the JSON value of `data`. RFC 8259, read strictly.

    Raises:
        Refusal: `malformed-json` if the bytes are not UTF-8 JSON, or hold NaN, an
            infinite number, a lone surrogate, NUL, an integer beyond 64 bits or more
            than 64 levels; `duplicate-key` if an object has a key twice.
    """
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        # The cause would quote the input, so it is dropped.
        raise Refusal(problems.MALFORMED_JSON) from None
    _check_values(value)
    # pydantic-core keeps the last of equal keys; the standard parser shows them all.
    # The input is valid and shallow by now, so this cannot fail otherwise.
    json.loads(data.decode(), object_pairs_hook=_refuse_duplicates)
    return value


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refusal(problems.DUPLICATE_KEY)


def _check_values(root: Any) -> None:
    level: list[Any] = [root]
    for _depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            _check_scalar(value)
            below.extend(_children(value))
        if not below:
            return
        level = below
    raise Refusal(problems.MALFORMED_JSON)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return value if isinstance(value, list) else ()


def _check_scalar(value: Any) -> None:
    if isinstance(value, str):
        # PostgreSQL refuses U+0000 in text, and C code ends a string there.
        fine = "\x00" not in value
    elif isinstance(value, int):
        fine = MIN_INT <= value <= MAX_INT
    else:
        # 1e999 becomes infinite, which JSON cannot say.
        fine = not isinstance(value, float) or math.isfinite(value)
    if not fine:
        raise Refusal(problems.MALFORMED_JSON)


def decode_form(data: bytes) -> dict[str, str]:
    """Return the fields of a form body, each at most once. WHATWG URL §5.1.

    Raises:
        Refusal: `bad-request` if a field is doubled or the bytes are no UTF-8 form.
    """
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise Refusal(problems.BAD_REQUEST) from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\x00" in k + v for k, v in pairs):
        raise Refusal(problems.BAD_REQUEST)
    return fields


# -- Requests -----------------------------------------------------------------


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


def require_media_type(request: Request, accepted: Iterable[str]) -> None:
    """Refuse a body whose media type is not one of `accepted`, or not in UTF-8.

    Raises:
        Refusal: `media-type`.
    """
    values = request.headers.getlist("content-type")
    message = Message()
    message["content-type"] = values[0] if values else "-"
    charset = str(message.get_param("charset", "utf-8")).lower()
    known = message.get_content_type() in set(accepted) and "/" in "".join(values)
    if len(values) != 1 or not known or charset not in {"utf-8", "utf8"}:
        raise Refusal(problems.MEDIA_TYPE)


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

    Reads the body once, within `max_body_size` bytes (1 MiB unless the route says
    otherwise), in the media type the route declares and no other.
    """

    def get_route_handler(self) -> Handler:
        """Return the handler that checks first and then does FastAPI's work."""
        inner = super().get_route_handler()
        limit = self.max_body_size or MAX_BODY_BYTES
        field = self.body_field
        media_type = getattr(field.field_info, "media_type", None) if field else None
        calls: list[Any] = [d.call for d in self.dependant.dependencies]
        guards = [call for call in calls if isinstance(call, BeforeBody)]

        async def handler(request: Request) -> Response:
            _check_address(request)
            bounded = BoundedRequest(request.scope, request.receive)
            bounded.max_body_bytes = limit
            for guard in guards:
                await guard.before_body(bounded)
            if field is not None:
                require_media_type(bounded, (media_type or "application/json",))
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


class StrictRouter(APIRouter):
    """A router all of whose routes are strict. Give it its prefix here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=StrictRoute, redirect_slashes=False, **options)


# -- Models and types ---------------------------------------------------------


class Body(BaseModel):
    """Base of every request model: unknown members and coercions are refused.

    Strict means strict JSON: `"1"` is no integer and `1` no boolean, while a UUID, a
    time or an enumeration is written as the string JSON has for it.
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


Name = Annotated[str, Text(64, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""A name of a class, field, party or client: `[a-z0-9_-]`, at most 64."""

SAFE_INT = 2**53 - 1


def _integral(value: Any) -> Any:
    """Let `1.0` be the integer it is in JSON schema; leave everything else alone."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Whole = Annotated[int, Field(ge=-SAFE_INT, le=SAFE_INT), BeforeValidator(_integral)]
"""An integer every JSON reader keeps exactly. RFC 7493 §2.2, RFC 8785 §3.2.2.3."""

Position = Annotated[int, Field(ge=0, le=SAFE_INT), BeforeValidator(_integral)]
"""A position or count, in a body, path or query."""

Limit = Annotated[int, Query(ge=1, le=200)]
"""Page size; outside 1-200 the answer is 400 `limit-out-of-range`, never a cap."""

Cursor = Annotated[str, Text(1024, pattern=r"^[A-Za-z0-9_=.-]+$")]
"""An opaque cursor as a caller sends it back."""
