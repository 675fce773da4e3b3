# SPDX-License-Identifier: Apache-2.0
"""Which token a route needs. A route that says nothing stops the start.

Guards look at routes, never at URLs: a path or host decides nothing here.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

from fastapi import Depends, FastAPI, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.routing import iter_route_contexts
from fastapi.security import OAuth2

from contracts import problems
from contracts import scopes as scope_names
from contracts.problems import Refusal
from contracts.scopes import Scope
from services.chassis.auth.origin import Origin
from services.chassis.auth.tokens import Principal, TokenVerifier
from services.chassis.transport import PEER

SCHEME_NAME = "keyturn"
TOKEN_PATH = "/v1/token"  # noqa: S105 - an address
_FLOWS = OAuthFlows(
    clientCredentials=OAuthFlowClientCredentials(
        tokenUrl=TOKEN_PATH,
        scopes={scope.value: text for scope, text in scope_names.MEANINGS.items()},
    )
)


class Requirement(OAuth2):
    """Dependency that lets a request in only with a token of all these scopes.

    With `one_of`, any one of them is enough.

    It is the security scheme of the OpenAPI document itself, which spares each request
    a nested dependency.
    """

    def __init__(self, *needed: Scope, one_of: bool = False) -> None:
        super().__init__(
            scheme_name=SCHEME_NAME,
            description="Access token of the vault, or of a configured OIDC issuer.",
            flows=_FLOWS,
            auto_error=False,
        )
        self.needed = frozenset(needed)
        self.one_of = one_of

    async def before_body(self, request: Request) -> None:
        """Refuse before a byte of the body is read (`body.BeforeBody`)."""
        await self._admit(request)

    async def __call__(  # type: ignore[override]
        self, request: Request
    ) -> Principal:
        """Return the caller.

        Raises:
            Refusal: `authentication-required`, `token-invalid`, `token-expired` or
                `scope-missing` or `address-not-allowed`.
        """
        return await self._admit(request)

    async def _admit(self, request: Request) -> Principal:
        return await self.admit(request.scope, request.headers.get("authorization", ""))

    async def admit(self, scope: MutableMapping[str, Any], said: str) -> Principal:
        """Return the caller of an ASGI request whose `Authorization` is `said`.

        Raises:
            Refusal: As a call.
        """
        state = scope.setdefault("state", {})
        principal: Principal | None = state.get("principal")
        if principal is None:
            verifier: TokenVerifier = scope["app"].state.verifier
            principal = await verifier.verify(_token_of(said), _origin_of(scope))
            state["principal"] = principal
        if not (self.one_of and self.needed & principal.scopes):
            need(principal, *self.needed)
        return principal


def origin_of(request: Request) -> Origin:
    """Return where a request comes from, as the server saw it."""
    return _origin_of(request.scope)


def _origin_of(scope: MutableMapping[str, Any]) -> Origin:
    client = scope.get("client")
    shown = scope.get("state", {}).get(PEER)
    return Origin(client[0] if client else "", shown)


def bearer_token(request: Request) -> str:
    """Return the token of `Authorization: Bearer <token>`. RFC 6750 §2.1.

    Raises:
        Refusal: `authentication-required` if there is none.
    """
    return _token_of(request.headers.get("authorization", ""))


def _token_of(said: str) -> str:
    kind, _, token = said.partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise Refusal(problems.AUTHENTICATION_REQUIRED)
    return token.strip()


def need(principal: Principal, *scopes: Scope) -> None:
    """Let only a token of all these scopes go on.

    Raises:
        Refusal: `scope-missing`, naming those that it lacks.
    """
    missing = frozenset(scopes) - principal.scopes
    if missing:
        raise Refusal(
            problems.SCOPE_MISSING, extra={"required_scopes": sorted(missing)}
        )


def require_any(*scopes: Scope) -> Any:
    """Guard a route: a valid token with at least one of `scopes`.

    The route asks `need` for what only some of them open.
    """
    needed = [scope.value for scope in scopes]
    return Security(Requirement(*scopes, one_of=True), scopes=needed)


def require(*needed: Scope) -> Any:
    """Guard a route: a valid token with all `needed` scopes.

    `principal: Annotated[Principal, require(Scope.RECORDS_READ)]`. Without arguments
    any valid token will do.
    """
    return Security(Requirement(*needed), scopes=[scope.value for scope in needed])


def _public() -> None:
    """Mark a route that answers without a token."""


def public() -> Any:
    """Mark a route as public: `dependencies=[public()]`."""
    return Depends(_public)


def unguarded_routes(app: FastAPI) -> list[str]:
    """Return `METHODS path` of every route that is neither guarded nor public."""
    return [
        f"{','.join(sorted(context.methods or ()))} {context.path}"
        for context in iter_route_contexts(app.routes)
        if not _is_marked(getattr(context, "dependant", None))
    ]


def public_routes(app: FastAPI) -> list[str]:
    """Return `METHODS path` of every route that answers without a token."""
    return [
        f"{','.join(sorted(context.methods or ()))} {context.path}"
        for context in iter_route_contexts(app.routes)
        if _public in _calls(getattr(context, "dependant", None))
    ]


def _is_marked(dependant: Dependant | None) -> bool:
    return any(
        call is _public or isinstance(call, Requirement) for call in _calls(dependant)
    )


def _calls(dependant: Dependant | None) -> Iterator[Any]:
    if dependant is not None:
        yield dependant.call
        for inner in dependant.dependencies:
            yield from _calls(inner)
