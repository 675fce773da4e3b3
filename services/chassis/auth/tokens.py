# SPDX-License-Identifier: Apache-2.0
"""Access tokens: their claims, their verification, whom they name (RFC 9068).

Reads no environment and speaks no HTTP: keys come through `KeySource`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from contracts import problems
from contracts import scopes as scope_names
from contracts.problems import Refusal
from contracts.scopes import Scope
from services.chassis.auth.origin import ANYWHERE, Bounds, Origin, bounds_of
from services.chassis.clock import Clock

MAX_TOKEN_CHARACTERS = 8192
LEEWAY_SECONDS = 5
CACHE_ENTRIES = 4096
CACHE_SECONDS = 60
PLATFORM = "platform"
"""The party that runs Keyturn; its clients are the services themselves."""
REVOKED_SLACK_SECONDS = 2  # a token may be on its way out while its key is revoked

_FORBIDDEN_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})


class PrincipalKind(StrEnum):
    """What kind of caller a token names."""

    CLIENT = "client"
    OFFICER = "officer"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request, as a verified token names it.

    Attributes:
        kind: A system or a person.
        id: Client id or officer id.
        party: The party it belongs to; never taken from anywhere else.
        role: An officer's role, else None.
        person: An officer's person id, else None.
        scopes: What the token opens.
    """

    kind: PrincipalKind
    id: str
    party: str
    role: str | None
    person: str | None
    scopes: frozenset[Scope]


def access_claims(
    principal: Principal,
    *,
    issuer: str,
    audience: str,
    now: datetime,
    lifetime_seconds: int,
    token_id: str,
    bounds: Bounds = ANYWHERE,
) -> dict[str, Any]:
    """Return the claims of an access token for `principal`. RFC 9068 §2.2."""
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": principal.id,
        "client_id": principal.id,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime_seconds,
        "jti": token_id,
        "scope": " ".join(sorted(principal.scopes)),
        "kt_kind": principal.kind.value,
        "kt_party": principal.party,
        **bounds.claims(),
    }
    if principal.role is not None:
        claims["kt_role"] = principal.role
    if principal.person is not None:
        claims["kt_person"] = principal.person
    return claims


def sign_access_token(claims: Mapping[str, Any], key: Key) -> str:
    """Return a signed access token, `typ` at+jwt, alg Ed25519. RFC 9068, RFC 9864."""
    header = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid or key.thumbprint()}
    return jwt.encode(header, dict(claims), key, algorithms=["Ed25519"])


class KeySource(Protocol):
    """Where the issuer's public keys come from."""

    async def key(self, kid: str | None) -> Key | None:
        """Return the public key named `kid`, or None if the issuer has no such key.

        Raises:
            Refusal: `upstream-unavailable` if nobody can tell.
        """
        ...


class RevocationSource(Protocol):
    """Who was revoked while a token of theirs may still live."""

    async def revoked_at(self, subject: str) -> float | None:
        """Return when a client or officer was last revoked, None if not lately.

        In seconds since 1970 by the issuer's clock, as `iat` is. Never raises: what
        cannot be asked now is as it was known last.
        """
        ...


def pick(keys: KeySet, kid: str | None) -> Key | None:
    """Return the key named `kid`; without a name, the only key there is."""
    if kid is None:
        return keys.keys[0] if len(keys.keys) == 1 else None
    return next((key for key in keys.keys if key.kid == kid), None)


