# SPDX-License-Identifier: Apache-2.0
"""Refusals about who is calling, why, and whether they may."""

from __future__ import annotations

from contracts.problems.problem import Problem

# -- Who is calling -----------------------------------------------------------

AUTHENTICATION_REQUIRED = Problem(
    "authentication-required",
    401,
    "Authentication required",
    "The request carries no access token.",
    "Send `Authorization: Bearer <token>`; get a token from POST /v1/token.",
)
TOKEN_INVALID = Problem(
    "token-invalid",
    401,
    "Access token not accepted",
    "The access token is malformed, not signed by the issuer of this installation, "
    "or made for something else.",
    "Get a new token from the issuer of this installation.",
)
TOKEN_EXPIRED = Problem(
    "token-expired",
    401,
    "Access token expired",
    "The access token was valid once and has expired.",
    "Get a new token and repeat the request.",
)
CREDENTIALS_INVALID = Problem(
    "credentials-invalid",
    401,
    "Credentials not accepted",
    "The client or officer could not be authenticated.",
    "Check the id and the secret or login key; a revoked key never works again.",
)
ADDRESS_NOT_ALLOWED = Problem(
    "address-not-allowed",
    403,
    "Address not allowed",
    "The party of this token lets it be used from its own networks only.",
    "Call from a network on the party's allow-list; the operator changes it on the "
    "vault's host, and a new token carries the change.",
)
SCOPE_MISSING = Problem(
    "scope-missing",
    403,
    "Scope missing",
    "The access token lacks a scope that this operation needs.",
    "Ask for a token with the scopes in `required_scopes`.",
)
SCOPE_NOT_GIVEN = Problem(
    "scope-not-given",
    400,
    "Scope not given to this client",
    "A requested scope is unknown or was not given to this client.",
    "Ask for scopes the client was enrolled with, or leave `scope` out.",
)

# -- Why, and may they --------------------------------------------------------

PURPOSE_MISSING = Problem(
    "purpose-missing",
    400,
    "Purpose missing",
    "The request names no purpose and the client has no default purpose.",
    "Send the header `Keyturn-Purpose` with a purpose the client was given.",
)
PURPOSE_UNKNOWN = Problem(
    "purpose-unknown",
    400,
    "Purpose unknown",
    "The header `Keyturn-Purpose` is no purpose of the catalogue.",
    "Use a purpose of the catalogue; purposes are terms, never free text.",
)
PURPOSE_NOT_GIVEN = Problem(
    "purpose-not-given",
    403,
    "Purpose not given to this client",
    "The client was not given the purpose it named.",
    "Use one of the client's purposes, or have the purpose given to it.",
)
DENIED = Problem(
    "denied",
    403,
    "Denied by policy",
    "The access policy of this installation does not allow this.",
    "Read `reason`; the denial is recorded in the log.",
)
MANDATE_REFUSED = Problem(
    "mandate-refused",
    403,
    "Mandate refused",
    "The approvals and releases do not allow this step.",
    "Read `reason`; collect the missing or valid signatures and send them again.",
)
SIGNATURE_INVALID = Problem(
    "signature-invalid",
    403,
    "Signature not accepted",
    "A signature is wrong, or its key is unknown, revoked or not for this use.",
    "Sign with an enrolled key of the right officer.",
)
DEMONSTRATION_ONLY = Problem(
    "demonstration-only",
    403,
    "Only in demonstration mode",
    "The request uses a member that only demonstration mode accepts.",
    "Leave it out, or start the installation in demonstration mode.",
)
