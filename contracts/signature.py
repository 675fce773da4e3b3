# SPDX-License-Identifier: Apache-2.0
"""Whether bytes were signed: Ed25519 (RFC 8032) as yes or no. Pure."""

from __future__ import annotations

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey


def is_signed(message: bytes, signature: bytes, key: VerifyKey) -> bool:
    """Whether `signature` is `key`'s of `message`; one of another length is not."""
    try:
        key.verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return True
