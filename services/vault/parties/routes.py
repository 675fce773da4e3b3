# SPDX-License-Identifier: Apache-2.0
"""Routes of the parties room: tokens, the issuer's keys, officers."""
# Annotations are evaluated here: FastAPI reads them.

import base64
import binascii
from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import unquote_plus

from fastapi import Path, Request, Response

from contracts import problems
from contracts.scopes import Scope
from services.chassis.auth import Principal, origin_of, public, require
from services.chassis.body import Name, StrictRouter, Text, read_form
from services.chassis.declared import answered, openapi_responses
from services.vault.parties.assertions import ASSERTION_TYPE
from services.vault.parties.errors import CredentialsRefused, GrantRefused
from services.vault.parties.issuer import IssuedToken, TokenIssuer
from services.vault.parties.operations import ClientCredentials, Parties
from services.vault.parties.schemas import (
    InstallationOut,
    JwksOut,
    OfficerKeyOut,
    OfficerKeysOut,
    RevocationOut,
    RevocationsOut,
    RevokedOut,
    TokenOut,
)

KeyId = Annotated[str, Path(), Text(64, pattern=r"^[0-9a-f]{64}$")]

_FORM: Final = (
    "grant_type",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
)
_FORM_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {name: {"type": "string"} for name in _FORM},
                }
            }
        },
    }
}


def router(parties: Parties, issuer: TokenIssuer) -> StrictRouter:
    """Return the routes of `parties`."""
    api = StrictRouter(tags=["parties"])

    @api.post(
        "/v1/token",
        dependencies=[public()],
        summary="Get an access token (RFC 6749 client credentials, RFC 7523)",
        openapi_extra=_FORM_BODY,
        responses=openapi_responses(
            problems.CREDENTIALS_INVALID,
            problems.SCOPE_NOT_GIVEN,
            problems.AUDIT_UNAVAILABLE,
            problems.BUSY,
            problems.SHUTTING_DOWN,
        ),
    )
    async def issue_token(request: Request, response: Response) -> TokenOut:
        response.headers["Cache-Control"] = "no-store"
        return TokenOut.of(await _token(parties, request))

    @api.get("/v1/jwks", dependencies=[public()], summary="The issuer's public keys")
    async def read_jwks() -> JwksOut:
        return JwksOut.model_validate(issuer.jwks())

    @api.get(
        "/v1/installation",
        dependencies=[public()],
        summary="Which installation this is",
    )
    async def read_installation() -> InstallationOut:
        return InstallationOut(installation=parties.installation)

    @api.get(
        "/v1/parties/{party}/officers",
        summary="Public keys of the own party's officers; reviewers see every party's",
    )
    async def list_officers(
        party: Annotated[Name, Path()],
        caller: Annotated[Principal, require(Scope.OFFICERS_READ)],
    ) -> OfficerKeysOut:
        keys = await parties.officers(caller, party)
        return OfficerKeysOut(items=[OfficerKeyOut.of(key) for key in keys])

    @api.get(
        "/v1/revocations",
        dependencies=[require(Scope.REVOCATIONS_READ)],
        summary="Who was revoked while a token of theirs may still live",
    )
    async def read_revocations() -> RevocationsOut:
        found = await parties.revocations()
        return RevocationsOut(items=[RevocationOut(**asdict(item)) for item in found])

    @api.post(
        "/v1/officers/{key_id}:revoke",
        responses={
            200: answered("Audit-Event"),
            **openapi_responses(problems.DENIED, problems.STATE_CONFLICT),
        },
        summary="Revoke the key file of another officer of one's party",
    )
    async def revoke_officer(
        key_id: KeyId,
        response: Response,
        caller: Annotated[Principal, require(Scope.OFFICERS_WRITE)],
    ) -> RevokedOut:
        event = await parties.revoke_officer(caller, key_id)
        if event is not None:
            response.headers["Audit-Event"] = str(event)
        return RevokedOut(key_id=key_id)

    return api


async def _token(parties: Parties, request: Request) -> IssuedToken:
    form = await read_form(request)
    if not form.keys() <= set(_FORM) or "grant_type" not in form:
        raise GrantRefused("invalid_request")
    if form["grant_type"] != "client_credentials":
        raise GrantRefused("unsupported_grant_type")
    basic = _basic(request.headers.get("authorization"))
    assertion = form.get("client_assertion")
    ways = [basic is not None, assertion is not None, "client_secret" in form]
    if sum(ways) != 1:
        # RFC 6749 §2.3: one method of authentication a request.
        raise GrantRefused("invalid_request")
    scope, origin = form.get("scope"), origin_of(request)
    if assertion is not None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise GrantRefused("invalid_request")
        return await parties.token_for_officer(
            assertion, scope, form.get("client_id"), origin
        )
    credentials = basic or ClientCredentials(
        form.get("client_id", ""), form["client_secret"]
    )
    return await parties.token_for_client(credentials, scope, origin)


def _basic(header: str | None) -> ClientCredentials | None:
    """Return the credentials of `Authorization: Basic`. RFC 6749 §2.3.1.

    Raises:
        CredentialsRefused: The header is there and is no Basic credentials.
    """
    if header is None:
        return None
    kind, _, text = header.partition(" ")
    try:
        if kind.lower() != "basic":
            raise CredentialsRefused
        id_, found, secret = (
            base64.b64decode(text, validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        raise CredentialsRefused from None
    if not found:
        raise CredentialsRefused
    return ClientCredentials(unquote_plus(id_), unquote_plus(secret))
