# SPDX-License-Identifier: Apache-2.0
"""Hostile requests, made from a right one and the schema it must keep.

Every value carries the canary, so that an echo of any byte of it is found. What the
schema allows is not hostile and is left out; `test_hostile_*` send the rest.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator

CANARY = "Zk7qCanaryWw9"
DIGITS = "918273645546372819"
"""A canary that is a number: digits no clock, count or id ever shows."""

CANARIES = (CANARY, CANARY.lower(), DIGITS)
RAW = "@@RAW@@"


@dataclass(frozen=True)
class Hostile:
    """A body to send instead of the right one.

    Attributes:
        kind: What is wrong with it.
        headers: Headers to replace; None removes one.
        status: The only statuses that are right.
    """

    kind: str
    content: bytes
    headers: Mapping[str, str | None]
    status: tuple[int, ...]


def _bad(kind: str, content: bytes, *status: int, **headers: str | None) -> Hostile:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hostile(kind, content, named, status)


# -- Bodies of bytes ----------------------------------------------------------


def of_encoding(body: Any, limit: int) -> Iterator[Hostile]:
    """Bodies whose bytes are wrong, whatever the schema says."""
    text = json.dumps(body)
    marked = text[:-1] + f', "{CANARY}": 1}}'
    yield _bad("empty", b"", 400, 422)
    yield _bad("cut off", marked.encode()[:-9], 400)
    yield _bad("two values", f"{text} {json.dumps(CANARY)}".encode(), 400)
    yield _bad("byte order mark", b"\xef\xbb\xbf" + text.encode(), 400)
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        yield _bad(encoding, text.encode(encoding), 400)
    yield _bad("latin-1", f'{{"{CANARY}": "caf\xe9"}}'.encode("latin-1"), 400)
    for levels in (100, 10_000):
        arrays = b"[" * levels + b"]" * levels
        objects = f'{{"{CANARY}":'.encode() * levels + b"1" + b"}" * levels
        yield _bad(f"{levels} arrays", arrays, 400)
        yield _bad(f"{levels} objects", objects, 400)
    yield _bad("key twice", _doubled(body), 400)
    yield _bad("too large", text.encode() + b" " * limit, 413)
    yield _bad("binary", bytes(range(256)) + CANARY.encode(), 400)


def _doubled(body: Any) -> bytes:
    text = json.dumps(body if isinstance(body, dict) and body else {CANARY: 1})
    return f"{text[:-1]}, {text[1:]}".encode()


def of_media_type(body: Any) -> Iterator[Hostile]:
    """Right bodies under a wrong or missing content type."""
    content = json.dumps(body).encode()
    for media in (
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        f"application/{CANARY}",
        CANARY,
        "",
        "/",
    ):
        yield _bad(f"type {media}", content, 415, Content_Type=media)
    yield _bad("no type", content, 415, Content_Type=None)


SCALARS: Mapping[str, str] = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "2^63": str(2**63),
    "-2^63-1": str(-(2**63) - 1),
    "2^64": str(2**64),
    "5,000 digits": DIGITS * 278,
    "hexadecimal": "0x10",
    "leading zero": "01",
    "NUL": f'"{CANARY}\\u0000"',
    "raw NUL": f'"{CANARY}\x00"',
    "lone surrogate": f'"{CANARY}\\ud800"',
    "surrogates turned": f'"{CANARY}\\udc00\\ud800"',
    "raw surrogate": "RAW-SURROGATE",
    "raw 0xff": "RAW-FF",
    "overlong NUL": "RAW-C080",
    "bad escape": f'"{CANARY}\\x41"',
    "newline": f'"{CANARY}\n"',
}
_RAW_BYTES = {
    "RAW-SURROGATE": f'"{CANARY}'.encode() + b'\xed\xa0\x80"',
    "RAW-FF": f'"{CANARY}'.encode() + b'\xff"',
    "RAW-C080": f'"{CANARY}'.encode() + b'\xc0\x80"',
}


def of_scalars(body: Any) -> Iterator[Hostile]:
    """A right body in which one value, or one key, is what JSON must not hold."""
    places = _spread(list(_places(body)))
    for kind, text in SCALARS.items():
        raw = _RAW_BYTES.get(text, text.encode())
        for place in places:
            marked = json.dumps(_with(body, place, RAW)).encode()
            found = marked.replace(f'"{RAW}"'.encode(), raw)
            yield _bad(f"{kind} at {place}", found, 400)
        if text.startswith(('"', "RAW")):
            key = b"{" + raw + b": 1}"
            yield _bad(f"{kind} as a key", key, 400)


def _spread(places: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The shallowest place, the deepest and one between: bytes fail alike anywhere."""
    by_depth = sorted(places, key=len)
    return [by_depth[at] for at in sorted({0, len(places) // 2, len(places) - 1})]


# -- Bodies of values ---------------------------------------------------------

VALUES: Mapping[str, Any] = {
    "true": True,
    "zero": 0,
    "one": 1,
    "negative": -1,
    "fraction": 1.5,
    "digits": int(DIGITS),
    "text of digits": DIGITS,
    "text": CANARY,
    "empty text": "",
    "long text": CANARY * 8_000,
    "bell": f"{CANARY}\u0007",
    "markup": f"<script>{CANARY}</script>",
    "statement": f"'; DROP TABLE {CANARY}; --",
    "formula": f"=cmd|'/{CANARY}'!A0",
    "path": f"../../../{CANARY}",
    "template": "{{" + CANARY + "}}",
    "null": None,
    "array": [CANARY],
    "arrays": [[CANARY]],
    "object": {CANARY: CANARY},
    "long array": [CANARY] * 2_000,
    "no day": "2026-02-30",
    "no time": "2026-02-30T25:00:00Z",
    "local time": "2026-02-03T04:05:06",
    "far year": "99999-01-01T00:00:00Z",
}


def of_values(body: Any, schema: Mapping[str, Any]) -> Iterator[Hostile]:
    """Well-formed JSON that the schema does not allow."""
    validator = Draft202012Validator(schema)
    for kind, changed in _changed(body):
        if not validator.is_valid(changed):
            yield _bad(kind, json.dumps(changed).encode(), 422)


def _changed(body: Any) -> Iterator[tuple[str, Any]]:
    for kind, value in VALUES.items():
        yield f"{kind} as the body", value
        for place in _places(body):
            yield f"{kind} at {place}", _with(body, place, value)
    for place in [(), *_places(body)]:
        held = _at(body, place)
        if isinstance(held, dict):
            yield f"unknown member at {place}", _with(body, (*place, CANARY), CANARY)
            for name in held:
                yield f"no {name} at {place}", _without(body, (*place, name))


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a value below its root; of an array its first item only."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value[:1]))
    for key, inner in items:
        yield (*place, key)
        yield from _places(inner, (*place, key))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def _with(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(body)
    _at(changed, place[:-1])[place[-1]] = value
    return changed


def _without(body: Any, place: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(body)
    del _at(changed, place[:-1])[place[-1]]
    return changed


# -- Parameters ---------------------------------------------------------------

TEXTS: Mapping[str, str] = {
    "canary": CANARY,
    "upper case": CANARY.upper(),
    "digits": DIGITS,
    "5,000 digits": DIGITS * 278,
    "2^63": str(2**63),
    "zero": "0",
    "negative": "-1",
    "201": "201",
    "letters": "abc",
    "exponent": "1e2",
    "infinite": "1e999",
    "fraction": "1.0",
    "other digits": "\u0661\u0662",
    "blank": " 1",
    "underscore": "1_0",
    "plus": "+1",
    "long": CANARY * 100,
    "control": f"{CANARY}\u0007",
    "new line": f"{CANARY}\r\nX-Injected: {CANARY}",
    "dots": f"..%2f..%2f{CANARY}",
    "local time": "2026-02-03T04:05:06",
    "null": "null",
    "object": '{"' + CANARY + '":1}',
}
BYTES: Mapping[str, str] = {
    "NUL": f"{CANARY}%00",
    "0xff": f"{CANARY}%FF",
    "surrogate": f"{CANARY}%ED%A0%80",
    "overlong": f"{CANARY}%C0%AE",
}
"""Percent-encoded bytes that no UTF-8 text has, or that no text may have."""


def of_parameter(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Encoded texts that a parameter of a path or query must not be."""
    for kind, text in BYTES.items():
        yield kind, text
    for kind, text in TEXTS.items():
        if not _allows(schema, text):
            yield kind, quote(text, safe="")


def _allows(schema: Mapping[str, Any], text: str) -> bool:
    """Whether a text, read as the schema's types say, keeps the schema."""
    readings: list[Any] = [text]
    if re.fullmatch(r"-?[0-9]{1,19}", text, re.ASCII):
        readings.append(int(text))
    validator = Draft202012Validator(
        schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return any(validator.is_valid(reading) for reading in readings)
