# SPDX-License-Identifier: Apache-2.0
"""`keyturn verify DIR`: check an evidence directory offline, with its keys alone.

Owns what must hold between the files; `contracts.log` decides each rule. Never
writes, never opens a connection, and believes no file that the signed root or a
signature does not cover.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from contracts import base64text
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteVerifier, open_checkpoint
from contracts.log.edge import TileEdge
from contracts.log.errors import KeyMalformed, LogError, TileMalformed
from contracts.log.lane_check import LaneChecker
from contracts.log.note import MAX_NOTE_BYTES
from services.cli.custody_ledger import Ledger
from services.cli.evidence import (
    CHECKPOINT,
    HEADS,
    LOG_VKEY,
    MAX_BUNDLE_BYTES,
    SOURCES,
    Evidence,
    FileMalformed,
    FileUnreadable,
    Sources,
)
from services.cli.verify_papers import check_papers
from services.cli.verify_proofs import check_proofs
from services.cli.verify_report import Report, render

_SAMPLES: Final = 16
_TRIES: Final = 5  # of a log that grows while it is read


def verify_directory(
    directory: Path, *, vkey: str | None = None, allow_unchecked: bool = False
) -> Report:
    """Check everything in an evidence directory.

    A log that is still written replaces partial tiles while they are read: where
    something does not hold and the checkpoint has moved on meanwhile, all is checked
    again under the newest one.

    Args:
        directory: Holds `log/`, `log.vkey`, `sources.json` and perhaps `heads.json`,
            `handover/` and `proofs/`.
        vkey: The log's key as the reader knows it from elsewhere. Without it the
            directory's own `log.vkey` is believed.
        allow_unchecked: Whether missing heads and papers are only told, where they
            would else be failures.

    Returns:
        The report; no damage of the directory raises.
    """
    evidence = Evidence(directory)
    tries = 0
    while True:
        before, tries = _note(evidence), tries + 1
        report = Report(allow_unchecked=allow_unchecked)
        _verify(evidence, vkey, report)
        if report.ok or tries == _TRIES or _note(evidence) == before:
            return report


def _note(evidence: Evidence) -> bytes | None:
    try:
        return evidence.read(CHECKPOINT, MAX_NOTE_BYTES)
    except FileUnreadable:
        return None


def _verify(evidence: Evidence, vkey: str | None, report: Report) -> None:
    opened = _open_checkpoint(evidence, vkey, report)
    sources = _read_sources(evidence, report)
    ledger = None if sources is None else Ledger(sources.installation)
    leaves = None
    if opened is not None:
        checkpoint, verifier = opened
        leaves = _read_entries(evidence, checkpoint, sources, ledger, report)
        if leaves is not None:
            _check_tree(evidence, checkpoint, leaves, report)
            check_proofs(evidence, verifier, leaves, report)
    check_papers(evidence, ledger if leaves is not None else None, report)


def _open_checkpoint(
    evidence: Evidence, vkey: str | None, report: Report
) -> tuple[Checkpoint, NoteVerifier] | None:
    file = LOG_VKEY
    try:
        own = evidence.read(file, MAX_NOTE_BYTES).decode().removesuffix("\n")
        verifier = NoteVerifier.from_vkey(own if vkey is None else vkey)
        if own != verifier.vkey:
            report.fail("key", file, "the log's key is not the one you gave")
        file = CHECKPOINT
        note = evidence.read(file, MAX_NOTE_BYTES)
        checkpoint = open_checkpoint(note, verifier)
    except (FileUnreadable, UnicodeDecodeError):
        report.fail("missing", file, "the file is missing or unreadable")
        return None
    except LogError as exc:
        report.fail("checkpoint", file, str(exc))
        return None
    report.origin, report.size = checkpoint.origin, checkpoint.size
    report.root = base64text.encode(checkpoint.root)
    report.count("checkpoints")
    return checkpoint, verifier


def _read_sources(evidence: Evidence, report: Report) -> Sources | None:
    """Read the sources; without them nobody knows whose events belong here."""
    try:
        return evidence.sources()
    except FileUnreadable:
        report.fail("missing", SOURCES, "the file is missing or too large")
    except FileMalformed:
        report.fail("sources", SOURCES, "the file is malformed")
    return None


def _check_heads(
    evidence: Evidence, lanes: LaneChecker, sources: Sources, report: Report
) -> None:
    """Check the sources' signed heads, where the evidence holds them."""
    if not evidence.has(HEADS):
        detail = "without the sources' heads only the log vouches for who wrote what"
        report.unchecked(HEADS, detail)
        return
    try:
        heads = evidence.heads()
    except (FileUnreadable, FileMalformed):
        report.fail("heads", HEADS, "the file is malformed")
        return
    lanes.check_heads(heads, sources.keys)
    report.count("heads", len(heads))


