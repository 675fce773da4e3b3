# SPDX-License-Identifier: Apache-2.0
"""Tiles and entry bundles: the published form of the tree (C2SP tlog-tiles).

Owns paths, bundle bytes, which tiles a tree of some size has, and proofs made
from tiles. Never opens a file: a reader is handed in.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from contracts.log.errors import TileMalformed, TreePositionError
from contracts.log.merkle import (
    HASH_SIZE,
    MAX_TREE_SIZE,
    CompactRange,
    consistency_ranges,
    inclusion_ranges,
    split_hashes,
    tree_root,
)

CONTENT_TYPE: Final = "application/octet-stream"
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
MAX_ENTRY_BYTES: Final = 65_535  # a bundle gives each entry's length in 16 bits

ReadTile: TypeAlias = Callable[[int, int, int], bytes]
"""`read(level, n, width)` gives a hash tile's bytes, exactly `width` hashes.

Where the partial tile is gone it cuts the full one: a partial is a byte prefix.
"""

_MAX_LEVEL: Final = 63
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/"
    r"(?P<n>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TileId:
    """The name of one hash tile.

    Attributes:
        level: 0 for tiles of leaf hashes.
        n: Index of the tile in its level.
        width: Number of hashes, 1 to 256; fewer than 256 in a partial tile.
    """

    level: int
    n: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not 0 <= self.level <= _MAX_LEVEL:
            raise TileMalformed("a level is from 0 to 63")
        _check(self.n, self.width)

    @property
    def path(self) -> str:
        """Where it is published, without a leading slash."""
        return f"tile/{self.level}/{_spell(self.n, self.width)}"


@dataclass(frozen=True, slots=True)
class BundleId:
    """The name of one entry bundle: its index, and how many entries it holds."""

    n: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        _check(self.n, self.width)

    @property
    def path(self) -> str:
        """Where it is published, without a leading slash."""
        return f"tile/entries/{_spell(self.n, self.width)}"


def tile_path(level: int, n: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a hash tile, such as `tile/0/x001/x234/067.p/5`.

    Raises:
        TileMalformed: No tile has such a name.
    """
    return TileId(level, n, width).path


def entries_path(n: int, width: int = TILE_WIDTH) -> str:
    """Return the path of an entry bundle, such as `tile/entries/003.p/5`.

    Raises:
        TileMalformed: No bundle has such a name.
    """
    return BundleId(n, width).path


