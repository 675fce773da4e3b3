# SPDX-License-Identifier: Apache-2.0
"""Find a record by a value without storing the value. Pure.

The index value is a keyed hash, 16 bytes, under an index key of one party and class:
two parties' entries never match, so nobody can test guesses against another party's
customers. Fields with few distinct values are not indexed (their frequencies would
show); that is the catalogue's decision, not this module's.
"""

from hashlib import blake2b
from typing import Final

from services.vault.keys.sealing import Key

INDEX_VALUE_BYTES: Final = 16

_PERSON: Final = b"keyturn-index-1"


def index_value(index_key: Key, field: str, normalised: str) -> bytes:
    """Return the 16 bytes under which `normalised` is found in `field`.

    BLAKE2b (RFC 7693) over the length-prefixed field name and the value in its normal
    form (`services.vault.keys.normalise`); the caller normalises, here nothing is
    changed.

    Raises:
        ValueError: the field or the value is not UTF-8 text.
    """
    name = field.encode()
    return blake2b(
        len(name).to_bytes(4, "big") + name + normalised.encode(),
        key=index_key.secret,
        digest_size=INDEX_VALUE_BYTES,
        person=_PERSON,
    ).digest()
