# SPDX-License-Identifier: Apache-2.0
"""The embedded token issuer: signs short access tokens with its own Ed25519 key.

Its key signs nothing else. Keys: RFC 8037, JWK thumbprints (RFC 7638) as `kid`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import KeySet, OKPKey
from nacl.signing import SigningKey

from services.chassis.auth import (
    ANYWHERE,
    Bounds,
    Principal,
    access_claims,
    sign_access_token,
)
from services.chassis.clock import Clock


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token as it is answered once; it is in no repr.

    Attributes:
        seconds: How long it lives.
        scope: What it opens, space-separated.
    """

    text: str = field(repr=False)
    seconds: int
    scope: str


class TokenIssuer:
    """Issues access tokens for one installation.

    Attributes:
        seconds: How long a token lives.
    """

    def __init__(
        self,
        seed: bytes,
        *,
        issuer: str,
        audience: str,
        seconds: int,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        public = _text(bytes(SigningKey(seed).verify_key))
        members: dict[str, str | list[str]] = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": public,
        }
        self._public = {**members, "kid": OKPKey.import_key(members).thumbprint()}
        private: dict[str, str | list[str]] = {**self._public, "d": _text(seed)}
        self._key = OKPKey.import_key(private)
        self._issuer = issuer
        self._audience = audience
        self.seconds = seconds
        self._clock = clock
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"TokenIssuer({self._public['kid']})"

    def issue(self, principal: Principal, bounds: Bounds = ANYWHERE) -> IssuedToken:
        """Return a token that names `principal`, with exactly its scopes.

        It may be used within `bounds` only.
        """
        claims = access_claims(
            principal,
            issuer=self._issuer,
            audience=self._audience,
            now=self._clock.now(),
            lifetime_seconds=self.seconds,
            token_id=self._new_id(),
            bounds=bounds,
        )
        text = sign_access_token(claims, self._key)
        return IssuedToken(text, self.seconds, str(claims["scope"]))

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK set (RFC 7517 §5)."""
        return {"keys": [{**self._public, "use": "sig", "alg": "Ed25519"}]}

    def key_set(self) -> KeySet:
        """Return the public keys, for a verifier in the same process."""
        public: dict[str, str | list[str]] = {**self._public}
        return KeySet([OKPKey.import_key(public)])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
