# SPDX-License-Identifier: Apache-2.0
"""Promises of sealed bytes: they open in their place, under their key, or not at all."""

import copy
import json
import pickle
from hashlib import blake2b
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.vault.errors import SealBroken, SealFault
from services.vault.keys.sealing import (
    OVERHEAD_BYTES,
    Key,
    canonical_context,
    class_key_context,
    idempotency_context,
    identity_context,
    open_sealed,
    payload_context,
    seal,
    secret_context,
    unwrap_key,
    wrap_context,
    wrap_key,
)
from tests.unit.vault.keys.chacha import opens, two_key_ciphertext

VECTORS = Path(__file__).parents[4] / "contracts" / "vectors" / "sealing"
BUILDERS = {
    "payload": payload_context,
    "wrap": wrap_context,
    "identity": identity_context,
    "class_key": class_key_context,
    "idempotency": idempotency_context,
    "secret": secret_context,
}
KEY = Key(bytes(range(32)))
OTHER_KEY = Key(bytes(range(1, 33)))
NONCE = bytes(range(100, 124))
VERSION = "019234ab-0000-7000-8000-000000000001"
RECORD = "019234ab-0000-7000-8000-0000000000aa"
PAYLOAD = payload_context("basic", VERSION)
WRAP = ("seller", RECORD, "purchases", "2026", VERSION, 3)


def vectors(name: str) -> list[dict]:
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


@pytest.mark.attack("T13")
@pytest.mark.parametrize("vector", vectors("seal"), ids=lambda v: v["name"])
def test_seal_matches_the_committed_vectors(vector: dict) -> None:
    key = Key(bytes.fromhex(vector["key"]))
    nonce = bytes.fromhex(vector["nonce"])
    plaintext = bytes.fromhex(vector["plaintext"])
    context = BUILDERS[vector["context_kind"]](*vector["context_parts"])
    assert context.hex() == vector["context"]
    assert seal(key, plaintext, context, nonce).hex() == vector["sealed"]
    assert open_sealed(key, bytes.fromhex(vector["sealed"]), context) == plaintext


@pytest.mark.attack("T13")
@pytest.mark.parametrize("vector", vectors("refused"), ids=lambda v: v["name"])
def test_the_committed_broken_values_are_refused(vector: dict) -> None:
    key = Key(bytes.fromhex(vector["key"]))
    with pytest.raises(SealBroken) as caught:
        open_sealed(
            key, bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["context"])
        )
    assert caught.value.fault == vector["fault"]


def test_layout_is_algorithm_commitment_nonce_ciphertext() -> None:
    sealed = seal(KEY, b"hello", PAYLOAD, NONCE)
    okm = blake2b(
        PAYLOAD, key=KEY.secret, digest_size=64, person=b"keyturn-seal-1"
    ).digest()
    assert sealed[0] == 1
    assert sealed[1:33] == okm[32:]
    assert sealed[33:57] == NONCE
    assert len(sealed) == 5 + OVERHEAD_BYTES
    assert opens(okm[:32], sealed[57:], NONCE, PAYLOAD) == b"hello"


@given(
    st.binary(max_size=200), st.binary(max_size=80), st.binary(min_size=24, max_size=24)
)
def test_what_is_sealed_opens(plaintext: bytes, context: bytes, nonce: bytes) -> None:
    assert open_sealed(KEY, seal(KEY, plaintext, context, nonce), context) == plaintext


# A1: a wrap moved to another place does not open.
@pytest.mark.parametrize(
    "swapped",
    [
        pytest.param(("buyer", *WRAP[1:]), id="party"),
        pytest.param((WRAP[0], RECORD[:-1] + "b", *WRAP[2:]), id="record"),
        pytest.param((*WRAP[:2], "habits", *WRAP[3:]), id="class"),
        pytest.param((*WRAP[:3], "2026-2", *WRAP[4:]), id="volume"),
        pytest.param((*WRAP[:4], VERSION[:-1] + "2", WRAP[5]), id="version"),
        pytest.param((*WRAP[:5], 4), id="key-version"),
    ],
)
def test_a1_a_wrap_moved_to_another_place_is_refused(swapped: tuple) -> None:
    data_key = Key(b"d" * 32)
    wrapped = wrap_key(KEY, data_key, wrap_context(*WRAP), NONCE)
    assert unwrap_key(KEY, wrapped, wrap_context(*WRAP)) == data_key
    with pytest.raises(SealBroken) as caught:
        unwrap_key(KEY, wrapped, wrap_context(*swapped))
    assert caught.value.fault is SealFault.COMMITMENT


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(payload_context("habits", VERSION), id="class"),
        pytest.param(payload_context("basic", VERSION[:-1] + "2"), id="version"),
        pytest.param(wrap_context(*WRAP), id="wrap"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a1_a_payload_moved_to_another_place_is_refused(context: bytes) -> None:
    sealed = seal(KEY, b"Jane", PAYLOAD, NONCE)
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, context)


def test_a1_external_ids_do_not_swap_columns() -> None:
    sealed = seal(KEY, b"C-17", identity_context("p", RECORD, "external_id", 1), NONCE)
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, identity_context("p", RECORD, "origin_external_id", 1))


def test_a1_a_class_key_is_no_index_key() -> None:
    wrapped = wrap_key(
        KEY, OTHER_KEY, class_key_context("p", "basic", 1, "class"), NONCE
    )
    with pytest.raises(SealBroken):
        unwrap_key(KEY, wrapped, class_key_context("p", "basic", 1, "index"))


