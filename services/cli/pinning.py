# SPDX-License-Identifier: Apache-2.0
"""Each signer is a witness: the log's checkpoint against the one pinned before.

The pin lies beside the officer's file. The first one trusts the log's key as it was
given; from then on a log that shrinks, forks or changes its key is never signed for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from services.chassis.key_files import KeyFileRefused, read_private, replace_private
from services.cli.http import Api, EvidenceWrong, FileUnusable, Refused

CHECKPOINT_PATH: Final = "/checkpoint"


@dataclass(frozen=True, slots=True)
class Pin:
    """What this person saw last: the log's key and its signed note."""

    vkey: str
    note: bytes


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that follows from the pinned one.

    Attributes:
        note: The signed note as it was fetched.
        before: Leaves of the checkpoint pinned before; None at the first.
    """

    note: bytes
    checkpoint: Checkpoint
    before: int | None


def pin_path(officer_file: Path) -> Path:
    """Return where a person's pin lies."""
    return officer_file.with_name(officer_file.name + ".pin")


def read_pin(path: Path) -> Pin | None:
    """Return a person's pin; None where there is none yet.

    Raises:
        FileUnusable: It is damaged or open to others.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(read_private(path))
        return Pin(str(found["vkey"]), str(found["checkpoint"]).encode())
    except KeyFileRefused as error:
        raise FileUnusable(f"pin: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FileUnusable(f"{path} is damaged; restore it from a backup") from error


def write_pin(path: Path, pin: Pin) -> None:
    """Keep a pin, durable; a crash leaves the old or the new one."""
    members = {"vkey": pin.vkey, "checkpoint": pin.note.decode()}
    replace_private(path, json.dumps(members, indent=2).encode() + b"\n")


def witness(log: Api, path: Path, vkey: str | None) -> Witnessed:
    """Fetch the checkpoint, check it against the pin, and pin it.

    Args:
        log: The audit service or a mirror of its log.
        path: Where this person's pin lies.
        vkey: The log's key, needed where there is no pin yet.

    Raises:
        EvidenceWrong: The note is not the log's, or contradicts the pin.
        FileUnusable: There is no pin and no key.
        Refused, Unreachable: The log does not answer as a log.
    """
    pin = read_pin(path)
    verifier = _verifier(pin, vkey)
    note = log.read(CHECKPOINT_PATH)
    checkpoint = _opened(note, verifier)
    before = None
    if pin is not None:
        old = _opened(pin.note, verifier)
        before = old.size
        _check_consistent(log, old, checkpoint)
    write_pin(path, Pin(verifier.vkey, note))
    return Witnessed(note, checkpoint, before)


def _verifier(pin: Pin | None, vkey: str | None) -> NoteVerifier:
    text = vkey if pin is None else pin.vkey
    if text is None:
        raise FileUnusable(
            "nothing is pinned yet: give the log's key with --log-key, as the "
            "operator read it to you"
        )
    if pin is not None and vkey not in (None, pin.vkey):
        raise EvidenceWrong("the log's key is another than the pinned one")
    try:
        return NoteVerifier.from_vkey(text)
    except LogError as error:
        raise FileUnusable(f"the log's key: {error}") from error


def _opened(note: bytes, verifier: NoteVerifier) -> Checkpoint:
    try:
        return open_checkpoint(note, verifier)
    except LogError as error:
        raise EvidenceWrong(f"the checkpoint: {error}") from error


def _check_consistent(log: Api, old: Checkpoint, new: Checkpoint) -> None:
    if new.size < old.size:
        raise EvidenceWrong(
            f"the log has {new.size} leaves and had {old.size}: it was rolled back"
        )

    def read(level: int, n: int, width: int) -> bytes:
        try:
            return log.read(f"/{tiles.tile_path(level, n, width)}")
        except Refused:
            # It may have grown full since its checkpoint: a prefix is the same bytes.
            full = log.read(f"/{tiles.tile_path(level, n)}")
            return full[: width * merkle.HASH_SIZE]

    try:
        proof = tiles.consistency_from_tiles(old.size, new.size, read)
        merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)
    except LogError as error:
        message = f"the log does not continue the pinned one: {error}"
        raise EvidenceWrong(message) from error
