# SPDX-License-Identifier: Apache-2.0
"""Whose log an evidence directory holds: its key, its checkpoint, its sources' keys.

Owns which key is believed: the one that the reader knows from elsewhere, else the
directory's own.
"""

from collections.abc import Mapping

from contracts import base64text
from contracts.log.checkpoint import Checkpoint, NoteVerifier, open_checkpoint
from contracts.log.errors import LogError
from contracts.log.note import MAX_NOTE_BYTES
from services.cli.evidence import (
    CHECKPOINT,
    LOG_VKEY,
    SOURCES,
    Evidence,
    FileMalformed,
    FileUnreadable,
    Sources,
)
from services.cli.verify_report import Report


def open_directory(
    evidence: Evidence, vkey: str | None, report: Report
) -> tuple[Checkpoint, NoteVerifier] | None:
    """Open the checkpoint under the log's key; None, and told, where it does not."""
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


def read_sources(
    evidence: Evidence, pinned: Mapping[str, bytes], report: Report
) -> Sources | None:
    """Read the sources; without them nobody knows whose events belong here.

    Args:
        evidence: Where `sources.json` lies.
        pinned: Keys of services as the reader knows them; they count, and a file that
            says otherwise fails.
        report: Takes the findings.
    """
    try:
        sources = evidence.sources()
    except FileUnreadable:
        report.fail("missing", SOURCES, "the file is missing or too large")
        return None
    except FileMalformed:
        report.fail("sources", SOURCES, "the file is malformed")
        return None
    for service, key in pinned.items():
        if sources.keys.get(service) != key:
            detail = f"the key of {service} is not the one you gave"
            report.fail("key", SOURCES, detail)
    return Sources(sources.installation, {**sources.keys, **pinned})
