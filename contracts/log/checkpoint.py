# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: what the log signs and what witnesses cosign.

Owns C2SP tlog-checkpoint and tlog-cosignature v1, with Ed25519. Never decides
whether a checkpoint is newer or consistent; `merkle` proves that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contracts import base64text
from contracts.log.errors import CheckpointMalformed, NoteUnverified
from contracts.log.merkle import EMPTY_ROOT, HASH_SIZE, MAX_TREE_SIZE
from contracts.log.note import (
    KeyType,
    NoteSigner,
    NoteVerifier,
    OpenedNote,
    cosigned_message,
    open_note,
    signature_line,
    signing_key,
)

__all__ = [
    "CONTENT_TYPE",
    "Checkpoint",
    "Cosigner",
    "NoteSigner",
    "NoteVerifier",
    "OpenedNote",
    "open_checkpoint",
    "open_note",
]

CONTENT_TYPE: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: its origin, number of leaves and root. C2SP tlog-checkpoint.

    Attributes:
        origin: The log's unique name, one line.
        size: Number of leaves.
        root: Tree hash, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or any(char < " " for char in self.origin):
            raise CheckpointMalformed("an origin is one line without controls")
        if not 0 <= self.size <= MAX_TREE_SIZE:
            raise CheckpointMalformed("the size is from 0 to 2^63 - 1")
        if len(self.root) != HASH_SIZE:
            raise CheckpointMalformed("a root has 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointMalformed("the root of an empty log is H()")

    def text(self) -> str:
        """Return the three lines that the log signs."""
        root = base64text.encode(self.root)
        return f"{self.origin}\n{self.size}\n{root}\n"

    @classmethod
    def parse(cls, text: str, *, origin: str | None = None) -> "Checkpoint":
        """Read the text of a note; extension lines are not ours and are refused.

        Args:
            text: The signed text, with its final LF.
            origin: What the checkpoint must name, when given.

        Raises:
            CheckpointMalformed: The text is not a checkpoint in its one form, or of
                another origin.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise CheckpointMalformed("a checkpoint has three lines")
        named, size, root = lines[:3]
        # 19 digits hold 2^63 - 1; int() must never see a longer text.
        if not size.isascii() or not size.isdigit() or len(size) > 19:
            raise CheckpointMalformed("the size is not decimal")
        try:
            checkpoint = cls(named, int(size), base64text.decode(root))
        except ValueError as exc:
            raise CheckpointMalformed("the root is not base64") from exc
        if checkpoint.text() != text:
            raise CheckpointMalformed("the size has leading zeros")
        if origin is not None and named != origin:
            raise CheckpointMalformed("the checkpoint is of another origin")
        return checkpoint


def open_checkpoint(
    note: bytes,
    log: NoteVerifier,
    witnesses: Iterable[NoteVerifier] = (),
    *,
    origin: str | None = None,
    threshold: int = 0,
) -> Checkpoint:
    """Return the checkpoint in a note that the log signed and enough witnesses did.

    Args:
        note: The bytes of `/checkpoint`.
        log: The log's key.
        witnesses: Keys whose cosignatures count.
        origin: What the checkpoint must name; the log's key name when not given.
        threshold: How many different witness keys must have cosigned.

    Raises:
        NoteMalformed: The bytes are not a note.
        NoteUnverified: The log or too few witnesses signed, or one wrongly.
        CheckpointMalformed: The text is not a checkpoint, or of another origin.
    """
    counted = [
        witness
        for witness in witnesses
        if witness.key_type is KeyType.COSIGNATURE
        and witness.public_key != log.public_key  # a log is no witness of itself
    ]
    opened = open_note(note, [log, *counted])
    if not opened.signed_by(log):
        raise NoteUnverified("the log did not sign the checkpoint")
    # Keys are counted, not names: one key under two names is one witness.
    keys = {v.verifier.public_key for v in opened.verified if v.verifier != log}
    if len(keys) < threshold:
        raise NoteUnverified("too few witnesses cosigned the checkpoint")
    return Checkpoint.parse(opened.text, origin=log.name if origin is None else origin)


class Cosigner:
    """Cosigns checkpoints as a witness does, by tlog-cosignature v1.

    Raises:
        KeyMalformed: The name or the seed breaks the rules.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = signing_key(seed)
        public_key = bytes(self._key.verify_key)
        self.verifier = NoteVerifier(name, KeyType.COSIGNATURE, public_key)

    def __repr__(self) -> str:
        return f"Cosigner({self.verifier.name!r}, ***)"

    @property
    def vkey(self) -> str:
        """The verifier key to publish."""
        return self.verifier.vkey

    def line(self, text: str, timestamp: int) -> bytes:
        """Return the signature line, with LF, to append to the log's note.

        Args:
            text: The checkpoint's text.
            timestamp: When the witness saw it, POSIX seconds.

        Raises:
            CheckpointMalformed: The text is not a checkpoint.
        """
        Checkpoint.parse(text)
        signature = self._key.sign(cosigned_message(text, timestamp).encode()).signature
        blob = timestamp.to_bytes(8, "big") + signature
        return signature_line(self.verifier, blob).encode()
