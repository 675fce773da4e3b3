# SPDX-License-Identifier: Apache-2.0
"""Backups of a service's part of the state directory, with the service running.

A backup mirrors the state directory: restoring is copying it into place. Databases
stay encrypted; the keys directory is never in it. What a command has begun and not
finished has no `SHA256SUMS.<service>`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.chassis.engines import copy_sqlite
from services.chassis.key_files import private_directory

SUMS: Final = "SHA256SUMS"


class BackupRefused(Exception):  # noqa: N818 - nothing of an older backup is touched
    """The backup cannot be made there; the message says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A database file to keep.

    Attributes:
        path: In the state directory, relative.
        key: 32 bytes that open it.
    """

    path: str
    key: bytes = field(repr=False)


def back_up(
    service: str,
    state: Path,
    folder: Path,
    *,
    databases: Sequence[Kept],
    files: Iterable[str],
) -> list[str]:
    """Copy a service's databases, in this order, and its files; return their names.

    Args:
        service: Whose part it is.
        state: The state directory.
        folder: The backup; made if it is missing, other services' parts are kept.
        databases: What is copied in a snapshot each.
        files: What is copied as it is; a pattern of `Path.glob`.

    Raises:
        BackupRefused: The folder lies in the state, or holds this service's part.
        EngineRefused: A database does not open, or its copy is not whole.
        OSError: The disk refused.
    """
    sums = folder / f"{SUMS}.{service}"
    if folder.resolve().is_relative_to(state.resolve()):
        raise BackupRefused("a backup never lies in the state directory it is of")
    private_directory(folder)
    names = [kept.path for kept in databases]
    names += sorted(
        str(path.relative_to(state))
        for pattern in files
        for path in state.glob(pattern)
        if path.is_file()
    )
    if sums.exists() or any((folder / name).exists() for name in names):
        raise BackupRefused(f"{folder} already holds a backup of {service}")
    for name in names:
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for kept in databases:
        copy_sqlite(state / kept.path, kept.key, folder / kept.path)
    for name in names[len(databases) :]:
        shutil.copy2(state / name, folder / name)
    lines = [f"{_synced_digest(folder / name)}  {name}\n" for name in names]
    sums.write_text("".join(lines), encoding="utf-8")
    _synced_digest(sums)
    return names


def _synced_digest(path: Path) -> str:
    """Return a file's SHA-256, hex, once it is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
