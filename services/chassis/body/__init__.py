# SPDX-License-Identifier: Apache-2.0
"""How a request's bytes become values: bounded, UTF-8, unambiguous, or refused."""

from services.chassis.body.decoding import (
    MAX_DEPTH,
    MAX_FORM_FIELDS,
    MAX_INT,
    MIN_INT,
    decode,
    decode_form,
)
from services.chassis.body.requests import (
    MAX_BODY_BYTES,
    BeforeBody,
    BoundedRequest,
    PageRoute,
    StrictRoute,
    StrictRouter,
    read_bytes,
    read_form,
    require_media_type,
)
from services.chassis.body.values import (
    SAFE_INT,
    Body,
    Cursor,
    Day,
    Digits,
    Instant,
    Limit,
    Name,
    Position,
    Text,
    Whole,
)

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DEPTH",
    "MAX_FORM_FIELDS",
    "MAX_INT",
    "MIN_INT",
    "SAFE_INT",
    "BeforeBody",
    "Body",
    "BoundedRequest",
    "Cursor",
    "Day",
    "Digits",
    "Instant",
    "Limit",
    "Name",
    "PageRoute",
    "Position",
    "StrictRoute",
    "StrictRouter",
    "Text",
    "Whole",
    "decode",
    "decode_form",
    "read_bytes",
    "read_form",
    "require_media_type",
]
