# SPDX-License-Identifier: Apache-2.0
"""Refusals about the request itself: its address, its preconditions, its bytes."""

from __future__ import annotations

from contracts.problems.problem import Problem

# -- What is asked for --------------------------------------------------------

NOT_FOUND = Problem(
    "not-found",
    404,
    "Not found",
    "There is nothing here for this caller.",
    "Check the address and the id; another party's things are never shown.",
)
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed",
    405,
    "Method not allowed",
    "This address exists, but not with this method.",
    "Use a method listed in the `Allow` header.",
)
NOT_ACCEPTABLE = Problem(
    "not-acceptable",
    406,
    "Not acceptable",
    "The answer does not exist in the media type asked for.",
    "Accept one of the media types this operation documents.",
)
GONE = Problem(
    "gone",
    410,
    "Gone",
    "This was here and has been removed for good.",
    "Do not ask again.",
)

# -- Preconditions ------------------------------------------------------------

ETAG_STALE = Problem(
    "etag-stale",
    412,
    "Changed meanwhile",
    "What you want to change is no longer the version you named.",
    "Read it again, apply your change to that, and send its ETag.",
)
ETAG_REQUIRED = Problem(
    "etag-required",
    428,
    "ETag required",
    "A change must name the version it changes.",
    "Send `If-Match` with the ETag you read.",
)
IDEMPOTENCY_KEY_REQUIRED = Problem(
    "idempotency-key-required",
    400,
    "Idempotency key required",
    "This operation creates something and needs an idempotency key.",
    "Send the header `Idempotency-Key` with a fresh random value per operation.",
)
IDEMPOTENCY_KEY_INVALID = Problem(
    "idempotency-key-invalid",
    400,
    "Idempotency key not accepted",
    "The idempotency key is empty, too long or has characters outside ASCII.",
    "Send 1-255 visible ASCII characters, bare or in double quotes.",
)
IDEMPOTENCY_MISMATCH = Problem(
    "idempotency-mismatch",
    422,
    "Idempotency key used for another request",
    "This idempotency key was used before with different content.",
    "Use a fresh key for a new operation; repeat the old content to retry it.",
)

# -- The bytes that were sent -------------------------------------------------

BAD_REQUEST = Problem(
    "bad-request",
    400,
    "Bad request",
    "The request could not be understood.",
    "Compare the request with the OpenAPI document of this service.",
)
MALFORMED_JSON = Problem(
    "malformed-json",
    400,
    "Malformed JSON",
    "The body is not UTF-8 JSON within the accepted bounds.",
    "Send UTF-8 JSON without NaN, lone surrogates or NUL, nested at most 64 deep, "
    "with integers of at most 64 bits.",
)
DUPLICATE_KEY = Problem(
    "duplicate-key",
    400,
    "Duplicate key",
    "An object of the body has the same key twice.",
    "Send each key once.",
)
LIMIT_OUT_OF_RANGE = Problem(
    "limit-out-of-range",
    400,
    "Limit out of range",
    "The page size is outside the accepted range.",
    "Ask for 1 to 200 items a page.",
)
CURSOR_INVALID = Problem(
    "cursor-invalid",
    400,
    "Cursor not accepted",
    "The cursor was not made by this service for this listing.",
    "Use `next_cursor` of the previous page unchanged, or start over.",
)
BODY_TOO_LARGE = Problem(
    "body-too-large",
    413,
    "Body too large",
    "The body exceeds the size this operation accepts.",
    "Send less at once.",
)
MEDIA_TYPE = Problem(
    "media-type",
    415,
    "Media type not accepted",
    "The body is not in a media type this operation accepts.",
    "Send the media type that the OpenAPI document names, in UTF-8.",
)
HEADER_TOO_LARGE = Problem(
    "header-too-large",
    431,
    "Headers too large",
    "The request's headers exceed the size this service accepts.",
    "Send fewer or shorter headers.",
)
VALIDATION = Problem(
    "validation",
    422,
    "Not valid",
    "The request is well-formed but its content is not what this operation takes.",
    "See `errors`: each names a place and a rule, never the value.",
)
FIELD_UNKNOWN = Problem(
    "field-unknown",
    422,
    "Field not in the catalogue",
    "The record has a field that the party's field catalogue does not know.",
    "Add the field to the catalogue first, or leave it out.",
)
PHONE_UNPARSABLE = Problem(
    "phone-unparsable",
    422,
    "Phone number not understood",
    "A phone field holds something that is no phone number.",
    "Send an international number that begins with `+`; `errors` names the field.",
)
