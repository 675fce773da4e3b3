# SPDX-License-Identifier: Apache-2.0
"""A body's bytes as JSON values or form fields: unambiguous, bounded, or refused.

RFC 8259 leaves duplicate keys and lone surrogates open; here they are refused. Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json

from contracts import problems
from contracts.problems import Refusal

MAX_DEPTH = 64
MAX_INT = 2**63 - 1
MIN_INT = -(2**63)
MAX_FORM_FIELDS = 20


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
