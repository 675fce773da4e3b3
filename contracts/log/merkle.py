# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of the log: hashes, proofs, compact ranges.

Owns RFC 6962 §2.1 (SHA-256) and the proof checks of RFC 9162 §2.1.3 and §2.1.4.
Never reads tiles and knows no signatures; `tiles` and `checkpoint` do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from contracts.log.errors import ProofInvalid, RangeMalformed, TreePositionError

HASH_SIZE: Final = 32
MAX_TREE_SIZE: Final = 2**63 - 1
EMPTY_ROOT: Final = sha256(b"").digest()

LeafRange: TypeAlias = tuple[int, int]
"""A half-open range [start, end) of leaf indexes, named by a proof."""

RangeRoot: TypeAlias = Callable[[int, int], bytes]
"""Gives the tree hash of the leaves [start, end)."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the leaf hash, 32 bytes. RFC 6962 §2.1: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the node hash, 32 bytes. RFC 6962 §2.1: SHA-256(0x01 || l || r)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """A whole tree reduced to the roots of its perfect subtrees, left to right.

    It can be extended and gives the root, and is all that a follower keeps of a log.
    `hashes` holds one root per set bit of `size`, the highest bit first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_TREE_SIZE:
            raise RangeMalformed("the size of a tree is from 0 to 2^63 - 1")
        if len(self.hashes) != self.size.bit_count():
            raise RangeMalformed("a compact range has one hash per set bit of its size")
        if any(len(node) != HASH_SIZE for node in self.hashes):
            raise RangeMalformed("a hash has 32 bytes")

    @classmethod
    def empty(cls) -> "CompactRange":
        """Return the range of a tree without leaves."""
        return cls()

    def append(self, leaf: bytes) -> "CompactRange":
        """Return the range with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> "CompactRange":
        """Return the range with more leaf hashes, in order.

        Works level by level, so that the hot loop is one comprehension per level.

        Raises:
            RangeMalformed: a leaf hash does not have 32 bytes.
        """
        nodes = list(leaf_hashes)
        if any(len(node) != HASH_SIZE for node in nodes):
            raise RangeMalformed("a hash has 32 bytes")
        size = self.size + len(nodes)
        left = list(self.hashes)
        kept: list[bytes] = []
        filled = self.size
        while nodes:
            if filled & 1:
                nodes.insert(0, left.pop())
            if len(nodes) & 1:
                kept.append(nodes.pop())
            nodes = _parents(nodes)
            filled >>= 1
        return CompactRange(size, tuple(left + kept[::-1]))

    def root(self) -> bytes:
        """Return the tree hash, 32 bytes. RFC 6962 §2.1."""
        if not self.hashes:
            return EMPTY_ROOT
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """Return the size as 8 bytes, big-endian, then the hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "CompactRange":
        """Read what `to_bytes` wrote.

        Raises:
            RangeMalformed: the bytes are not of a compact range.
        """
        size, body = int.from_bytes(stored[:8], "big"), stored[8:]
        if len(stored) < 8 or len(body) % HASH_SIZE:
            raise RangeMalformed("a compact range is 8 bytes and whole hashes")
        return cls(size, split_hashes(body))


def _parents(nodes: list[bytes]) -> list[bytes]:
    pairs = zip(nodes[::2], nodes[1::2], strict=True)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]


def split_hashes(body: bytes) -> tuple[bytes, ...]:
    """Cut concatenated hashes apart; the length must be a multiple of 32 bytes."""
    assert len(body) % HASH_SIZE == 0
    return tuple(body[at : at + HASH_SIZE] for at in range(0, len(body), HASH_SIZE))


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the tree hash of some leaf hashes, 32 bytes. RFC 6962 §2.1."""
    return CompactRange().extend(leaf_hashes).root()


def inclusion_ranges(index: int, size: int) -> list[LeafRange]:
    """Return the leaf ranges whose tree hashes are an inclusion proof, in proof order.

    RFC 6962 §2.1.1, PATH(index, D[size]).

    Raises:
        TreePositionError: the tree has no such leaf.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise TreePositionError("the index must be below the size of the tree")
    start, end = 0, size
    path: list[LeafRange] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_ranges(old_size: int, size: int) -> list[LeafRange]:
    """Return the leaf ranges whose tree hashes are a consistency proof, in order.

    RFC 6962 §2.1.2, PROOF(old_size, D[size]). Empty from 0 and for equal sizes.

    Raises:
        TreePositionError: the old tree is not smaller than or equal to the new one.
    """
    if not 0 <= old_size <= size <= MAX_TREE_SIZE:
        raise TreePositionError("the old size must not exceed the new one")
    if old_size == 0:
        return []
    start, end = 0, size
    path: list[LeafRange] = []
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    if start > 0:  # the verifier knows the old root, but not this part of it
        path.append((start, end))
    return path[::-1]


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the inclusion proof of one leaf. RFC 6962 §2.1.1.

    Raises:
        TreePositionError: the tree has no such leaf.
    """
    ranges = inclusion_ranges(index, len(leaf_hashes))
    return [tree_root(leaf_hashes[start:end]) for start, end in ranges]


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the first leaves were a tree before. RFC 6962 §2.1.2.

    Raises:
        TreePositionError: the old tree is larger than this one.
    """
    ranges = consistency_ranges(old_size, len(leaf_hashes))
    return [tree_root(leaf_hashes[start:end]) for start, end in ranges]


def root_from_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes]
) -> bytes:
    """Return the root that an inclusion proof leads to. RFC 9162 §2.1.3.2.

    Raises:
        TreePositionError: the tree has no such leaf.
        ProofInvalid: the proof has the wrong length, or a hash has.
    """
    ranges = inclusion_ranges(index, size)
    _check_shape(ranges, (leaf, *proof))
    root = leaf
    for (start, _), sibling in zip(ranges, proof, strict=True):
        root = node_hash(sibling, root) if start <= index else node_hash(root, sibling)
    return root


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf hash is at an index of the tree with this size and root.

    Raises:
        TreePositionError: the tree has no such leaf.
        ProofInvalid: it is not.
    """
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise ProofInvalid("the inclusion proof leads to another root")


def verify_consistency(
    old_size: int,
    old_root: bytes,
    new_size: int,
    new_root: bytes,
    proof: Sequence[bytes],
) -> None:
    """Check that the new tree is the old one with leaves appended. RFC 9162 §2.1.4.2.

    Raises:
        TreePositionError: the old tree is larger than the new one.
        ProofInvalid: it is not.
    """
    ranges = consistency_ranges(old_size, new_size)
    if old_size in (0, new_size):
        known = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != known or (new_size == 0 and new_root != EMPTY_ROOT):
            raise ProofInvalid("the trees are not the same, or the proof not empty")
        return
    if old_size.bit_count() == 1:
        # The old tree is one subtree of the new one: the proof leaves its root out.
        ranges, proof = [(0, old_size), *ranges], (old_root, *proof)
    _check_shape(ranges[1:], proof)
    old = new = proof[0]
    for (start, _), sibling in zip(ranges[1:], proof[1:], strict=True):
        if start < old_size:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if old != old_root or new != new_root:
        raise ProofInvalid("the consistency proof leads to other roots")


def _check_shape(ranges: Sequence[LeafRange], hashes: Sequence[bytes]) -> None:
    if len(hashes) != len(ranges) + 1:
        raise ProofInvalid("the proof has the wrong number of hashes")
    if any(len(node) != HASH_SIZE for node in hashes):
        raise ProofInvalid("a hash has 32 bytes")
