# SPDX-License-Identifier: Apache-2.0
"""Client secrets: 256 random bits, stored as a keyed hash. Pure.

The secret is random, so a fast hash is right; the key keeps a stolen database from
being compared with secrets found elsewhere.
"""

from __future__ import annotations

import base64
import hmac
from hashlib import blake2b
from typing import Final

SECRET_BYTES: Final = 32
_PERSON: Final = b"keyturn-client-1"


def secret_text(random: bytes) -> str:
    """Return the text of a secret: base64url without padding, 43 characters."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def secret_hash(key: bytes, secret: str) -> bytes:
    """Return the 32 bytes that are stored of a secret."""
    return blake2b(
        secret.encode(errors="replace"), key=key, digest_size=32, person=_PERSON
    ).digest()


def secret_matches(key: bytes, secret: str, stored: bytes) -> bool:
    """Whether `secret` is the one whose hash was stored; in constant time."""
    return hmac.compare_digest(secret_hash(key, secret), stored)
