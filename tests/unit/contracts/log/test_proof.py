# SPDX-License-Identifier: Apache-2.0
"""A `.tlog-proof` convinces a stranger's checker, and nothing else passes ours."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofbundle.tlogproof import verify_tlog_proof

from contracts.log import merkle
from contracts.log.checkpoint import Checkpoint, Cosigner, NoteSigner
from contracts.log.errors import (
    CheckpointMalformed,
    LogError,
    NoteUnverified,
    ProofInvalid,
    ProofMalformed,
    TreePositionError,
)
from contracts.log.proof import TlogProof

ORIGIN = "keyturn.example/2026"
SIGNER = NoteSigner(ORIGIN, bytes(range(32)))
WITNESSES = [Cosigner(f"witness.example/{i}", bytes([i] * 32)) for i in range(3)]
ENTRIES = [f'{{"seq":{i}}}'.encode() for i in range(300)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def proof_of(index: int, size: int, extra: bytes | None = None) -> TlogProof:
    text = Checkpoint(ORIGIN, size, merkle.tree_root(LEAVES[:size])).text()
    note = SIGNER.sign(text) + b"".join(w.line(text, 1767225600) for w in WITNESSES)
    hashes = merkle.inclusion_proof(LEAVES[:size], index)
    return TlogProof(index, tuple(hashes), note, extra)


@given(st.data())
def test_a_proof_verifies_here_and_by_an_independent_checker(
    data: st.DataObject,
) -> None:
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    extra = data.draw(st.none() | st.binary(min_size=1, max_size=9))
    proof = proof_of(index, size, extra)
    octets = proof.encode()
    assert TlogProof.parse(octets) == proof
    keys = [w.verifier for w in WITNESSES]
    checkpoint = proof.verify(ENTRIES[index], SIGNER.verifier, keys, threshold=3)
    assert checkpoint.size == size
    verdict = verify_tlog_proof(
        octets.decode(),
        ENTRIES[index],
        SIGNER.vkey,
        [w.vkey for w in WITNESSES],
        threshold=3,
        expected_origin=ORIGIN,
    )
    assert verdict["ok"] is True


def test_the_independent_checker_refuses_another_entry() -> None:
    octets = proof_of(7, 100).encode().decode()
    verdict = verify_tlog_proof(octets, ENTRIES[8], SIGNER.vkey, expected_origin=ORIGIN)
    assert verdict["ok"] is False


def test_anything_wrong_fails() -> None:
    proof, log = proof_of(7, 100), SIGNER.verifier
    with pytest.raises(ProofInvalid):
        proof.verify(ENTRIES[8], log)
    moved = TlogProof(8, proof.hashes, proof.checkpoint)
    with pytest.raises(ProofInvalid):
        moved.verify(ENTRIES[7], log)
    beyond = TlogProof(100, proof.hashes, proof.checkpoint)
    with pytest.raises(TreePositionError):
        beyond.verify(ENTRIES[7], log)
    other = NoteSigner(ORIGIN, bytes(32)).verifier
    with pytest.raises(NoteUnverified):
        proof.verify(ENTRIES[7], other)
    with pytest.raises(NoteUnverified):
        proof.verify(ENTRIES[7], log, [WITNESSES[0].verifier], threshold=2)
    with pytest.raises(CheckpointMalformed):
        proof.verify(ENTRIES[7], log, origin="elsewhere")


OCTETS = proof_of(7, 100, b"unsigned").encode()


@given(st.integers(0, len(OCTETS) * 8 - 1))
def test_any_flipped_bit_outside_extra_is_noticed(bit: int) -> None:
    flipped = bytearray(OCTETS)
    flipped[bit // 8] ^= 1 << (bit % 8)
    start, end = OCTETS.index(b"extra "), OCTETS.index(b"\nindex")
    if start <= bit // 8 < end:
        return
    keys = [w.verifier for w in WITNESSES]
    with pytest.raises(LogError):
        TlogProof.parse(bytes(flipped)).verify(
            ENTRIES[7], SIGNER.verifier, keys, threshold=3
        )


HASH = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\n\nnote",
        f"c2sp.org/tlog-proof@v1\n{HASH}\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra AAAA\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra \nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\nextra AAA\nindex 0\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 00\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex -1\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex " + "9" * 5000 + "\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 9223372036854775808\n\nnote",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH[:-1]}\n\nnote",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH}\r\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 64 + "\nnote",
        "c2sp.org/tlog-proof@v1\nindex ١\n\nnote",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * 140_000,
    ],
    ids=range(19),
)
def test_what_is_not_a_proof_is_refused(text: str) -> None:
    with pytest.raises(ProofMalformed):
        TlogProof.parse(text.encode())


def test_a_proof_that_cannot_be_written_cannot_be_made() -> None:
    for index, hashes, extra in ((-1, (), None), (0, (b"x",), None), (0, (), b"")):
        with pytest.raises(ProofMalformed):
            TlogProof(index, hashes, b"note", extra)
