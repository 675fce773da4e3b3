# SPDX-License-Identifier: Apache-2.0
"""Whether leaf hashes give the signed root, and every hash tile is that of the leaves.

Says too which published files the checkpoint does not cover.
"""

from typing import Final

from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint
from contracts.log.edge import TileEdge
from contracts.log.errors import LogError, TileMalformed
from services.cli.evidence import (
    CHECKPOINT,
    MAX_BUNDLE_BYTES,
    Evidence,
    FileUnreadable,
)
from services.cli.verify_report import Report

_SAMPLES: Final = 16


def check_tree(
    evidence: Evidence,
    checkpoint: Checkpoint,
    leaves: list[bytes],
    report: Report,
    *,
    of: str = "entries",
) -> None:
    """Check that leaf hashes give the signed root, and each tile is theirs.

    Args:
        evidence: Where the tiles lie.
        checkpoint: What the log signed.
        leaves: All leaf hashes, 32 bytes each.
        report: Takes the findings.
        of: Where the leaf hashes are from, as a finding names it.
    """
    edge, rebuilt = TileEdge().append(leaves)
    signed = edge.root() == checkpoint.root
    if not signed:
        detail = f"the {of} do not give the signed root"
        report.fail("root", CHECKPOINT, detail)
    known: dict[tuple[int, int], bytes] = {}
    intact = signed
    for tile in rebuilt:
        known[tile.id.level, tile.id.n] = tile.octets
        try:
            octets = evidence.tile(tile.id)
        except FileUnreadable:
            report.fail("missing", f"log/{tile.id.path}", "the hash tile is missing")
            intact = False
            continue
        report.count("tiles")
        if octets != tile.octets:
            _report_tile(tile.id, octets, tile.octets, signed=signed, report=report)
            intact = False
    _check_other_files(evidence, known, leaves, report)
    if intact:
        _check_samples(evidence, checkpoint, leaves, report)


def _report_tile(
    tile: tiles.TileId, got: bytes, due: bytes, *, signed: bool, report: Report
) -> None:
    """Name the first leaf under the first hash that differs.

    Where the entries do not give the signed root, the entries are named: they are
    what a tile of leaf hashes bears witness against.
    """
    at = next(
        (i for i in range(min(len(got), len(due))) if got[i] != due[i]),
        min(len(got), len(due)),
    )
    first = tile.n * tiles.TILE_WIDTH + at // merkle.HASH_SIZE
    index = first << (tile.level * tiles.TILE_HEIGHT)
    by_entries = not signed and tile.level == 0
    path = tiles.entries_path(tile.n, tile.width) if by_entries else tile.path
    detail = "the entries and the hash tile disagree from this leaf on"
    report.fail("tile", f"log/{path}", detail, index=index)


def _check_other_files(
    evidence: Evidence,
    known: dict[tuple[int, int], bytes],
    leaves: list[bytes],
    report: Report,
) -> None:
    """Check the older partial tiles too, and say which files nothing covers."""
    uncovered: list[str] = []
    for file in evidence.files("log/tile", "*"):
        try:
            named = tiles.parse_path(file.removeprefix("log/"))
            covered = _agrees(evidence, named, known, leaves)
        except TileMalformed:
            covered = None
        except FileUnreadable:
            covered = False
        if covered is None:
            uncovered.append(file)
        elif not covered:
            detail = "the file disagrees with the signed tree"
            report.fail("tile", file, detail)
    if uncovered:
        detail = f"the checkpoint does not cover this file ({len(uncovered)} such)"
        report.note("uncovered", uncovered[0], detail)


def _agrees(
    evidence: Evidence,
    named: tiles.TileId | tiles.BundleId,
    known: dict[tuple[int, int], bytes],
    leaves: list[bytes],
) -> bool | None:
    """Whether a file equals the rebuilt tree; None where the tree does not reach."""
    level = named.level if isinstance(named, tiles.TileId) else 0
    whole = known.get((level, named.n), b"")
    length = named.width * merkle.HASH_SIZE
    if len(whole) <= length:  # beyond the tree, or compared already
        return True if len(whole) == length else None
    due = whole[:length]
    octets = evidence.read(f"log/{named.path}", MAX_BUNDLE_BYTES)
    if isinstance(named, tiles.TileId):
        return octets == due
    try:
        entries = tiles.decode_bundle(octets, named.width)
    except TileMalformed:
        return False
    start = named.n * tiles.TILE_WIDTH
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    return hashes == leaves[start : start + named.width]


def _check_samples(
    evidence: Evidence, checkpoint: Checkpoint, leaves: list[bytes], report: Report
) -> None:
    """Make proofs from the tiles on disk, as a client of the log would."""
    size, root = checkpoint.size, checkpoint.root

    def read(level: int, n: int, width: int) -> bytes:
        return evidence.tile(tiles.TileId(level, n, width))

    wanted = {size - 1, *(size * part // _SAMPLES for part in range(_SAMPLES))}
    older = merkle.CompactRange.empty()
    for at in sorted(index for index in wanted if 0 <= index < size):
        older = older.extend(leaves[older.size : at])
        try:
            proof = tiles.inclusion_from_tiles(at, size, read)
            merkle.verify_inclusion(leaves[at], at, size, proof, root)
            proof = tiles.consistency_from_tiles(at, size, read)
            merkle.verify_consistency(at, older.root(), size, root, proof)
        except (LogError, FileUnreadable) as exc:
            report.fail("proof", "log/tile", str(exc), index=at)
        report.count("inclusion proofs")
        report.count("consistency proofs")
