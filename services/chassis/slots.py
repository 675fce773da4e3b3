# SPDX-License-Identifier: Apache-2.0
"""Slots: a process holds its slot's lock for as long as it writes the slot's lane.

On SQLite a lock file in `<state>/locks/`, on PostgreSQL a session advisory lock. The
kernel or the server drops it when the process dies. The fence in `lane.successor`
protects the log even without it; the lock keeps two processes from fencing each
other in turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.chassis.engines import Engines
from services.chassis.key_files import private_directory


class SlotTaken(Exception):  # noqa: N818 - the start is refused
    """Another process holds this slot; the message says what to do."""

    def __init__(self, slot: str) -> None:
        super().__init__(
            f"slot {slot} is held by another process of this service: stop that one, "
            "or give this one another KEYTURN_VAULT_WORKER (or the like) name"
        )
        self.slot = slot


class HeldSlot(Protocol):
    """A slot held by this process until `release`."""

    def release(self) -> None:
        """Give the slot back."""


class _FileSlot:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


class _SessionSlot:
    def __init__(self, engines: Engines) -> None:
        self.connection = engines.writer.connect()

    def release(self) -> None:
        with contextlib.suppress(DBAPIError):
            self.connection.invalidate()  # ends the session, and with it the lock
        self.connection.close()


def hold_slot(engines: Engines, state_dir: Path, slot: str) -> HeldSlot:
    """Take the slot's lock without waiting.

    Raises:
        SlotTaken: Another process holds it.
    """
    if engines.embedded:
        return _hold_file(state_dir / "locks", slot)
    return _hold_session(engines, slot)


def _hold_file(folder: Path, slot: str) -> HeldSlot:
    private_directory(folder)
    path = folder / f"{slot.replace('/', '-')}.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise SlotTaken(slot) from None
    return _FileSlot(descriptor)


def _hold_session(engines: Engines, slot: str) -> HeldSlot:
    digest = hashlib.blake2b(slot.encode(), digest_size=8, person=b"kt-slot").digest()
    held = _SessionSlot(engines)
    taken = held.connection.execute(
        text("SELECT pg_try_advisory_lock(:number)"),
        {"number": int.from_bytes(digest, "big", signed=True)},
    ).scalar_one()
    held.connection.commit()  # the lock is the session's, not the transaction's
    if not taken:
        held.release()
        raise SlotTaken(slot)
    return held
