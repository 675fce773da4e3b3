# SPDX-License-Identifier: Apache-2.0
"""The published log, read by itself: C2SP tiles, signed notes, RFC 6962 hashes.

Written from those documents with the standard library and PyNaCl alone. None of the
product's readers is used: what it writes wrongly, they might read wrongly.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

WIDTH = 256


class LogUnreadable(Exception):  # noqa: N818 - a state
    """The published files are not those of a log; the message says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed size and root."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry: its exact bytes, and what stands in them."""

    raw: bytes
    lane: str
    seq: int
    prev: bytes
    type: str
    source: str
    data: dict[str, Any]

    @property
    def event(self) -> str:
        """`<lane>/<seq>`, as `Audit-Event` names it."""
        return f"{self.lane}/{self.seq}"

    @property
    def hash(self) -> bytes:
        """RFC 6962 leaf hash."""
        return leaf_hash(self.raw)


def leaf_hash(raw: bytes) -> bytes:
    """Return SHA-256(0x00 || raw)."""
    return sha256(b"\0" + raw).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the tree hash as RFC 6962 §2.1 defines it, level by level.

    An odd node at the end of a level goes up as it is: the same tree as the recursive
    definition, which splits at the largest power of two.
    """
    if not hashes:
        return sha256(b"").digest()
    level = list(hashes)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
        level = above + level[len(level) & ~1 :]
    return level[0]


def parse_leaf(raw: bytes) -> Leaf:
    """Read one entry. Raises LogUnreadable."""
    try:
        found = json.loads(raw)
        return Leaf(
            raw,
            found["lane"],
            found["seq"],
            base64.b64decode(found["prev"]),
            found["type"],
            found["source"],
            found["data"],
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise LogUnreadable("an entry is no event") from exc


def open_note(note: bytes, vkey: str) -> Checkpoint:
    """Return the checkpoint of a signed note. Raises LogUnreadable."""
    name, key_id, encoded = vkey.split("+", 2)
    key = base64.b64decode(encoded)[1:]
    text, _, signatures = note.decode().partition("\n\n")
    wanted = f"— {name} "
    for line in signatures.splitlines():
        blob = base64.b64decode(line.removeprefix(wanted))
        if line.startswith(wanted) and blob[:4].hex() == key_id:
            try:
                VerifyKey(key).verify(f"{text}\n".encode(), blob[4:])
            except BadSignatureError as exc:
                raise LogUnreadable("a checkpoint's signature is wrong") from exc
            origin, size, root = text.split("\n")
            if origin != name:
                raise LogUnreadable("a checkpoint is of another log")
            return Checkpoint(int(size), base64.b64decode(root))
    raise LogUnreadable("the log did not sign a checkpoint")


def read_log(folder: Path, vkey: str) -> tuple[Checkpoint, list[Leaf]]:
    """Read the entries that a published checkpoint covers.

    Raises:
        LogUnreadable: A file is missing, cut off or unsigned.
    """
    checkpoint = open_note((folder / "checkpoint").read_bytes(), vkey)
    raws = [raw for path in _bundles(folder, checkpoint.size) for raw in _split(path)]
    if len(raws) < checkpoint.size:
        raise LogUnreadable("bundles hold fewer entries than the checkpoint says")
    return checkpoint, [parse_leaf(raw) for raw in raws[: checkpoint.size]]


def _bundles(folder: Path, size: int) -> Iterator[Path]:
    for n in range((size + WIDTH - 1) // WIDTH):
        spelled, left = f"{n % 1000:03d}", n // 1000
        while left:
            spelled, left = f"x{left % 1000:03d}/{spelled}", left // 1000
        path = folder / "tile" / "entries" / spelled
        width = min(WIDTH, size - n * WIDTH)
        partial = path.with_name(f"{path.name}.p") / str(width)
        yield partial if width < WIDTH and partial.exists() else path


def _split(path: Path) -> Iterator[bytes]:
    try:
        octets = path.read_bytes()
    except OSError as exc:
        raise LogUnreadable(f"{path.name} cannot be read") from exc
    at = 0
    while at < len(octets):
        start = at + 2
        at = start + int.from_bytes(octets[at:start], "big")
        if at > len(octets):
            raise LogUnreadable(f"{path.name} ends inside an entry")
        yield octets[start:at]
