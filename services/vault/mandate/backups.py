# SPDX-License-Identifier: Apache-2.0
"""The backup of a scope, and the drill that proves it restores.

One file: canonical JSON lines, a header first and a trailer last. Its digest is taken
while writing; the drill reads the file back into an empty encrypted database and
compares what stands there, row by row, with what was read from the vault. A killed
process begins again from the start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from contracts.events.envelope import canonical_json
from contracts.events.vault import BackupMade
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.database import Tx
from services.vault.custody import handover as custody
from services.vault.custody.handover import Scope
from services.vault.keys.sealing import KEY_BYTES
from services.vault.mandate import store
from services.vault.mandate.ground import Ground, Standing, standing, turn_lock
from services.vault.mandate.releasing import DECIDED

FORMAT: Final = "keyturn-backup/1"
SLICE_FOLIOS: Final = 100
RUNNING: Final = "running"
PASSED: Final = "passed"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Written:
    """A backup file: its digest, its folios, and the digest of their rows."""

    path: Path
    digest: str
    folios: int
    rows: str


async def begin(ground: Ground, principal: Principal, handover: str) -> str:
    """Begin a backup, unless one is running or has passed; return its state.

    Raises:
        WrongState: The scope is not decided, or the handover ended.
        HandoverUnknown: See `standing`.
    """

    def mark(tx: Tx) -> str:
        standing(tx.connection, handover, principal).frozen(*DECIDED)
        known = store.find_backup(tx.connection, handover)
        if known is not None and known.state != FAILED:
            return known.state
        store.put_backup(tx, handover, RUNNING)
        return RUNNING

    return await ground.changes.write(mark, [turn_lock(handover, exclusive=True)])


async def make(ground: Ground, handover: str) -> None:
    """Write the file, drill it, and record both."""
    at = await ground.changes.read(lambda c: standing(c, handover))
    scope = at.scope
    if scope is None:
        return
    written = await _write(ground, at, scope)
    try:
        key = ground.random_bytes(KEY_BYTES)
        passed = await asyncio.to_thread(_drill, written, key)
        await _record(ground, at, written, passed=passed)
    finally:
        written.path.unlink(missing_ok=True)


async def _record(
    ground: Ground, at: Standing, written: Written, *, passed: bool
) -> None:
    handover = at.stored.handover

    def record(tx: Tx) -> None:
        known = store.find_backup(tx.connection, handover)
        if known is None or known.state != RUNNING:
            return  # another process was first, and its file stands
        written.path.replace(file_of(ground, handover))
        drill = PASSED if passed else FAILED
        store.put_backup(tx, handover, drill, written.digest, written.folios)
        event = BackupMade.model_validate(
            {
                "handover": handover,
                "digest": written.digest,
                "folios": written.folios,
                "drill": drill,
            }
        )
        outbox.append(tx, event.draft(at.seller))

    await ground.changes.write(record, [turn_lock(handover, exclusive=True)])


def file_of(ground: Ground, handover: str) -> Path:
    """Return where the backup of a handover's scope is."""
    return ground.backups / f"{handover}.ndjson"


# -- The file -------------------------------------------------------------------------


class _Writer:
    """Writes lines and takes their digest, and the digest of the folios' rows."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._all = hashlib.sha256()
        self._rows = hashlib.sha256()
        self.folios = 0

    def line(self, value: Any) -> None:
        raw = canonical_json(value) + b"\n"
        self._all.update(raw)
        self._file.write(raw)

    def copies(self, found: list[custody.Copy]) -> None:
        for one in found:
            self.line(one)
            self._rows.update(row_bytes(one))
            self.folios += 1

    def close(self) -> tuple[str, str]:
        self._file.flush()
        os.fsync(self._file.fileno())
        return f"sha256:{self._all.hexdigest()}", self._rows.hexdigest()


def row_bytes(copy: custody.Copy) -> bytes:
    """Return what a folio's rows are compared by: all of them but the position."""
    return canonical_json([copy["folio"], copy["version"], copy["custody"]])


async def _write(ground: Ground, at: Standing, scope: Scope) -> Written:
    ground.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    making = ground.backups / f"{scope.handover}.{ground.new_id()}.part"
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        writer = _Writer(file)
        writer.line(
            {
                "format": FORMAT,
                "installation": ground.installation,
                "handover": scope.handover,
                "snapshot": scope.snapshot,
                "plan_hash": scope.plan_hash,
                "decision_root": scope.decision_root,
            }
        )
        after = -1
        while found := await ground.changes.read(
            lambda c, after=after: custody.copies_after(  # type: ignore[misc]
                c, scope.handover, at.seller, after, SLICE_FOLIOS
            )
        ):
            after = found[-1]["position"]
            complete = [one for one in found if custody.is_complete(one)]
            await asyncio.to_thread(writer.copies, complete)
        writer.line({"folios": writer.folios})
        digest, rows = await asyncio.to_thread(writer.close)
    return Written(making, digest, writer.folios, rows)


# -- The drill ------------------------------------------------------------------------


def _drill(written: Written, key: bytes) -> bool:
    """Restore the file into an empty database; whether it is what was written."""
    with tempfile.TemporaryDirectory(dir=written.path.parent) as folder:
        place = Path(folder) / "drill.db"
        with custody.empty_copy(place, key) as connection:
            digest = hashlib.sha256()
            for part in _parts(written.path, digest):
                custody.restore(connection, part)
            rows = hashlib.sha256()
            after = ("", "", "")
            while found := custody.restored_copies(connection, after, SLICE_FOLIOS):
                for one in found:
                    rows.update(row_bytes(one))
                last = found[-1]["folio"]
                after = (last["record"], last["class"], last["volume"])
            totals = custody.totals(connection)
    return (
        f"sha256:{digest.hexdigest()}" == written.digest
        and rows.hexdigest() == written.rows
        and totals == (written.folios, written.folios, written.folios)
    )


def _parts(path: Path, digest: Any) -> Iterator[list[custody.Copy]]:
    """Read the file's folios in slices, while taking the digest of all its bytes."""
    part: list[custody.Copy] = []
    with path.open("rb") as file:
        for line in file:
            digest.update(line)
            value = json.loads(line)
            if "position" in value:
                part.append(value)
            if len(part) >= SLICE_FOLIOS:
                yield part
                part = []
    yield part
