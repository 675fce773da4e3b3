# SPDX-License-Identifier: Apache-2.0
"""The tree is RFC 6962's: roots are the published ones, every proof verifies."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.log import merkle
from contracts.log.errors import ProofInvalid, RangeMalformed, TreePositionError

VECTORS = Path(__file__).parents[4] / "contracts" / "vectors" / "log"
RFC6962 = json.loads((VECTORS / "rfc6962.json").read_bytes())
TILES = json.loads((VECTORS / "tiles.json").read_bytes())
LEAVES = [merkle.leaf_hash(str(i).encode()) for i in range(600)]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it, the oracle for the level-wise code."""
    if len(leaves) < 2:
        return leaves[0] if leaves else merkle.EMPTY_ROOT
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


@pytest.mark.parametrize(("size", "root"), RFC6962["roots_hex"].items())
def test_roots_are_those_of_the_rfc_vectors(size: str, root: str) -> None:
    entries = [bytes.fromhex(leaf) for leaf in RFC6962["leaves_hex"][: int(size)]]
    assert merkle.tree_root([merkle.leaf_hash(e) for e in entries]).hex() == root


def test_root_of_seventy_thousand_leaves() -> None:
    leaves = [merkle.leaf_hash(str(i).encode()) for i in range(TILES["size"])]
    assert base64.b64encode(merkle.tree_root(leaves)).decode() == TILES["root"]


@given(st.lists(st.integers(0, 70), max_size=8))
def test_a_compact_range_extended_in_any_steps_has_the_same_root(
    steps: list[int],
) -> None:
    compact = merkle.CompactRange()
    for step in steps:
        compact = compact.extend(LEAVES[compact.size : compact.size + step])
        assert compact.root() == naive_root(LEAVES[: compact.size])
        assert merkle.CompactRange.from_bytes(compact.to_bytes()) == compact


def test_append_is_extend_by_one() -> None:
    compact = merkle.CompactRange.empty()
    for size, leaf in enumerate(LEAVES[:70], start=1):
        compact = compact.append(leaf)
        assert compact.root() == naive_root(LEAVES[:size])


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\0" * 7,
        (1).to_bytes(8, "big"),
        (0).to_bytes(8, "big") + b"\0" * 32,
        (1).to_bytes(8, "big") + b"\0" * 31,
        (3).to_bytes(8, "big") + b"\0" * 32,
        (2**63).to_bytes(8, "big") + b"\0" * 32,
    ],
)
def test_a_damaged_compact_range_is_refused(stored: bytes) -> None:
    with pytest.raises(RangeMalformed):
        merkle.CompactRange.from_bytes(stored)


def test_a_leaf_hash_of_another_length_is_refused() -> None:
    with pytest.raises(RangeMalformed):
        merkle.CompactRange().extend([b"short"])
    with pytest.raises(RangeMalformed):
        merkle.CompactRange(1, (b"short",))


@pytest.mark.parametrize("size", [*range(1, 40), 63, 64, 65, 255, 256, 257])
def test_every_inclusion_proof_verifies(size: int) -> None:
    root = naive_root(LEAVES[:size])
    for index in range(0, size, 1 + size // 20):
        proof = merkle.inclusion_proof(LEAVES[:size], index)
        merkle.verify_inclusion(LEAVES[index], index, size, proof, root)


@pytest.mark.parametrize("size", [*range(34), 64, 65, 256, 300])
def test_every_consistency_proof_verifies(size: int) -> None:
    root = naive_root(LEAVES[:size])
    for old in range(0, size + 1, 1 + size // 20):
        proof = merkle.consistency_proof(LEAVES[:size], old)
        merkle.verify_consistency(old, naive_root(LEAVES[:old]), size, root, proof)


def flip(node: bytes, bit: int) -> bytes:
    return (int.from_bytes(node, "big") ^ (1 << bit)).to_bytes(len(node), "big")


@given(st.data())
def test_an_inclusion_proof_with_anything_wrong_fails(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 300))
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    root = merkle.tree_root(LEAVES[:size])
    bit = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(0, len(proof) - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    flipped = [*proof[:at], flip(proof[at], bit), *proof[at + 1 :]]
    cases = [
        (LEAVES[index], index, size, flipped, root),
        (flip(LEAVES[index], bit), index, size, proof, root),
        (LEAVES[index], index, size, proof, flip(root, bit)),
        (LEAVES[index], other, size, proof, root),
        (LEAVES[index], index, size, proof[:-1], root),
        (LEAVES[index], index, size, [*proof, root], root),
        (LEAVES[index], index, size, [*proof[:-1], proof[-1][:-1]], root),
    ]
    for case in cases:
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(*case)


@given(st.data())
def test_a_consistency_proof_with_anything_wrong_fails(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 300))
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_proof(LEAVES[:size], old)
    old_root, root = merkle.tree_root(LEAVES[:old]), merkle.tree_root(LEAVES[:size])
    bit = data.draw(st.integers(0, 255))
    at = data.draw(st.integers(0, len(proof) - 1))
    flipped = [*proof[:at], flip(proof[at], bit), *proof[at + 1 :]]
    cases = [
        (old, old_root, size, root, flipped),
        (old, flip(old_root, bit), size, root, proof),
        (old, old_root, size, flip(root, bit), proof),
        (old, old_root, size, root, proof[:-1]),
        (old, old_root, size, root, [*proof, root]),
        (size, old_root, size, root, []),
        (size, root, size, root, proof),
        (0, root, size, root, []),
        (0, merkle.EMPTY_ROOT, size, root, proof),
        (0, merkle.EMPTY_ROOT, 0, root, []),
    ]
    for case in cases:
        with pytest.raises(ProofInvalid):
            merkle.verify_consistency(*case)


def test_positions_outside_the_tree_are_refused() -> None:
    for index in (-1, 5, 6):
        with pytest.raises(TreePositionError):
            merkle.inclusion_proof(LEAVES[:5], index)
        with pytest.raises(TreePositionError):
            merkle.root_from_inclusion(LEAVES[0], index, 5, [])
    for old in (-1, 6):
        with pytest.raises(TreePositionError):
            merkle.consistency_proof(LEAVES[:5], old)
        with pytest.raises(TreePositionError):
            merkle.verify_consistency(old, LEAVES[0], 5, LEAVES[0], [])
