# SPDX-License-Identifier: Apache-2.0
"""The `.tlog-proof` file: one entry's proof and the checkpoint it leads to.

Owns the C2SP tlog-proof v1 text. It does not hold the entry: the checker brings
the exact bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contracts import base64text
from contracts.log.checkpoint import Checkpoint, NoteVerifier, open_checkpoint
from contracts.log.errors import ProofMalformed
from contracts.log.merkle import (
    HASH_SIZE,
    MAX_TREE_SIZE,
    leaf_hash,
    verify_inclusion,
)

FORMAT: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 128 * 1024
_MAX_HASHES: Final = 63  # a tree of fewer than 2^63 leaves is no deeper


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An inclusion proof with its signed checkpoint.

    Attributes:
        index: Index of the entry in the log.
        hashes: Inclusion proof, from the leaf up, 32 bytes each.
        checkpoint: The signed note, as the log published it.
        extra: Bytes that nobody signs; never trust them.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_TREE_SIZE:
            raise ProofMalformed("an index is from 0 to 2^63 - 1")
        if len(self.hashes) > _MAX_HASHES:
            raise ProofMalformed("the proof has too many hashes")
        if any(len(node) != HASH_SIZE for node in self.hashes):
            raise ProofMalformed("a hash has 32 bytes")
        if self.extra == b"":
            raise ProofMalformed("an empty extra is left out")

    def encode(self) -> bytes:
        """Return the file."""
        lines = [FORMAT]
        if self.extra is not None:
            lines.append(f"extra {base64text.encode(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [base64text.encode(node) for node in self.hashes]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, octets: bytes) -> "TlogProof":
        """Read a file; its checkpoint is not opened yet.

        Raises:
            ProofMalformed: The bytes are not a proof in its one form.
        """
        if len(octets) > MAX_PROOF_BYTES:
            raise ProofMalformed("the proof is too large")
        # The checkpoint holds an empty line itself, so the first one is the border.
        head, border, checkpoint = octets.partition(b"\n\n")
        if not border or not checkpoint:
            raise ProofMalformed("a proof is lines, an empty line and a checkpoint")
        try:
            proof = _parse_head(head.decode("ascii").split("\n"), checkpoint)
        except ValueError as exc:
            raise ProofMalformed("a line of the proof is malformed") from exc
        if proof.encode() != octets:
            raise ProofMalformed("a proof has one spelling")
        return proof

    def verify(
        self,
        entry: bytes,
        log: NoteVerifier,
        witnesses: Iterable[NoteVerifier] = (),
        *,
        origin: str | None = None,
        threshold: int = 0,
    ) -> Checkpoint:
        """Check that the log holds these entry bytes; return its checkpoint.

        Args:
            entry: The exact bytes of the leaf.
            log: The log's key.
            witnesses: Keys whose cosignatures count.
            origin: What the checkpoint must name; the log's key name when not given.
            threshold: How many different witness keys must have cosigned.

        Raises:
            NoteMalformed: The checkpoint is not a note.
            NoteUnverified: The log or too few witnesses signed, or one wrongly.
            CheckpointMalformed: The note is not a checkpoint, or of another origin.
            TreePositionError: The index lies outside the checkpoint's tree.
            ProofInvalid: The log does not hold the entry at the index.
        """
        checkpoint = open_checkpoint(
            self.checkpoint, log, witnesses, origin=origin, threshold=threshold
        )
        leaf = leaf_hash(entry)
        verify_inclusion(
            leaf, self.index, checkpoint.size, self.hashes, checkpoint.root
        )
        return checkpoint


def _parse_head(lines: list[str], checkpoint: bytes) -> TlogProof:
    if lines[0] != FORMAT:
        raise ProofMalformed("the first line is not the format's")
    extra: bytes | None = None
    rest = lines[1:]
    if rest and rest[0].startswith("extra "):
        extra = base64text.decode(rest.pop(0).removeprefix("extra "))
    if not rest or not rest[0].startswith("index "):
        raise ProofMalformed("the index is missing")
    index, *hashes = rest
    digits = index.removeprefix("index ")
    # 19 digits hold 2^63 - 1; int() must never see a longer text.
    if not digits.isdigit() or len(digits) > 19:
        raise ProofMalformed("the index is not decimal")
    decoded = tuple(base64text.decode(line) for line in hashes)
    return TlogProof(int(digits), decoded, checkpoint, extra)
