# SPDX-License-Identifier: Apache-2.0
"""Names instead of identifiers, for one party and one purpose. Pure.

Within them the same value has the same pseudonym, so that rows can be joined; another
party's or another purpose's match none of them. Without the key nobody can test a
guess. They live as long as the party's index key.
"""

from __future__ import annotations

import unicodedata
from hashlib import blake2b
from typing import Final

from services.vault.keys.sealing import Key

_PERSON: Final = b"keyturn-pseud-1"


def pseudonym_key(index_key: Key, party: str, purpose: str) -> bytes:
    """Return the key of a party's pseudonyms for a purpose, 32 bytes."""
    return blake2b(
        _prefixed(party) + _prefixed(purpose),
        key=index_key.secret,
        digest_size=32,
        person=_PERSON,
    ).digest()


def pseudonym(key: bytes, field: str, value: str) -> str:
    """Return the pseudonym of a field's value, 32 hexadecimal digits.

    BLAKE2b (RFC 7693) over the length-prefixed field name and the value in NFKC,
    trimmed and without case.
    """
    text = unicodedata.normalize("NFKC", value).strip().casefold()
    message = _prefixed(field) + text.encode()
    return blake2b(message, key=key, digest_size=16, person=_PERSON).hexdigest()


def _prefixed(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw
