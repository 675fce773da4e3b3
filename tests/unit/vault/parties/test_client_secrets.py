# SPDX-License-Identifier: Apache-2.0
"""Promise: what is stored of a client's secret is worth nothing without the key."""

from services.vault.parties.client_secrets import (
    secret_hash,
    secret_matches,
    secret_text,
)
from services.vault.parties.members import Client

KEY, OTHER = bytes(32), bytes(31) + b"\1"


def test_a_secret_is_256_bits_in_base64url() -> None:
    assert secret_text(b"\xff" * 32) == "_" * 42 + "8"
    assert len(secret_text(bytes(32))) == 43


def test_only_the_secret_itself_under_the_same_key_matches() -> None:
    stored = secret_hash(KEY, "secret")
    assert secret_matches(KEY, "secret", stored)
    assert not secret_matches(OTHER, "secret", stored)
    assert not secret_matches(KEY, "secret ", stored)
    assert not secret_matches(KEY, "", stored)
    assert not secret_matches(KEY, "\ud800", stored)  # no text at all


def test_the_stored_hash_is_in_no_repr() -> None:
    stored = secret_hash(KEY, "secret")
    client = Client("crm", "alpha", stored, frozenset(), frozenset(), None, False)
    assert repr(stored)[2:-1] not in repr(client)
