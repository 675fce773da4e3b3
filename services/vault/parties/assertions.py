# SPDX-License-Identifier: Apache-2.0
"""Login assertions: `private_key_jwt` of an officer's login key. Pure.

RFC 7523 §3 and RFC 8725, narrowed: Ed25519 only, `iss` = `sub` = the key's id, `aud`
names this installation's token endpoint, at most 60 seconds long, `jti` once.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from services.vault.parties.errors import CredentialsRefused

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHM: Final = "Ed25519"
MAX_CHARACTERS: Final = 4_096
MAX_SECONDS: Final = 60
LEEWAY_SECONDS: Final = 5  # a person's clock is not ours
MAX_JTI_CHARACTERS: Final = 128

_HEADER: Final = frozenset({"alg", "typ", "kid"})
#: Never `at+jwt`: an access token is no assertion, nor the reverse.
_TYPES: Final = frozenset({"JWT", "client-authentication+jwt"})


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion.

    Attributes:
        key_id: The login key that signed it.
        once: Hex SHA-256 over key id and `jti`; to be used once.
        expires: Seconds since 1970 until which `once` must be remembered.
    """

    key_id: str
    once: str
    expires: int


def audience(installation: str) -> str:
    """Return the `aud` of an assertion for this installation's token endpoint."""
    return f"urn:keyturn:{installation}:token"


def claimed_key_id(token: str) -> str:
    """Return the key id that an unverified assertion claims, to find the key.

    Raises:
        CredentialsRefused: It is no compact JWT of the accepted form.
    """
    parts = token.split(".")
    if len(token) > MAX_CHARACTERS or len(parts) != 3:
        raise CredentialsRefused
    header, claims = _json(parts[0]), _json(parts[1])
    if not header.keys() <= _HEADER or header.get("alg") != ALGORITHM:
        raise CredentialsRefused
    if header.get("typ", "JWT") not in _TYPES:
        raise CredentialsRefused
    key_id = claims.get("iss")
    if not isinstance(key_id, str) or header.get("kid", key_id) != key_id:
        raise CredentialsRefused
    return key_id


def verify(
    token: str, key_id: str, public_key: bytes, *, installation: str, now: datetime
) -> Assertion:
    """Verify an assertion that claims `key_id` under that key.

    Raises:
        CredentialsRefused: Signature, audience, times or members are wrong.
    """
    x = base64.urlsafe_b64encode(public_key).rstrip(b"=").decode()
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError):
        # The cause may quote the token, so it is dropped.
        raise CredentialsRefused from None
    if claims.get("iss") != key_id or claims.get("sub") != key_id:
        raise CredentialsRefused
    if claims.get("aud") not in (audience(installation), [audience(installation)]):
        raise CredentialsRefused
    expires = _check_times(claims, now.timestamp())
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI_CHARACTERS:
        raise CredentialsRefused
    once = hashlib.sha256(f"{key_id}:{jti}".encode(errors="replace")).hexdigest()
    return Assertion(key_id, once, expires + LEEWAY_SECONDS)


def _check_times(claims: Mapping[str, Any], now: float) -> int:
    issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
    begins = _seconds(claims, "nbf") if "nbf" in claims else issued
    in_time = max(issued, begins) <= now + LEEWAY_SECONDS and now < expires
    if not in_time or not 0 < expires - issued <= MAX_SECONDS:
        raise CredentialsRefused
    return expires


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int:
        raise CredentialsRefused
    return value


def _json(part: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(
            part + "=" * (-len(part) % 4), altchars=b"-_", validate=True
        )
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise CredentialsRefused from None
    if not isinstance(value, dict):
        raise CredentialsRefused
    return value
