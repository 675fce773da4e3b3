# SPDX-License-Identifier: Apache-2.0
"""Publishing: tiles and bundles first, then the checkpoint that covers them.

A crash leaves files that no checkpoint covers yet; the next start writes them again,
byte for byte the same, because they are made from the stored leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.edge import Tile, TileEdge
from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from contracts.log.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    BundleId,
    TileId,
    encode_bundle,
    new_bundles,
    tile_path,
)
from services.audit.errors import LogBehindTiles, LogDamaged
from services.audit.log.files import FileMissing, TileFiles
from services.audit.log.store import TreeRow
from services.chassis.crashpoints import CRASH_POINTS


@dataclass(frozen=True, slots=True)
class Growth:
    """What one step adds to the published log.

    Attributes:
        old: The size before.
        tree: The stored tree after.
        tiles: The hash tiles that are new or longer.
        entries: The entries from the last full bundle's end of size `old` on.
    """

    old: int
    tree: TreeRow
    tiles: Sequence[Tile]
    entries: Sequence[bytes]


def publish(files: TileFiles, growth: Growth) -> None:
    """Write what is new; durable and covered by the checkpoint when it returns.

    Raises:
        OSError: The disk refused; the sequencer must stop.
    """
    CRASH_POINTS.reach("publish.before_tiles")
    bundles = new_bundles(growth.old, growth.tree.size)
    contents = {tile.id.path: tile.octets for tile in growth.tiles}
    base = growth.old - growth.old % TILE_WIDTH
    for bundle in bundles:
        start = bundle.n * TILE_WIDTH - base
        part = growth.entries[start : start + bundle.width]
        contents[bundle.path] = encode_bundle(part)
    files.publish(contents, growth.tree.checkpoint)
    CRASH_POINTS.reach("publish.after_checkpoint")
    names: list[TileId | BundleId] = [*(tile.id for tile in growth.tiles), *bundles]
    for name in names:
        if name.width == TILE_WIDTH:
            files.drop_partials(name)


def published(
    files: TileFiles, verifier: NoteVerifier, tree: TreeRow, root: bytes
) -> int:
    """Return how many of the stored tree's leaves are published.

    Raises:
        LogBehindTiles: More than are stored: the database is an older copy.
        LogDamaged: The published log is not a beginning of the stored one.
    """
    note = files.checkpoint()
    if note is None:
        return 0
    try:
        checkpoint = open_checkpoint(note, verifier)
    except LogError as exc:
        raise LogDamaged("the published checkpoint is not signed by this log") from exc
    if checkpoint.size > tree.size:
        raise LogBehindTiles(
            f"the published log has {checkpoint.size} leaves and the database "
            f"{tree.size}: it was restored from an older copy. Restore the newest "
            "copy of audit's database, or bring this one up to the published log with "
            "`python -m services.audit replay`; it is not continued as it is, because "
            "a second order would be a fork"
        )
    if checkpoint.size == tree.size and checkpoint.root != root:
        raise LogDamaged("the published log and the database are two different logs")
    return checkpoint.size


def published_edge(files: TileFiles, checkpoint: Checkpoint) -> TileEdge:
    """Return the edge of the published tree, from its rightmost tiles.

    Raises:
        LogDamaged: A tile is missing, or they do not give the signed root.
    """
    partials: list[bytes] = []
    count, level = checkpoint.size, 0
    try:
        while count:
            n, width = divmod(count, TILE_WIDTH)
            partials.append(files.read(tile_path(level, n, width)) if width else b"")
            count, level = count >> TILE_HEIGHT, level + 1
        edge = TileEdge(checkpoint.size, tuple(partials))
    except (FileMissing, LogError) as exc:
        raise LogDamaged("a published tile is missing or cut off; run fsck") from exc
    if edge.root() != checkpoint.root:
        raise LogDamaged("the published tiles do not give the signed root; run fsck")
    return edge
