# SPDX-License-Identifier: Apache-2.0
"""`keyturn verify DIR`: check an evidence directory offline, with its keys alone.

Owns what must hold between the files; `contracts.log` decides each rule. Never
writes, never opens a connection, and believes no file that the signed root or a
signature does not cover.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from contracts import base64text
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteVerifier
from contracts.log.errors import KeyMalformed, TileMalformed
from contracts.log.lane_check import LaneChecker
from contracts.log.note import MAX_NOTE_BYTES
from services.cli.custody_ledger import Ledger
from services.cli.evidence import (
    CHECKPOINT,
    HEADS,
    KEY_SIZE,
    SERVICES,
    Evidence,
    FileMalformed,
    FileUnreadable,
    Sources,
)
from services.cli.verify_keys import open_directory, read_sources
from services.cli.verify_papers import check_papers
from services.cli.verify_party import verify_party
from services.cli.verify_proofs import check_proofs
from services.cli.verify_report import Report, render
from services.cli.verify_tree import check_tree

_SAMPLES: Final = 16
_TRIES: Final = 5  # of a log that grows while it is read


def verify_directory(
    directory: Path,
    *,
    vkey: str | None = None,
    source_keys: Mapping[str, bytes] | None = None,
    allow_unchecked: bool = False,
    handover: str | None = None,
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
        source_keys: Raw Ed25519 keys of services, known from elsewhere; the
            directory's own are believed where one is not given.
        allow_unchecked: Whether missing heads and papers are only told, where they
            would else be failures.
        handover: The one handover whose papers are demanded; None for every one's.

    Returns:
        The report; no damage of the directory raises.
    """
    evidence = Evidence(directory)
    tries = 0
    while True:
        before, tries = _note(evidence), tries + 1
        report = Report(allow_unchecked=allow_unchecked, handover=handover)
        _verify(evidence, vkey, source_keys or {}, report)
        if report.ok or tries == _TRIES or _note(evidence) == before:
            return report


def _note(evidence: Evidence) -> bytes | None:
    try:
        return evidence.read(CHECKPOINT, MAX_NOTE_BYTES)
    except FileUnreadable:
        return None


def _verify(
    evidence: Evidence,
    vkey: str | None,
    source_keys: Mapping[str, bytes],
    report: Report,
) -> None:
    opened = open_directory(evidence, vkey, report)
    sources = read_sources(evidence, source_keys, report)
    ledger = None if sources is None else Ledger(sources.installation)
    leaves = None
    if opened is not None:
        checkpoint, verifier = opened
        leaves = _read_entries(evidence, checkpoint, sources, ledger, report)
        if leaves is not None:
            check_tree(evidence, checkpoint, leaves, report)
            check_proofs(evidence, verifier, leaves, report)
    check_papers(evidence, ledger if leaves is not None else None, report)


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


def _vkey(text: str | None) -> str | None:
    if text is not None:
        try:
            NoteVerifier.from_vkey(text)
        except KeyMalformed as exc:
            raise typer.BadParameter(str(exc)) from exc
    return text


def _source_keys(texts: list[str] | None) -> list[str] | None:
    _pinned(texts)
    return texts


def _pinned(texts: list[str] | None) -> dict[str, bytes]:
    """Read `SERVICE=KEY` words; the key is the base64 of `sources.json`."""
    found: dict[str, bytes] = {}
    for text in texts or ():
        service, _, key = text.partition("=")
        try:
            octets = base64text.decode(key)
        except ValueError:
            octets = b""
        if service not in SERVICES or service in found or len(octets) != KEY_SIZE:
            rule = (
                "SERVICE=KEY: vault, transfer or audit, each once, and its base64 key"
            )
            raise typer.BadParameter(rule)
        found[service] = octets
    return found


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
    *,
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
    source_key: Annotated[
        list[str] | None,
        typer.Option(
            help="A service's key as you know it from elsewhere; may be repeated.",
            callback=_source_keys,
            metavar="SERVICE=KEY",
        ),
    ] = None,
    allow_unchecked: Annotated[
        bool,
        typer.Option(
            "--allow-unchecked",
            help="What missing heads or papers leave unchecked does not fail.",
        ),
    ] = False,
    handover: Annotated[
        str | None,
        typer.Option(help="Demand this handover's papers alone.", metavar="ID"),
    ] = None,
    party: Annotated[
        str | None,
        typer.Option(help="DIR is this party's own export: is it whole?"),
    ] = None,
) -> None:
    """Check an evidence directory, or a party's own export, offline.

    Opens no connection and writes nothing. The log may still be growing.
    """
    pinned = _pinned(source_key)
    if party is not None and handover is not None:
        raise typer.BadParameter("a party's export holds no papers: --party alone")
    if party is not None:
        report = verify_party(
            directory,
            party,
            vkey=vkey,
            source_keys=pinned,
            allow_unchecked=allow_unchecked,
        )
    else:
        report = verify_directory(
            directory,
            vkey=vkey,
            source_keys=pinned,
            allow_unchecked=allow_unchecked,
            handover=handover,
        )
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        render(report, Console())
    if not report.ok:
        raise typer.Exit(code=1)
