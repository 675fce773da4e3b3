# SPDX-License-Identifier: Apache-2.0
"""What a person signed is verified by stock tools, and nothing else passes."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from contracts import dsse

VECTORS = Path(__file__).parents[3] / "contracts" / "vectors" / "log"
VECTOR = json.loads((VECTORS / "dsse.json").read_bytes())
SEED = bytes(range(32))
PUBLIC = bytes(SigningKey(SEED).verify_key)
KEYS = {dsse.keyid(PUBLIC): PUBLIC}
TYPE = "application/vnd.keyturn.approval.v1+json"
PAYLOAD = b'{"plan_hash":"..."}'
ENVELOPE = dsse.sign_envelope(PAYLOAD, TYPE, SEED)


def test_pae_is_that_of_the_specification() -> None:
    signed = dsse.pae(VECTOR["payload_type"], VECTOR["payload"].encode())
    assert signed.decode() == VECTOR["pae"]


@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_a_signed_payload_comes_back(payload: bytes, payload_type: str) -> None:
    envelope = dsse.sign_envelope(payload, payload_type, SEED)
    expected = dsse.SignedPayload(payload, payload_type, dsse.keyid(PUBLIC))
    assert dsse.verify_envelope(envelope, KEYS, payload_type) == expected
    assert dsse.verify_envelope(json.loads(envelope), KEYS, payload_type) == expected


def test_another_ed25519_verifies_the_envelope_as_the_protocol_says() -> None:
    document = json.loads(ENVELOPE)
    payload = base64.b64decode(document["payload"])
    kind = document["payloadType"].encode()
    message = b" ".join(
        [b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload]
    )
    (signature,) = document["signatures"]
    key = Ed25519PublicKey.from_public_bytes(PUBLIC)
    key.verify(base64.b64decode(signature["sig"]), message)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_verifies_the_envelope(tmp_path: Path) -> None:
    document = json.loads(ENVELOPE)
    pem = Ed25519PublicKey.from_public_bytes(PUBLIC).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signature = base64.b64decode(document["signatures"][0]["sig"])
    message = dsse.pae(TYPE, base64.b64decode(document["payload"]))
    files = {"key.pem": pem, "sig": signature, "msg": message, "bad": message + b" "}
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -sigfile sig -in"
    for name, code in (("msg", 0), ("bad", 1)):
        run = subprocess.run(
            [*command.split(), name], cwd=tmp_path, capture_output=True, check=False
        )
        assert run.returncode == code


def changed(**members: Any) -> dict[str, Any]:
    return {**json.loads(ENVELOPE), **members}


def signature(**members: Any) -> dict[str, Any]:
    return {**json.loads(ENVELOPE)["signatures"][0], **members}


OTHER = bytes(SigningKey(bytes(32)).verify_key)


@pytest.mark.parametrize(
    ("envelope", "keys", "payload_type"),
    [
        (ENVELOPE, {}, TYPE),
        (ENVELOPE, {dsse.keyid(OTHER): OTHER}, TYPE),
        (ENVELOPE, {dsse.keyid(PUBLIC): OTHER}, TYPE),
        (ENVELOPE, KEYS, "application/vnd.keyturn.release.v1+json"),
        (changed(payloadType="x"), KEYS, "x"),
        (changed(payload="AAAA"), KEYS, TYPE),
        (changed(signatures=[signature(keyid="")]), KEYS, TYPE),
        (changed(signatures=[signature(keyid=dsse.keyid(OTHER))]), KEYS, TYPE),
        (
            changed(signatures=[signature(keyid=dsse.keyid(OTHER))]),
            {dsse.keyid(OTHER): OTHER, **KEYS},
            TYPE,
        ),
        (
            changed(signatures=[signature(sig=base64.b64encode(bytes(64)).decode())]),
            KEYS,
            TYPE,
        ),
    ],
    ids=range(10),
)
def test_what_no_given_key_signed_is_unverified(
    envelope: Any, keys: dict[str, bytes], payload_type: str
) -> None:
    with pytest.raises(dsse.EnvelopeUnverified):
        dsse.verify_envelope(envelope, keys, payload_type)


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b" " * (dsse.MAX_ENVELOPE_BYTES + 1),
        ENVELOPE[:-1],
        ENVELOPE.replace(b'{"payload"', b'{"payload":"AAAA","payload"'),
        changed(extra=1),
        changed(payload=1),
        changed(payload="A"),
        changed(payload="AAB="),
        changed(payload="AA_-"),
        changed(payloadType=1),
        changed(signatures={}),
        changed(signatures=[]),
        changed(signatures=[signature(), signature()]),
        changed(signatures=["x"]),
        changed(signatures=[signature(keyid=1)]),
        changed(signatures=[signature(sig="AAAA")]),
        changed(signatures=[signature(sig=None)]),
        changed(signatures=[signature(cert="x")]),
        changed(signatures=[{"sig": signature()["sig"]}]),
    ],
    ids=range(22),
)
def test_what_is_not_an_envelope_is_malformed(envelope: Any) -> None:
    with pytest.raises(dsse.EnvelopeMalformed):
        dsse.verify_envelope(envelope, KEYS, TYPE)


@given(st.integers(0, len(ENVELOPE) * 8 - 1))
def test_any_flipped_bit_is_noticed(bit: int) -> None:
    flipped = bytearray(ENVELOPE)
    flipped[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(dsse.DsseError):
        dsse.verify_envelope(bytes(flipped), KEYS, TYPE)


def test_a_seed_of_another_length_cannot_sign() -> None:
    with pytest.raises(dsse.DsseError):
        dsse.sign_envelope(PAYLOAD, TYPE, bytes(31))


def test_the_committed_envelope_is_what_its_seed_signs() -> None:
    signed = dsse.sign_envelope(
        VECTOR["payload"].encode(),
        VECTOR["payload_type"],
        bytes.fromhex(VECTOR["seed_hex"]),
    )
    assert json.loads(signed) == VECTOR["envelope"]
