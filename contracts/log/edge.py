# SPDX-License-Identifier: Apache-2.0
"""The right edge of the log: what a sequencer keeps to append leaves.

Owns the incremental making of hash tiles. Never writes them: `append` returns the
tiles to publish, and the edge can be stored in the transaction of its leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contracts.log.errors import RangeMalformed
from contracts.log.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    MAX_TREE_SIZE,
    split_hashes,
    tree_root,
)
from contracts.log.tiles import TILE_HEIGHT, TILE_WIDTH, TileId


class Tile(NamedTuple):
    """A hash tile: its name and its bytes."""

    id: TileId
    octets: bytes


@dataclass(frozen=True, slots=True)
class TileEdge:
    """The rightmost partial tile of each level of a tree.

    Attributes:
        size: Number of leaves.
        partials: For each level, leaves first, the bytes of its partial tile, empty
            where the level ends in a full tile; as many levels as `size` needs.
    """

    size: int = 0
    partials: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_TREE_SIZE:
            raise RangeMalformed("the size of a tree is from 0 to 2^63 - 1")
        if [len(partial) for partial in self.partials] != _lengths(self.size):
            raise RangeMalformed("the partial tiles do not fit the size")

    def append(self, leaf_hashes: Sequence[bytes]) -> tuple["TileEdge", list[Tile]]:
        """Return the edge after some leaves, and every tile that is new or longer.

        The tiles are those that `tiles.new_tiles` names, in its order.

        Raises:
            RangeMalformed: A leaf hash does not have 32 bytes.
        """
        if any(len(leaf) != HASH_SIZE for leaf in leaf_hashes):
            raise RangeMalformed("a hash has 32 bytes")
        tiles: list[Tile] = []
        partials = list(self.partials)
        added, level, count = list(leaf_hashes), 0, self.size
        while added:
            if level == len(partials):
                partials.append(b"")
            row = partials[level] + b"".join(added)
            done, partials[level] = _cut(level, count // TILE_WIDTH, row)
            tiles += done
            added = [
                tree_root(split_hashes(tile.octets))
                for tile in done
                if tile.id.width == TILE_WIDTH
            ]
            level, count = level + 1, count >> TILE_HEIGHT
        return TileEdge(self.size + len(leaf_hashes), tuple(partials)), tiles

    def root(self) -> bytes:
        """Return the tree hash, 32 bytes. RFC 6962 §2.1."""
        # What is right of a level's last full element is smaller than one element,
        # so it takes part in the level's tree as its last leaf.
        right: tuple[bytes, ...] = ()
        for partial in self.partials:
            nodes = split_hashes(partial) + right
            right = (tree_root(nodes),) if nodes else ()
        return right[0] if right else EMPTY_ROOT

    def to_bytes(self) -> bytes:
        """Return the size as 8 bytes, big-endian, then the partial tiles."""
        return self.size.to_bytes(8, "big") + b"".join(self.partials)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "TileEdge":
        """Read what `to_bytes` wrote.

        Raises:
            RangeMalformed: The bytes are not of an edge.
        """
        size = int.from_bytes(stored[:8], "big")
        lengths = _lengths(size) if size <= MAX_TREE_SIZE else []
        if len(stored) != 8 + sum(lengths):
            raise RangeMalformed("the partial tiles do not fit the size")
        partials: list[bytes] = []
        at = 8
        for length in lengths:
            partials.append(stored[at : at + length])
            at += length
        return cls(size, tuple(partials))


def _lengths(size: int) -> list[int]:
    """Return the bytes of the partial tile of each level of a tree."""
    lengths: list[int] = []
    while size:
        lengths.append(size % TILE_WIDTH * HASH_SIZE)
        size >>= TILE_HEIGHT
    return lengths


def _cut(level: int, n: int, row: bytes) -> tuple[list[Tile], bytes]:
    """Cut a row of hashes, from tile `n` on, into tiles; give the last partial too."""
    tiles: list[Tile] = []
    step = TILE_WIDTH * HASH_SIZE
    for at in range(0, len(row), step):
        octets = row[at : at + step]
        tiles.append(Tile(TileId(level, n, len(octets) // HASH_SIZE), octets))
        n += 1
    return tiles, row[len(row) - len(row) % step :]