def parse_path(path: str) -> TileId | BundleId:
    """Read a path; only the one spelling of each name is accepted.

    Raises:
        TileMalformed: Not a path of a tile or bundle.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise TileMalformed("not the path of a tile")
    digits = match["n"].replace("x", "").replace("/", "")
    if len(digits) > 18:  # 2^63 leaves need 17 digits; int() sees no longer text
        raise TileMalformed("the index of a tile is too large")
    n, width = int(digits), int(match["width"] or TILE_WIDTH)
    named = (
        BundleId(n, width)
        if match["level"] == "entries"
        else TileId(int(match["level"]), n, width)
    )
    if named.path != path:
        raise TileMalformed("a tile path has one spelling")
    return named


def _check(n: int, width: int) -> None:
    if not 0 <= n <= MAX_TREE_SIZE >> TILE_HEIGHT:
        raise TileMalformed("the index of a tile is too large or negative")
    if not 1 <= width <= TILE_WIDTH:
        raise TileMalformed("a tile is 1 to 256 wide")


def _spell(n: int, width: int) -> str:
    groups = [f"{n % 1000:03d}"]
    while n := n // 1000:
        groups.append(f"x{n % 1000:03d}")
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return "/".join(reversed(groups)) + suffix


def new_tiles(old_size: int, new_size: int) -> list[TileId]:
    """Return the hash tiles that a tree has at `new_size` and not at `old_size`.

    Level by level from the leaves, in order; from 0 these are all tiles.

    Raises:
        TreePositionError: The tree does not grow between these sizes.
    """
    if not 0 <= old_size <= new_size <= MAX_TREE_SIZE:
        raise TreePositionError("the old size must not exceed the new one")
    found: list[TileId] = []
    level = 0
    while new_size > old_size:
        for n, width in _added(old_size, new_size):
            found.append(TileId(level, n, width))
        old_size, new_size = old_size >> TILE_HEIGHT, new_size >> TILE_HEIGHT
        level += 1
    return found


def new_bundles(old_size: int, new_size: int) -> list[BundleId]:
    """Return the entry bundles that a log has at `new_size` and not at `old_size`.

    Raises:
        TreePositionError: The log does not grow between these sizes.
    """
    if not 0 <= old_size <= new_size <= MAX_TREE_SIZE:
        raise TreePositionError("the old size must not exceed the new one")
    return [BundleId(n, width) for n, width in _added(old_size, new_size)]


def _added(old_count: int, new_count: int) -> Iterator[tuple[int, int]]:
    if new_count > old_count:
        for n in range(old_count // TILE_WIDTH, -(-new_count // TILE_WIDTH)):
            yield n, min(TILE_WIDTH, new_count - n * TILE_WIDTH)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return a bundle: for each entry its length in 2 bytes, big-endian, and bytes.

    Raises:
        TileMalformed: More than 256 entries, or one over 65,535 bytes.
    """
    if len(entries) > TILE_WIDTH:
        raise TileMalformed("a bundle has at most 256 entries")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise TileMalformed("an entry has at most 65,535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(bundle: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle.

    Raises:
        TileMalformed: The bytes are cut off, or hold another number of entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        if at > len(bundle) or start > len(bundle):
            raise TileMalformed("a bundle ends inside an entry")
        entries.append(bundle[start:at])
    if len(entries) != width:
        raise TileMalformed("a bundle holds another number of entries")
    return entries


def decode_tile(tile: bytes, width: int) -> tuple[bytes, ...]:
    """Return the hashes of a hash tile.

    Raises:
        TileMalformed: The tile has another length than `width` hashes.
    """
    if len(tile) != width * HASH_SIZE:
        raise TileMalformed("a hash tile has another length than its width says")
    return split_hashes(tile)


def leaf_hashes_from_tiles(
    start: int, end: int, size: int, read: ReadTile
) -> list[bytes]:
    """Return the leaf hashes [start, end) of a tree of `size`, from its tiles.

    Raises:
        TreePositionError: The tree has no such leaves.
        TileMalformed: A tile has the wrong length.
    """
    if not 0 <= start <= end <= size <= MAX_TREE_SIZE:
        raise TreePositionError("the leaves must be inside the tree")
    return _hashes(0, start, end, size, read)


def inclusion_from_tiles(index: int, size: int, read: ReadTile) -> list[bytes]:
    """Return the inclusion proof of a leaf in the tree of `size`. RFC 6962 §2.1.1.

    Raises:
        TreePositionError: The tree has no such leaf.
        TileMalformed: A tile has the wrong length.
    """
    ranges = inclusion_ranges(index, size)
    return [_range_root(start, end, size, read) for start, end in ranges]


def consistency_from_tiles(old_size: int, size: int, read: ReadTile) -> list[bytes]:
    """Return the consistency proof from an older size. RFC 6962 §2.1.2.

    Raises:
        TreePositionError: The old tree is larger.
        TileMalformed: A tile has the wrong length.
    """
    ranges = consistency_ranges(old_size, size)
    return [_range_root(start, end, size, read) for start, end in ranges]


def root_from_tiles(size: int, read: ReadTile) -> bytes:
    """Return the root of the tree of `size`, from its highest tiles.

    Raises:
        TileMalformed: A tile has the wrong length.
    """
    return _range_root(0, size, size, read)


def _range_root(start: int, end: int, size: int, read: ReadTile) -> bytes:
    """Tree hash of a range that a proof names: a perfect subtree or a right edge."""
    roots: list[bytes] = []
    count = end - start
    for bit in reversed(range(count.bit_length())):
        if count >> bit & 1:
            level, height = divmod(bit, TILE_HEIGHT)
            first = start >> (level * TILE_HEIGHT)
            hashes = _hashes(level, first, first + (1 << height), size, read)
            roots.append(tree_root(hashes))
            start += 1 << bit
    return CompactRange(count, tuple(roots)).root()


def _hashes(level: int, start: int, end: int, size: int, read: ReadTile) -> list[bytes]:
    """Return the hashes [start, end) of a tile level."""
    count = size >> (level * TILE_HEIGHT)
    found: list[bytes] = []
    while start < end:
        n, offset = divmod(start, TILE_WIDTH)
        width = min(TILE_WIDTH, count - n * TILE_WIDTH)
        tile = decode_tile(read(level, n, width), width)
        part = tile[offset : offset + end - start]
        found += part
        start += len(part)
    return found