def _read_entries(
    evidence: Evidence,
    checkpoint: Checkpoint,
    sources: Sources | None,
    ledger: Ledger | None,
    report: Report,
) -> list[bytes] | None:
    """Check what the entries say; return their leaf hashes.

    None when a bundle is missing: what follows it cannot be placed in the tree.
    """
    leaves: list[bytes] = []
    lanes = None
    if sources is not None:
        lanes = LaneChecker(sources.installation, frozenset(sources.keys))
    for bundle in _bundles(checkpoint.size):
        try:
            entries = evidence.bundle(bundle)
        except (FileUnreadable, TileMalformed):
            detail = "the entries are missing or malformed; nothing after is checked"
            report.fail("entries", f"log/{bundle.path}", detail, index=len(leaves))
            return None
        report.count("bundles")
        for index, entry in enumerate(entries, start=len(leaves)):
            leaves.append(merkle.leaf_hash(entry))
            event = None if lanes is None else lanes.add(index, entry)
            if event is not None and ledger is not None:
                ledger.add(index, event)
    if lanes is not None and sources is not None:
        _check_heads(evidence, lanes, sources, report)
        _report_lanes(lanes, checkpoint.size, report)
    return leaves


def _bundles(size: int) -> Iterator[tiles.BundleId]:
    # One by one: a signed size may be absurd, the files decide where it ends.
    for n in range(-(-size // tiles.TILE_WIDTH)):
        yield tiles.BundleId(n, min(tiles.TILE_WIDTH, size - n * tiles.TILE_WIDTH))


def _report_lanes(lanes: LaneChecker, size: int, report: Report) -> None:
    for found in lanes.finish():
        if found.index is None:
            report.fail(found.rule, HEADS, found.detail)
            continue
        n = found.index // tiles.TILE_WIDTH
        width = min(tiles.TILE_WIDTH, size - n * tiles.TILE_WIDTH)
        file = f"log/{tiles.entries_path(n, width)}"
        report.fail(found.rule, file, found.detail, index=found.index)
    report.types = lanes.types
    report.count("lanes", lanes.lanes)


def _check_tree(
    evidence: Evidence, checkpoint: Checkpoint, leaves: list[bytes], report: Report
) -> None:
    edge, rebuilt = TileEdge().append(leaves)
    signed = edge.root() == checkpoint.root
    if not signed:
        detail = "the entries do not give the signed root"
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


def _vkey(text: str | None) -> str | None:
    if text is not None:
        try:
            NoteVerifier.from_vkey(text)
        except KeyMalformed as exc:
            raise typer.BadParameter(str(exc)) from exc
    return text


def verify(
    directory: Annotated[
        Path,
        typer.Argument(
            help="Evidence directory, with log/, log.vkey and sources.json.",
            exists=True,
            file_okay=False,
            metavar="DIR",
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole report, as JSON.")
    ] = False,
    vkey: Annotated[
        str | None,
        typer.Option(
            help="The log's key as you know it from elsewhere.",
            callback=_vkey,
            metavar="KEY",
        ),
    ] = None,
    allow_unchecked: Annotated[
        bool,
        typer.Option(
            "--allow-unchecked",
            help="What missing heads or papers leave unchecked does not fail.",
        ),
    ] = False,
) -> None:
    """Check an evidence directory, offline.

    Opens no connection and writes nothing. The log may still be growing.
    """
    report = verify_directory(directory, vkey=vkey, allow_unchecked=allow_unchecked)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        render(report, Console())
    if not report.ok:
        raise typer.Exit(code=1)