class LocalKeys:
    """The keys of an issuer in the same process."""

    def __init__(self, current: Callable[[], KeySet]) -> None:
        self._current = current

    async def key(self, kid: str | None) -> Key | None:
        """Return the key named `kid`."""
        return pick(self._current(), kid)


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token remembered.

    Whom it names, from where it may be used, when it was issued, until when it is kept.
    """

    principal: Principal
    bounds: Bounds
    issued: float
    good_until: float


class TokenVerifier:
    """Turns an access token into a `Principal`, or refuses it."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeySource,
        clock: Clock,
        algorithms: tuple[str, ...] = ("Ed25519",),
        revocations: RevocationSource | None = None,
        bound_services: bool = False,
    ) -> None:
        """Make a verifier.

        Args:
            issuer: `iss` of accepted tokens.
            audience: `aud` of accepted tokens.
            keys: The issuer's public keys.
            clock: Of the process.
            algorithms: Accepted signature algorithms.
            revocations: Who was revoked; None where nobody can tell.
            bound_services: Refuse tokens of the platform's clients, the services among
                them, that are not bound to a certificate.
        """
        self._revocations = revocations
        self._bound_services = bound_services
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._algorithms = frozenset(algorithms)
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()

    async def verify(self, token: str, origin: Origin | None = None) -> Principal:
        """Return whom a token names, if it may be used from `origin`.

        A verified token is remembered for at most a minute and never beyond its end,
        by its SHA-256, so that a withdrawn issuer key stops working within that time.
        Whether its holder was revoked is asked each time.

        Raises:
            Refusal: `token-invalid`, `token-expired`, `address-not-allowed` or
                `upstream-unavailable`.
        """
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise Refusal(problems.TOKEN_INVALID)
        digest = hashlib.sha256(token.encode()).digest()
        now = self._clock.now().timestamp()
        verified = self._cache.get(digest)
        if verified is None or now >= verified.good_until:
            claims = await self._claims(token)
            verified = _Verified(
                principal=self._principal(claims, now),
                bounds=self._bounds(claims),
                issued=_moment(claims, "iat"),
                good_until=min(claims["exp"], now + CACHE_SECONDS),
            )
            self._cache[digest] = verified
            if len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)
        if verified.bounds is not ANYWHERE:
            verified.bounds.require(origin or Origin())
        await self._refuse_revoked(verified)
        return verified.principal

    def _bounds(self, claims: Mapping[str, Any]) -> Bounds:
        try:
            bounds = bounds_of(claims)
        except ValueError:
            raise Refusal(problems.TOKEN_INVALID) from None
        service = claims["kt_party"] == PLATFORM and claims["kt_kind"] == "client"
        if self._bound_services and service and bounds.certificate is None:
            raise Refusal(problems.TOKEN_INVALID)
        return ANYWHERE if bounds == ANYWHERE else bounds

    async def _refuse_revoked(self, verified: _Verified) -> None:
        if self._revocations is None:
            return
        revoked = await self._revocations.revoked_at(verified.principal.id)
        # Who got a new key since then gets new tokens, and those are good.
        if revoked is not None and verified.issued <= revoked + REVOKED_SLACK_SECONDS:
            raise Refusal(problems.TOKEN_INVALID)

    async def _claims(self, token: str) -> dict[str, Any]:
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        kind = str(header.get("typ", "")).lower().removeprefix("application/")
        if algorithm not in self._algorithms or kind != "at+jwt":
            raise Refusal(problems.TOKEN_INVALID)
        if _FORBIDDEN_HEADERS & header.keys() or not isinstance(kid, str | None):
            raise Refusal(problems.TOKEN_INVALID)
        key = await self._keys.key(kid)
        if key is None:
            raise Refusal(problems.TOKEN_INVALID)
        try:
            return dict(jwt.decode(token, key, algorithms=[algorithm]).claims)
        except (JoseError, ValueError, TypeError):
            raise Refusal(problems.TOKEN_INVALID) from None

    def _principal(self, claims: Mapping[str, Any], now: float) -> Principal:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._issuer or self._audience not in audiences:
            raise Refusal(problems.TOKEN_INVALID)
        expires = _moment(claims, "exp")
        if max(_moment(claims, "nbf", 0), _moment(claims, "iat")) > (
            now + LEEWAY_SECONDS
        ):
            raise Refusal(problems.TOKEN_INVALID)
        if expires <= now:
            raise Refusal(problems.TOKEN_EXPIRED)
        try:
            kind = PrincipalKind(claims.get("kt_kind", ""))
        except ValueError:
            raise Refusal(problems.TOKEN_INVALID) from None
        officer = kind is PrincipalKind.OFFICER
        return Principal(
            kind=kind,
            id=_word(claims, "sub"),
            party=_word(claims, "kt_party"),
            role=_word(claims, "kt_role") if officer else None,
            person=_word(claims, "kt_person") if officer else None,
            scopes=scope_names.parse(_text(claims, "scope")),
        )


def _header(token: str) -> dict[str, Any]:
    parts = token.split(".")
    try:
        first = base64.b64decode(
            parts[0] + "=" * (-len(parts[0]) % 4), altchars=b"-_", validate=True
        )
        header = json.loads(first)
    except (ValueError, RecursionError):
        raise Refusal(problems.TOKEN_INVALID) from None
    if len(parts) != 3 or not isinstance(header, dict):
        raise Refusal(problems.TOKEN_INVALID)
    return header


def _moment(claims: Mapping[str, Any], name: str, default: int | None = None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(problems.TOKEN_INVALID)
    # NaN is beyond every comparison: such a token would neither end nor be revoked.
    if not math.isfinite(value):
        raise Refusal(problems.TOKEN_INVALID)
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise Refusal(problems.TOKEN_INVALID)
    return value


def _word(claims: Mapping[str, Any], name: str) -> str:
    value = _text(claims, name)
    if not 1 <= len(value) <= 128 or not value.isprintable() or " " in value:
        raise Refusal(problems.TOKEN_INVALID)
    return value
