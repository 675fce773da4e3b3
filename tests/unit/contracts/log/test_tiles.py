# SPDX-License-Identifier: Apache-2.0
"""Tiles are C2SP's, byte for byte, and every proof can be made from them."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.log import merkle, tiles
from contracts.log.edge import TileEdge
from contracts.log.errors import RangeMalformed, TileMalformed, TreePositionError

VECTORS = Path(__file__).parents[4] / "contracts" / "vectors" / "log"
VECTOR = json.loads((VECTORS / "tiles.json").read_bytes())
SIZE = VECTOR["size"]
LEAVES = [merkle.leaf_hash(str(i).encode()) for i in range(SIZE)]


class Published:
    """Tiles as published files; noticing a file that is rewritten."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write(self, path: str, octets: bytes) -> None:
        assert self.files.setdefault(path, octets) == octets
        self.files[path] = octets

    def read(self, level: int, n: int, width: int) -> bytes:
        return self.files[tiles.tile_path(level, n, width)]


def publish(steps: list[int]) -> tuple[Published, TileEdge]:
    published, edge = Published(), TileEdge()
    for step in steps:
        old = edge.size
        edge, new = edge.append(LEAVES[old : old + step])
        assert [tile.id for tile in new] == tiles.new_tiles(old, edge.size)
        for tile in new:
            published.write(tile.id.path, tile.octets)
    return published, edge


@pytest.fixture(scope="module")
def whole() -> Published:
    return publish([SIZE])[0]


def test_the_vector_tree_has_the_vector_tiles_and_root(whole: Published) -> None:
    for path, prefix in VECTOR["sha256_prefixes_hex"].items():
        if "entries" not in path:
            assert hashlib.sha256(whole.files[path]).hexdigest().startswith(prefix)
    root = base64.b64decode(VECTOR["root"])
    assert publish([SIZE])[1].root() == root
    assert tiles.root_from_tiles(SIZE, whole.read) == root
    widths = {0: 0, 1: 0, 2: 0}
    for tile in tiles.new_tiles(0, SIZE):
        widths[tile.level] += tile.width
    assert list(widths.values()) == VECTOR["level_sizes"]
    assert len(whole.files) == len(tiles.new_tiles(0, SIZE))


def test_the_vector_bundle_has_the_vector_digest() -> None:
    last = tiles.new_bundles(0, SIZE)[-1]
    entries = [str(i).encode() for i in range(last.n * 256, SIZE)]
    digest = hashlib.sha256(tiles.encode_bundle(entries)).hexdigest()
    assert digest.startswith(VECTOR["sha256_prefixes_hex"][last.path])


@given(st.lists(st.sampled_from([0, 1, 2, 17, 255, 256, 257, 600, 5000]), max_size=9))
def test_tiles_written_in_any_steps_prove_the_same_tree(steps: list[int]) -> None:
    published, edge = publish(steps)
    compact = merkle.CompactRange().extend(LEAVES[: edge.size])
    assert edge.root() == compact.root()
    assert tiles.root_from_tiles(edge.size, published.read) == compact.root()
    assert TileEdge.from_bytes(edge.to_bytes()) == edge


@given(st.integers(0, SIZE - 1), st.integers(0, SIZE))
def test_proofs_from_tiles_verify(whole: Published, index: int, old: int) -> None:
    root = base64.b64decode(VECTOR["root"])
    proof = tiles.inclusion_from_tiles(index, SIZE, whole.read)
    merkle.verify_inclusion(LEAVES[index], index, SIZE, proof, root)
    proof = tiles.consistency_from_tiles(old, SIZE, whole.read)
    old_root = merkle.tree_root(LEAVES[:old])
    merkle.verify_consistency(old, old_root, SIZE, root, proof)


@given(st.data())
def test_proofs_from_tiles_are_the_proofs_of_the_leaves(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1500))
    read = publish([size])[0].read
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    assert tiles.inclusion_from_tiles(index, size, read) == merkle.inclusion_proof(
        LEAVES[:size], index
    )
    assert tiles.consistency_from_tiles(old, size, read) == merkle.consistency_proof(
        LEAVES[:size], old
    )
    start = data.draw(st.integers(0, size))
    got = tiles.leaf_hashes_from_tiles(start, size, size, read)
    assert got == LEAVES[start:size]


def test_a_follower_needs_only_the_new_tiles_of_level_zero() -> None:
    published, _ = publish([300, 900])
    asked: list[tuple[int, int, int]] = []

    def read(level: int, n: int, width: int) -> bytes:
        asked.append((level, n, width))
        return published.read(level, n, width)

    assert tiles.leaf_hashes_from_tiles(300, 1200, 1200, read) == LEAVES[300:1200]
    expected = [t for t in tiles.new_tiles(300, 1200) if t.level == 0]
    assert asked == [(t.level, t.n, t.width) for t in expected]


