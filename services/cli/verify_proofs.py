# SPDX-License-Identifier: Apache-2.0
"""The `.tlog-proof` files of an evidence directory: each proves what its name says.

Owns which entry a proof is of, and that its checkpoint and the evidence's are of one
log. A later checkpoint is not compared: the entries do not reach it.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

from contracts.events.envelope import EventMalformed, parse
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteVerifier, open_checkpoint
from contracts.log.errors import LogError, TileMalformed
from contracts.log.proof import MAX_PROOF_BYTES, TlogProof
from services.cli.evidence import PROOFS, Evidence, FileUnreadable
from services.cli.verify_report import Report

SUFFIX: Final = ".tlog-proof"
_Opened = tuple[str, TlogProof, Checkpoint]


def check_proofs(
    evidence: Evidence, verifier: NoteVerifier, leaves: Sequence[bytes], report: Report
) -> None:
    """Check each proof against the entry that its name gives, and the log's key.

    Args:
        evidence: Where `proofs/` lies, if it does.
        verifier: The log's key.
        leaves: Leaf hashes of all entries, in order.
        report: Takes the findings, rule `proof`.
    """
    opened = _opened(evidence, verifier, report)
    older = merkle.CompactRange.empty()
    for file, proof, checkpoint in sorted(opened, key=lambda found: found[2].size):
        if checkpoint.size <= len(leaves):
            older = older.extend(leaves[older.size : checkpoint.size])
            if older.root() != checkpoint.root:
                detail = "its checkpoint is signed, and not of these entries: a fork"
                report.fail("proof", file, detail)
                continue
        detail = _fault(evidence, file, proof, checkpoint, leaves)
        if detail:
            report.fail("proof", file, detail)


def _opened(
    evidence: Evidence, verifier: NoteVerifier, report: Report
) -> Iterator[_Opened]:
    for file in evidence.files(PROOFS, f"*{SUFFIX}"):
        report.count("proof files")
        try:
            proof = TlogProof.parse(evidence.read(file, MAX_PROOF_BYTES))
            checkpoint = open_checkpoint(proof.checkpoint, verifier)
        except FileUnreadable:
            report.fail("proof", file, "the file is unreadable or too large")
        except LogError as exc:
            report.fail("proof", file, str(exc))
        else:
            yield file, proof, checkpoint


def _fault(
    evidence: Evidence,
    file: str,
    proof: TlogProof,
    checkpoint: Checkpoint,
    leaves: Sequence[bytes],
) -> str:
    """Return what is wrong with a proof; empty where nothing is."""
    index = proof.index
    if index >= len(leaves):
        return "it is of an entry that is not here"
    size, root = checkpoint.size, checkpoint.root
    try:
        merkle.verify_inclusion(leaves[index], index, size, proof.hashes, root)
    except LogError as exc:
        return str(exc)
    if _name(evidence, index, len(leaves)) != PurePosixPath(file).name:
        return "it is of another entry than its name says"
    return ""


def _name(evidence: Evidence, index: int, size: int) -> str:
    """Return what the proof of an entry is called: `<lane>-<seq>.tlog-proof`."""
    n, at = divmod(index, tiles.TILE_WIDTH)
    width = min(tiles.TILE_WIDTH, size - n * tiles.TILE_WIDTH)
    try:
        event = parse(evidence.bundle(tiles.BundleId(n, width))[at])
    except (FileUnreadable, TileMalformed, EventMalformed):
        return ""
    return f"{event.lane}-{event.seq}{SUFFIX}"
