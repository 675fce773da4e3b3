# SPDX-License-Identifier: Apache-2.0
"""`keyturn verify DIR`: check an evidence directory offline, with its keys alone.

Owns the reading of the files; what must hold is decided in `contracts.log`. Never
writes, never opens a connection, and believes no file that the signed root or a
signature does not cover.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from contracts import base64text, dsse
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteVerifier, open_checkpoint
from contracts.log.edge import TileEdge
from contracts.log.errors import LogError, TileMalformed
from contracts.log.lane_check import LaneChecker
from contracts.log.note import MAX_NOTE_BYTES
from services.cli.verify_report import Report, render

_SERVICES: Final = frozenset({"vault", "transfer", "audit"})
_MAX_BUNDLE_BYTES: Final = tiles.TILE_WIDTH * (tiles.MAX_ENTRY_BYTES + 2)
_MAX_JSON_BYTES: Final = 1 << 20
_SAMPLES: Final = 16
_DOCUMENT_TYPES: Final = ("application/vnd.keyturn.", "application/vnd.in-toto+json")


class _Unreadable(Exception):  # noqa: N818 - says what the file is
    """A file is missing, not a plain file, or too large."""


def verify_directory(directory: Path, *, vkey: str | None = None) -> Report:
    """Check everything in an evidence directory.

    Args:
        directory: Holds `log/`, `log.vkey`, `sources.json` and perhaps `handover/`.
        vkey: The log's key as the reader knows it from elsewhere. Without it the
            directory's own `log.vkey` is believed.

    Returns:
        The report; no damage of the directory raises.
    """
    report = Report()
    checkpoint = _open_checkpoint(directory, vkey, report)
    lanes = _lane_checker(directory, report)
    if checkpoint is not None:
        leaves = _read_entries(directory, checkpoint, lanes, report)
        if leaves is not None:
            _check_tree(directory, checkpoint, leaves, report)
    _check_handover(directory, report)
    return report


def _read(directory: Path, file: str, limit: int) -> bytes:
    path = directory / file
    try:
        if not path.is_file() or path.stat().st_size > limit:
            raise _Unreadable
        return path.read_bytes()
    except OSError as exc:
        raise _Unreadable from exc


def _read_json(directory: Path, file: str) -> Any:
    try:
        return json.loads(_read(directory, file, _MAX_JSON_BYTES))
    except (ValueError, RecursionError) as exc:
        raise _Unreadable from exc


def _open_checkpoint(
    directory: Path, vkey: str | None, report: Report
) -> Checkpoint | None:
    file = "log.vkey"
    try:
        own = _read(directory, file, MAX_NOTE_BYTES).decode().removesuffix("\n")
        verifier = NoteVerifier.from_vkey(own if vkey is None else vkey)
        if own != verifier.vkey:
            report.fail("key", file, "the log's key is not the one you gave")
        file = "log/checkpoint"
        note = _read(directory, file, MAX_NOTE_BYTES)
        checkpoint = open_checkpoint(note, verifier)
    except (_Unreadable, UnicodeDecodeError):
        report.fail("missing", file, "the file is missing or unreadable")
        return None
    except LogError as exc:
        report.fail("checkpoint", file, str(exc))
        return None
    report.origin, report.size = checkpoint.origin, checkpoint.size
    report.root = base64text.encode(checkpoint.root)
    report.count("checkpoints")
    return checkpoint


def _lane_checker(directory: Path, report: Report) -> LaneChecker | None:
    """Read `sources.json`; without it nobody knows whose events belong here."""
    try:
        document = _read_json(directory, "sources.json")
        services = {str(item["service"]) for item in document["sources"]}
        keys = [base64text.decode(item["public_key"]) for item in document["sources"]]
        installation = document["installation"]
    except _Unreadable:
        report.fail("missing", "sources.json", "the file is missing or not JSON")
        return None
    except (KeyError, TypeError, ValueError):
        report.fail("sources", "sources.json", "the file is malformed")
        return None
    if any(len(key) != 32 for key in keys) or not services <= _SERVICES:
        report.fail("sources", "sources.json", "a source has a bad key or name")
        return None
    return LaneChecker(str(installation), frozenset(services))


def _read_entries(
    directory: Path, checkpoint: Checkpoint, lanes: LaneChecker | None, report: Report
) -> list[bytes] | None:
    """Feed all entries to the lane checker; return their leaf hashes.

    None when a bundle is missing: what follows it cannot be placed in the tree.
    """
    leaves: list[bytes] = []
    for bundle in _bundles(checkpoint.size):
        try:
            entries = _read_bundle(directory, bundle)
        except (_Unreadable, TileMalformed):
            detail = "the entries are missing or malformed; nothing after is checked"
            report.fail("entries", f"log/{bundle.path}", detail, index=len(leaves))
            return None
        report.count("bundles")
        for index, entry in enumerate(entries, start=len(leaves)):
            leaves.append(merkle.leaf_hash(entry))
            if lanes is not None:
                lanes.add(index, entry)
    if lanes is not None:
        _report_lanes(lanes, checkpoint.size, report)
    return leaves


def _bundles(size: int) -> Iterator[tiles.BundleId]:
    # One by one: a signed size may be absurd, the files decide where it ends.
    for n in range(-(-size // tiles.TILE_WIDTH)):
        yield tiles.BundleId(n, min(tiles.TILE_WIDTH, size - n * tiles.TILE_WIDTH))


def _read_bundle(directory: Path, bundle: tiles.BundleId) -> list[bytes]:
    """Read a bundle; where the partial one is gone, the full one begins with it."""
    try:
        octets = _read(directory, f"log/{bundle.path}", _MAX_BUNDLE_BYTES)
    except _Unreadable:
        full = tiles.entries_path(bundle.n)
        octets = _read(directory, f"log/{full}", _MAX_BUNDLE_BYTES)
        return tiles.decode_bundle(octets, tiles.TILE_WIDTH)[: bundle.width]
    return tiles.decode_bundle(octets, bundle.width)


def _read_tile(directory: Path, tile: tiles.TileId) -> bytes:
    """Read a hash tile; where the partial one is gone, the full one begins with it."""
    limit = tiles.TILE_WIDTH * merkle.HASH_SIZE
    try:
        return _read(directory, f"log/{tile.path}", limit)
    except _Unreadable:
        full = _read(directory, f"log/{tiles.tile_path(tile.level, tile.n)}", limit)
        return full[: tile.width * merkle.HASH_SIZE]


def _report_lanes(lanes: LaneChecker, size: int, report: Report) -> None:
    for found in lanes.finish():
        n = found.index // tiles.TILE_WIDTH
        width = min(tiles.TILE_WIDTH, size - n * tiles.TILE_WIDTH)
        file = f"log/{tiles.entries_path(n, width)}"
        report.fail(found.rule, file, found.detail, index=found.index)
    report.types = lanes.types
    report.count("lanes", lanes.lanes)


def _check_tree(
    directory: Path, checkpoint: Checkpoint, leaves: list[bytes], report: Report
) -> None:
    edge, rebuilt = TileEdge().append(leaves)
    signed = edge.root() == checkpoint.root
    if not signed:
        detail = "the entries do not give the signed root"
        report.fail("root", "log/checkpoint", detail)
    known: dict[tuple[int, int], bytes] = {}
    intact = signed
    for tile in rebuilt:
        known[tile.id.level, tile.id.n] = tile.octets
        try:
            octets = _read_tile(directory, tile.id)
        except _Unreadable:
            report.fail("missing", f"log/{tile.id.path}", "the hash tile is missing")
            intact = False
            continue
        report.count("tiles")
        if octets != tile.octets:
            _report_tile(tile.id, octets, tile.octets, signed=signed, report=report)
            intact = False
    _check_other_files(directory, known, leaves, report)
    if intact:
        _check_samples(directory, checkpoint, leaves, report)


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
    directory: Path,
    known: dict[tuple[int, int], bytes],
    leaves: list[bytes],
    report: Report,
) -> None:
    """Check the older partial tiles too, and say which files nothing covers."""
    uncovered: list[str] = []
    for path in sorted((directory / "log" / "tile").rglob("*")):
        if path.is_dir():
            continue
        file = path.relative_to(directory / "log").as_posix()
        try:
            named = tiles.parse_path(file)
            covered = _agrees(directory, named, known, leaves)
        except TileMalformed:
            covered = None
        except _Unreadable:
            covered = False
        if covered is None:
            uncovered.append(file)
        elif not covered:
            detail = "the file disagrees with the signed tree"
            report.fail("tile", f"log/{file}", detail)
    if uncovered:
        detail = f"the checkpoint does not cover this file ({len(uncovered)} such)"
        report.note("uncovered", f"log/{uncovered[0]}", detail)


def _agrees(
    directory: Path,
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
    octets = _read(directory, f"log/{named.path}", _MAX_BUNDLE_BYTES)
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
    directory: Path, checkpoint: Checkpoint, leaves: list[bytes], report: Report
) -> None:
    """Make proofs from the tiles on disk, as a client of the log would."""
    size, root = checkpoint.size, checkpoint.root

    def read(level: int, n: int, width: int) -> bytes:
        return _read_tile(directory, tiles.TileId(level, n, width))

    wanted = {size - 1, *(size * part // _SAMPLES for part in range(_SAMPLES))}
    older = merkle.CompactRange.empty()
    for at in sorted(index for index in wanted if 0 <= index < size):
        older = older.extend(leaves[older.size : at])
        try:
            proof = tiles.inclusion_from_tiles(at, size, read)
            merkle.verify_inclusion(leaves[at], at, size, proof, root)
            proof = tiles.consistency_from_tiles(at, size, read)
            merkle.verify_consistency(at, older.root(), size, root, proof)
        except (LogError, _Unreadable) as exc:
            report.fail("proof", "log/tile", str(exc), index=at)
        report.count("inclusion proofs")
        report.count("consistency proofs")


def _check_handover(directory: Path, report: Report) -> None:
    """Check each signed document against the officers' keys, where they are given."""
    base = directory / "handover"
    found = sorted(base.rglob("*.dsse.json")) if base.is_dir() else []
    files = [path.relative_to(directory).as_posix() for path in found]
    if not files:
        return
    officers = "handover/officers.json"
    if not (directory / officers).exists():
        detail = f"without officers' keys {len(files)} signed documents are unchecked"
        report.note("unchecked", officers, detail)
        return
    try:
        document = _read_json(directory, officers)
        listed = [base64text.decode(o["public_key"]) for o in document["officers"]]
    except (_Unreadable, KeyError, TypeError, ValueError):
        report.fail("officers", officers, "the file is malformed")
        return
    keys = {dsse.keyid(key): key for key in listed}
    for file in files:
        _check_document(directory, file, keys, report)


def _check_document(
    directory: Path, file: str, keys: dict[str, bytes], report: Report
) -> None:
    try:
        envelope = _read(directory, file, dsse.MAX_ENVELOPE_BYTES)
        kind = dsse.payload_type_of(envelope)
        dsse.verify_envelope(envelope, keys, kind)
    except _Unreadable:
        report.fail("missing", file, "the file is unreadable or too large")
        return
    except dsse.DsseError as exc:
        report.fail("signature", file, str(exc))
        return
    if not kind.startswith(_DOCUMENT_TYPES):
        report.fail("signature", file, "the document is not one of Keyturn's")
    report.count("signed documents")


def verify(
    directory: Annotated[
        Path,
        typer.Argument(
            help="Evidence directory: log/, log.vkey, sources.json, handover/.",
            exists=True,
            file_okay=False,
            metavar="DIR",
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole report as JSON.")
    ] = False,
    vkey: Annotated[
        str | None,
        typer.Option(help="The log's key, known from elsewhere; else log.vkey."),
    ] = None,
) -> None:
    """Check an evidence directory offline; exit 0 only if all holds."""
    report = verify_directory(directory, vkey=vkey)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        render(report, Console())
    if not report.ok:
        raise typer.Exit(code=1)