def test_a_tile_of_another_length_is_refused() -> None:
    def short(level: int, n: int, width: int) -> bytes:
        return bytes(width * 32 - 1)

    calls: list[Callable[[], object]] = [
        lambda: tiles.inclusion_from_tiles(1, 700, short),
        lambda: tiles.consistency_from_tiles(3, 700, short),
        lambda: tiles.leaf_hashes_from_tiles(0, 1, 700, short),
        lambda: tiles.root_from_tiles(700, short),
    ]
    for call in calls:
        with pytest.raises(TileMalformed):
            call()


def test_positions_outside_the_tree_are_refused(whole: Published) -> None:
    with pytest.raises(TreePositionError):
        tiles.leaf_hashes_from_tiles(3, 2, 10, whole.read)
    with pytest.raises(TreePositionError):
        tiles.leaf_hashes_from_tiles(0, 11, 10, whole.read)
    for call in (tiles.new_tiles, tiles.new_bundles):
        with pytest.raises(TreePositionError):
            call(2, 1)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("tile/0/000", tiles.TileId(0, 0)),
        ("tile/0/x001/x234/067", tiles.TileId(0, 1_234_067)),
        ("tile/0/x001/x234/067.p/8", tiles.TileId(0, 1_234_067, 8)),
        ("tile/12/999.p/255", tiles.TileId(12, 999, 255)),
        ("tile/1/x001/000", tiles.TileId(1, 1000)),
        ("tile/entries/273.p/112", tiles.BundleId(273, 112)),
        ("tile/entries/x002/000", tiles.BundleId(2000)),
    ],
)
def test_a_path_has_one_spelling(path: str, named: tiles.TileId) -> None:
    assert tiles.parse_path(path) == named
    assert named.path == path


@given(st.integers(0, 63), st.integers(0, 2**55 - 1), st.integers(1, 256))
def test_every_name_reads_back(level: int, n: int, width: int) -> None:
    assert tiles.parse_path(tiles.tile_path(level, n, width)) == tiles.TileId(
        level, n, width
    )
    assert tiles.parse_path(tiles.entries_path(n, width)) == tiles.BundleId(n, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/0٠0",
        "tile/0/000\n",
        "tile/0/../0/000",
        "tile/data/000",
        "tile/0/" + "x999/" * 7 + "000",
        "tile/0/x999/x999/x999/x999/x999/999",
    ],
    ids=range(21),
)
def test_what_is_not_a_tile_path_is_refused(path: str) -> None:
    with pytest.raises(TileMalformed):
        tiles.parse_path(path)


def test_no_tile_has_an_impossible_name() -> None:
    for level, n, width in (
        (-1, 0, 1),
        (64, 0, 1),
        (0, -1, 1),
        (0, 2**55, 1),
        (0, 0, 0),
        (0, 0, 257),
    ):
        with pytest.raises(TileMalformed):
            tiles.tile_path(level, n, width)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_reads_back(entries: list[bytes]) -> None:
    bundle = tiles.encode_bundle(entries)
    assert tiles.decode_bundle(bundle, len(entries)) == entries
    with pytest.raises(TileMalformed):
        tiles.decode_bundle(bundle, len(entries) + 1)
    with pytest.raises(TileMalformed):
        tiles.decode_bundle(bundle + b"\0", len(entries))
    for cut in range(1, min(len(bundle), 40)):
        with pytest.raises(TileMalformed):
            tiles.decode_bundle(bundle[:-cut], len(entries))


def test_a_bundle_has_limits() -> None:
    assert tiles.decode_bundle(tiles.encode_bundle([bytes(65_535)]), 1)
    with pytest.raises(TileMalformed):
        tiles.encode_bundle([bytes(65_536)])
    with pytest.raises(TileMalformed):
        tiles.encode_bundle([b""] * 257)


def test_a_damaged_edge_is_refused() -> None:
    stored = publish([300])[1].to_bytes()
    for bad in (b"", stored[:7], stored[:-1], stored + b"\0", b"\xff" * 40):
        with pytest.raises(RangeMalformed):
            TileEdge.from_bytes(bad)
    with pytest.raises(RangeMalformed):
        TileEdge(5, (b"",))
    with pytest.raises(RangeMalformed):
        TileEdge(-1)
    with pytest.raises(RangeMalformed):
        TileEdge().append([b"short"])