@pytest.mark.attack("A11")
def test_another_key_is_refused_by_the_commitment() -> None:
    with pytest.raises(SealBroken) as caught:
        open_sealed(OTHER_KEY, seal(KEY, b"x", PAYLOAD, NONCE), PAYLOAD)
    assert caught.value.fault is SealFault.COMMITMENT


@pytest.mark.attack("A2")
def test_a2_known_plaintext_opens_nothing_else() -> None:
    """The same nonce twice by mistake: another version still has another keystream."""
    known = b"A" * 64
    target = b"Jane Doe, 5 High Street, London, jane@example.org, 0000000000000"
    elsewhere = payload_context("basic", VERSION[:-1] + "2")
    first = seal(KEY, known, PAYLOAD, NONCE)[57:-16]
    second = seal(KEY, target, elsewhere, NONCE)[57:-16]
    keystream = bytes(a ^ b for a, b in zip(first, known, strict=True))
    guess = bytes(a ^ b for a, b in zip(second, keystream, strict=True))
    assert guess != target
    assert sum(a == b for a, b in zip(guess, target, strict=True)) < 8


@pytest.mark.attack("A11")
def test_a11_a_ciphertext_made_for_two_keys_opens_under_neither_other() -> None:
    """The bare cipher opens it under both keys; the commitment refuses the second."""
    okm1, okm2 = (
        blake2b(
            PAYLOAD, key=k.secret, digest_size=64, person=b"keyturn-seal-1"
        ).digest()
        for k in (KEY, OTHER_KEY)
    )
    forged = two_key_ciphertext(okm1[:32], okm2[:32], NONCE, PAYLOAD)
    plain1 = opens(okm1[:32], forged, NONCE, PAYLOAD)
    plain2 = opens(okm2[:32], forged, NONCE, PAYLOAD)
    assert plain1 != plain2  # the attack works on XChaCha20-Poly1305 itself

    sealed = b"\x01" + okm1[32:] + NONCE + forged
    assert open_sealed(KEY, sealed, PAYLOAD) == plain1
    with pytest.raises(SealBroken) as caught:
        open_sealed(OTHER_KEY, sealed, PAYLOAD)
    assert caught.value.fault is SealFault.COMMITMENT
    no_key = b"\x01" + okm1[32:48] + okm2[48:] + NONCE + forged
    for key in (KEY, OTHER_KEY):
        with pytest.raises(SealBroken):
            open_sealed(key, no_key, PAYLOAD)


@pytest.mark.parametrize("length", [0, 1, 12, 23, 25, 48])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        seal(KEY, b"x", PAYLOAD, bytes(length))


def test_truncation_at_every_length_is_refused() -> None:
    sealed = seal(KEY, b"Jane Doe", PAYLOAD, NONCE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(KEY, sealed[:length], PAYLOAD)
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed + b"\0", PAYLOAD)


def test_every_flipped_bit_is_detected() -> None:
    sealed = seal(KEY, b"Jane Doe", PAYLOAD, NONCE)
    faults = set()
    for position, bit in product(range(len(sealed)), range(8)):
        altered = bytearray(sealed)
        altered[position] ^= 1 << bit
        with pytest.raises(SealBroken) as caught:
            open_sealed(KEY, bytes(altered), PAYLOAD)
        faults.add(caught.value.fault)
    assert faults == {
        SealFault.ALGORITHM,
        SealFault.COMMITMENT,
        SealFault.CIPHERTEXT,
    }


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_open_raises_only_its_own_error(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        open_sealed(KEY, b"\x01" + noise, PAYLOAD)


def test_a_sealed_value_that_is_no_key_is_not_unwrapped() -> None:
    with pytest.raises(SealBroken) as caught:
        unwrap_key(KEY, seal(KEY, b"short", PAYLOAD, NONCE), PAYLOAD)
    assert caught.value.fault is SealFault.KEY_LENGTH


TEXT = st.text(max_size=12)


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_different_parts_have_different_contexts(a: list[str], b: list[str]) -> None:
    same = canonical_context("k", *a) == canonical_context("k", *b)
    assert same == (a == b)


def test_kinds_with_equal_parts_have_different_contexts() -> None:
    contexts = [
        idempotency_context("a", "b", "c"),
        secret_context("a", "b", "c"),
        canonical_context("keyturn-other-1", "a", "b", "c"),
    ]
    assert len(set(contexts)) == 3


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_a_number_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="2\\^64"):
        canonical_context("k", number)


def test_a_key_does_not_show_itself() -> None:
    secret = b"\xab" * 32
    key = Key(secret)
    for shown in (repr(key), str(key), f"{key}", f"{key!r}", f"{[key]}", "%s" % key):  # noqa: UP031
        assert "***" in shown
        assert "ab" not in shown
        assert "\xab" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)
    with pytest.raises(TypeError):
        hash(key)
    with pytest.raises(AttributeError):
        key.note = 1  # type: ignore[attr-defined]


def test_keys_compare_by_value() -> None:
    assert Key(b"k" * 32) == Key(b"k" * 32)
    assert Key(b"k" * 32) != Key(b"l" * 32)
    assert Key(b"k" * 32) != b"k" * 32


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Key(bytes(length))
