# SPDX-License-Identifier: Apache-2.0
"""`check-records`: every record row against the log of what was written.

Reads only, and may run beside the server. The log is taken as published: its
checkpoint must be signed and its entries must give the signed root; what is not in it
yet comes from the outbox, as far as the vault's own signature covers it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.events.envelope import Event
from contracts.events.head import Head
from contracts.log.checkpoint import open_checkpoint
from contracts.log.edge import TileEdge
from contracts.log.errors import LogError
from contracts.log.lane_check import LaneChecker
from contracts.log.merkle import leaf_hash
from contracts.log.note import NoteVerifier
from contracts.log.tiles import TILE_WIDTH, decode_bundle, entries_path
from services.chassis import outbox
from services.chassis.engines import Engines
from services.chassis.installation import log_verifier
from services.vault.custody.store.standing import standing_rows
from services.vault.custody.written import Difference, Written
from services.vault.errors import VaultError
from services.vault.opening import Opening, open_vault
from services.vault.schema import CHANGES_LANES
from services.vault.settings import VaultSettings

_SERVICES: Final = frozenset({"vault", "transfer", "audit"})


class LogUnreadable(VaultError):  # noqa: N818 - it names what is
    """The folder is not this installation's log, whole and signed."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a comparison came to.

    Attributes:
        rows: Folios compared.
        events: Events read.
        chain: Rules of lanes that the events break, or ends that are not signed.
        found: Rows that are not what the log says.
    """

    rows: int
    events: int
    chain: tuple[str, ...]
    found: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not (self.chain or self.found)


def check_records(settings: VaultSettings, log: Path | None = None) -> Checked:
    """Compare every folio's current version with what the log says was written last.

    Args:
        settings: The vault's.
        log: The folder of the published log; None for the embedded one.

    Raises:
        LogUnreadable: It is missing, not signed by this log, or not whole.
        SettingsError, RootKeyError, KeysNotReady, KeyFileRefused, EngineRefused:
            The vault cannot be opened.
    """
    opening = open_vault(settings)
    engines = opening.records_engines()
    try:
        return _check(opening, engines, log or settings.state_dir / "audit" / "log")
    finally:
        engines.dispose()


def _check(opening: Opening, engines: Engines, log: Path) -> Checked:
    checker, written = LaneChecker(opening.installation, _SERVICES), Written()
    ends: dict[str, int] = {}
    count = rows = 0

    def take(entry: bytes) -> None:
        nonlocal count
        event: Event | None = checker.add(count, entry)
        count += 1
        if event is not None:
            ends[event.lane] = max(event.seq, ends.get(event.lane, 0))
            if event.service == "vault":
                written.add(event)

    for entry in published(opening.settings.state_dir, log):
        take(entry)
    # The log first and the rows after it, in one snapshot with the outbox: what is
    # written meanwhile is in neither.
    with engines.reader.connect() as connection, connection.begin():
        heads = outbox.heads(connection, CHANGES_LANES)
        chain = [line for head in heads for line in _end(opening, head, ends)]
        for head in heads:
            first = ends.get(head.lane, 0) + 1
            while page := outbox.rows_from(connection, CHANGES_LANES, head.lane, first):
                for row in page:
                    take(row.event)
                first = page[-1].seq + 1
        standing = list(standing_rows(connection))
        rows = len(standing)
    chain += [f"{one.rule}: {one.detail}" for one in checker.finish()]
    return Checked(rows, count, tuple(chain), tuple(written.differences(standing)))


def _end(opening: Opening, head: outbox.LaneHead, logged: dict[str, int]) -> list[str]:
    """Return what is wrong with the end of a lane as the database has it."""
    key = opening.source.key.verify_key
    claim = Head(opening.installation, head.lane, head.seq, head.leaf_hash)
    if not claim.verifies(head.head, key):
        return [f"head-signature: lane {head.lane} ends without the vault's signature"]
    if head.seq < logged.get(head.lane, 0):
        return [f"rolled-back: lane {head.lane} ends before what the log holds"]
    return []


def published(state_dir: Path, log: Path) -> Iterator[bytes]:
    """Yield the entries of a published log, once they are proven whole.

    Raises:
        LogUnreadable: See `check_records`.
    """
    verifier = log_verifier(state_dir)
    if verifier is None:
        raise LogUnreadable("The log's public key, log.vkey, is missing or damaged.")
    try:
        size, root = _signed(log, verifier)
        edge = TileEdge()
        for n in range(-(-size // TILE_WIDTH)):
            entries = _bundle(log, n, min(TILE_WIDTH, size - n * TILE_WIDTH))
            edge, _tiles = edge.append([leaf_hash(entry) for entry in entries])
        if edge.root() != root:
            raise LogUnreadable("The entries do not give the signed root: run fsck.")
        for n in range(-(-size // TILE_WIDTH)):
            yield from _bundle(log, n, min(TILE_WIDTH, size - n * TILE_WIDTH))
    except (OSError, LogError) as error:
        raise LogUnreadable(
            "There is no whole log of this installation in that folder; name a copy of "
            "audit's log folder with --log."
        ) from error


def _signed(log: Path, verifier: NoteVerifier) -> tuple[int, bytes]:
    checkpoint = open_checkpoint((log / "checkpoint").read_bytes(), verifier)
    return checkpoint.size, checkpoint.root


def _bundle(log: Path, n: int, width: int) -> list[bytes]:
    """Return the first `width` entries of a bundle; a full one may have replaced it."""
    partial, full = log / entries_path(n, width), log / entries_path(n)
    if width < TILE_WIDTH and not partial.exists() and full.exists():
        return decode_bundle(full.read_bytes(), TILE_WIDTH)[:width]
    return decode_bundle(partial.read_bytes(), width)
