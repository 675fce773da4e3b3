# SPDX-License-Identifier: Apache-2.0
"""Promises of the blind index: found by its own party in its own field, by no other."""

import json
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vault.keys.blind_index import index_value
from services.vault.keys.sealing import Key

VECTORS = Path(__file__).parents[4] / "contracts" / "vectors" / "sealing"
KEY, OTHER = Key(b"i" * 32), Key(b"j" * 32)


@pytest.mark.attack("T13")
@pytest.mark.parametrize(
    "vector", json.loads((VECTORS / "blind_index.json").read_text())["vectors"]
)
def test_index_values_match_the_committed_vectors(vector: dict) -> None:
    key = Key(bytes.fromhex(vector["index_key"]))
    found = index_value(key, vector["field"], vector["normalised"])
    assert found.hex() == vector["index_value"]


def test_the_construction_is_the_documented_one() -> None:
    message = b"\0\0\0\x05emaila@x.org"
    expected = blake2b(
        message, key=KEY.secret, digest_size=16, person=b"keyturn-index-1"
    ).digest()
    assert index_value(KEY, "email", "a@x.org") == expected


PAIR = st.tuples(st.text(max_size=8), st.text(max_size=8))


@given(PAIR, PAIR)
def test_only_the_same_field_and_value_meet(a: tuple, b: tuple) -> None:
    assert (index_value(KEY, *a) == index_value(KEY, *b)) == (a == b)


@given(PAIR)
def test_two_parties_never_share_an_index_value(pair: tuple) -> None:
    assert index_value(KEY, *pair) != index_value(OTHER, *pair)
    assert len(index_value(KEY, *pair)) == 16
