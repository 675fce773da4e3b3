# SPDX-License-Identifier: Apache-2.0
"""What the log shows, believed only as far as it is proven.

Owns the check of a proof, and the memory of the last checkpoint: from a log's key and
one checkpoint on, a log that shrinks or forks is refused (C2SP tlog-checkpoint).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from contracts.log.proof import TlogProof
from contracts.log.tiles import TILE_WIDTH, TileId
from keyturn_client import audit
from keyturn_client.audit import LogEvent
from keyturn_client.calls import Call
from keyturn_client.conversation import Conversation, Pause, ask
from keyturn_client.errors import (
    LogRewritten,
    LogUntrusted,
    NotFound,
    PinUnusable,
    ProofWrong,
)

POLL_SECONDS: Final = 0.5  # the log is published every second
MAX_PIN_BYTES: Final = 128 * 1024


def verify_proof(event: bytes, proof: bytes, vkey: str) -> Checkpoint:
    """Check offline that the log holds exactly these bytes; return its checkpoint.

    Args:
        event: The exact bytes of the leaf.
        proof: The bytes of its `.tlog-proof` file.
        vkey: The log's key, from somewhere else than the log.

    Raises:
        ProofWrong: It does not show that.
    """
    try:
        return TlogProof.parse(proof).verify(event, NoteVerifier.from_vkey(vkey))
    except LogError as error:
        raise ProofWrong(f"the proof does not hold: {error}") from error


@dataclass(frozen=True, slots=True)
class Proven:
    """An event and the proof that was checked; keep both to show them to others.

    Attributes:
        event: The event, whose `raw` the proof is about.
        proof: The bytes of its `.tlog-proof` file.
        checkpoint: The checkpoint that the proof leads to.
    """

    event: LogEvent
    proof: bytes
    checkpoint: Checkpoint


class LogView:
    """One reader's view of the log, which can only grow.

    Args:
        vkey: The log's key, from somewhere else than the log.
        pin: The file of the last checkpoint. Without one, the memory ends with the
            process, and so does the protection. The same form as `keyturn sign` keeps.

    Raises:
        PinUnusable: The file is damaged, or of another log's key.
        LogUntrusted: The key is no key, or did not sign what the file holds.
    """

    def __init__(self, vkey: str, pin: Path | str | None = None) -> None:
        self.vkey = vkey
        self._pin = None if pin is None else Path(pin)
        try:
            self._log = NoteVerifier.from_vkey(vkey)
        except LogError as error:
            raise LogUntrusted(f"the log's key is none: {error}") from error
        note = None if self._pin is None else _read_pin(self._pin, vkey)
        self._seen = None if note is None else self._opened(note)

    @property
    def seen(self) -> Checkpoint | None:
        """The newest checkpoint that was believed; None before the first."""
        return self._seen

    def advance(self) -> Conversation[Checkpoint]:
        """Ask for the newest checkpoint and believe it, if it follows from the last.

        Raises:
            LogUntrusted: The log's key did not sign it, or it shows a wrong tree.
            LogRewritten: The log shrank or forked.
        """
        note = (yield from ask(audit.read_checkpoint())).body
        new = self._opened(note)
        if self._seen is not None and new.size < self._seen.size:
            raise LogRewritten(f"the log shrank from {self._seen.size} to {new.size}")
        return (yield from self.believe(note))

    def believe(self, note: bytes) -> Conversation[Checkpoint]:
        """Believe a signed checkpoint, if it and the last one are of one growing log.

        An older checkpoint of the same log passes and is not remembered.

        Raises:
            LogUntrusted: The log's key did not sign it, or it shows a wrong tree.
            LogRewritten: It is of another history than the last one.
        """
        new, old = self._opened(note), self._seen
        if old is not None:
            first, second = sorted((old, new), key=lambda one: one.size)
            yield from _consistent(first, second)
        if old is None or new.size > old.size:
            self._remember(note, new)
        return new

    def prove(self, event: str, *, within: float = 30.0) -> Conversation[Proven]:
        """Fetch an event and its proof, and check it against this view.

        Args:
            event: The `<lane>/<seq>` that an answer named.
            within: Seconds to wait until the log has published it.

        Raises:
            NotFound: The log does not hold it, or not for this party.
            ProofWrong: The proof does not hold.
            LogRewritten: It holds in another history than the one seen before.
        """
        found = yield from _published(event, within)
        proof = (yield from ask(audit.read_proof(event))).body
        checkpoint = verify_proof(found.raw, proof, self.vkey)
        if (found.document or {}).get("id") != event:
            raise ProofWrong("the log answers with another event than was asked for")
        yield from self.believe(TlogProof.parse(proof).checkpoint)
        return Proven(found, proof, checkpoint)

    def _opened(self, note: bytes) -> Checkpoint:
        try:
            return open_checkpoint(note, self._log)
        except LogError as error:
            raise LogUntrusted(f"the checkpoint does not hold: {error}") from error

    def _remember(self, note: bytes, checkpoint: Checkpoint) -> None:
        # Written first: what is believed is always what a restart will know.
        if self._pin is not None:
            _write_pin(self._pin, self.vkey, note)
        self._seen = checkpoint


def _published(event: str, within: float) -> Conversation[LogEvent]:
    pauses = max(0, int(within / POLL_SECONDS))
    for _ in range(pauses):
        try:
            return LogEvent.of((yield from ask(audit.read_event(event))).body)
        except NotFound:
            yield Pause(POLL_SECONDS)
    return LogEvent.of((yield from ask(audit.read_event(event))).body)


class _TileMissing(Exception):  # noqa: N818 - it asks for one
    def __init__(self, tile: TileId) -> None:
        super().__init__()
        self.tile = tile


def _consistent(old: Checkpoint, new: Checkpoint) -> Conversation[None]:
    """Let pass what two checkpoints of one growing log are. Raises LogRewritten."""
    if old.size == new.size and old.root != new.root:
        raise LogRewritten(f"two different logs of {old.size} entries: it forked")
    if old.size in {0, new.size}:
        return
    try:
        proof = yield from _consistency(old.size, new.size)
        merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)
    except LogError as error:
        message = f"the log of {new.size} entries does not hold that of {old.size}"
        raise LogRewritten(message) from error


def _consistency(old_size: int, size: int) -> Conversation[list[bytes]]:
    have: dict[TileId, bytes] = {}

    def read(level: int, n: int, width: int) -> bytes:
        tile = TileId(level, n, width)
        if tile not in have:
            raise _TileMissing(tile)
        return have[tile]

    while True:
        try:
            return tiles.consistency_from_tiles(old_size, size, read)
        except _TileMissing as missing:
            tile = missing.tile
        have[tile] = yield from _tile(tile)


def _tile(tile: TileId) -> Conversation[bytes]:
    try:
        return (yield from ask(_call(tile))).body
    except NotFound:
        # It has grown full since: the partial tile is a prefix of the full one.
        full = TileId(tile.level, tile.n, TILE_WIDTH)
        octets = (yield from ask(_call(full))).body
        return octets[: tile.width * merkle.HASH_SIZE]


def _call(tile: TileId) -> Call[bytes]:
    level, _, place = tile.path.removeprefix("tile/").partition("/")
    return audit.read_tile(int(level), place)


def _read_pin(path: Path, vkey: str) -> bytes | None:
    try:
        with path.open("rb") as opened:
            found = json.loads(opened.read(MAX_PIN_BYTES))
        kept, note = str(found["vkey"]), str(found["checkpoint"]).encode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise PinUnusable("the file of the last checkpoint is damaged") from None
    if kept != vkey:
        raise PinUnusable("the file of the last checkpoint is of another log's key")
    return note


def _write_pin(path: Path, vkey: str, note: bytes) -> None:
    """Replace the file; a crash leaves the old or the new one."""
    members = {"vkey": vkey, "checkpoint": note.decode()}
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as opened:
        opened.write(json.dumps(members, indent=2).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(path)
