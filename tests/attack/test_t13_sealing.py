# SPDX-License-Identifier: Apache-2.0
"""T13: no nonce is used twice, whatever is sealed and by whom."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise

import pytest

from services.chassis.clock import random_bytes, uuid7
from services.vault.custody.folios import Place, seal_folio, seal_identity
from services.vault.keys.keyring import KeyVersion
from services.vault.keys.sealing import Key
from tests.attack.figures import figure

pytestmark = pytest.mark.attack("T13")
NONCES = figure(3_000, 100_000, 10_000_000)
AT = slice(33, 41)  # the first 64 of a nonce's 192 bits: enough to tell them apart
CLASS_KEY = KeyVersion(1, Key(b"\x06" * 32))


def _nonces(count: int) -> Iterator[bytes]:
    """Yield the nonces of what the vault seals: payload, wrap, external id."""
    place = Place("seller", str(uuid7()), "basic", "0")
    for number in range(count // 3 + 1):
        version = str(uuid7())
        sealed = seal_folio(
            place,
            {"name": "Jane"},
            version=version,
            base="",
            key=CLASS_KEY,
            random_bytes=random_bytes,
        )
        identity = seal_identity(
            "seller", version, str(number), key=CLASS_KEY, random_bytes=random_bytes
        )
        for one in (sealed.payload, sealed.wrap, identity):
            yield one[AT]


def test_t13_no_nonce_is_used_twice() -> None:
    seen = array("Q")
    for nonce in _nonces(NONCES):
        seen.frombytes(nonce)
    assert len(seen) >= NONCES
    ordered = sorted(seen)
    assert not [one for one, after in pairwise(ordered) if one == after]
