# SPDX-License-Identifier: Apache-2.0
"""The published log as static files: written whole, durable, never changed.

A file is written beside its place, synced, and renamed; then its folder is synced.
Only the checkpoint is ever replaced. A crash leaves `.new` files, which nobody reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, TypeVar

from contracts.log.tiles import TILE_WIDTH, BundleId, TileId, parse_path
from services.chassis.crashpoints import CRASH_POINTS

T = TypeVar("T")

CHECKPOINT: Final = "checkpoint"
SYNCS: Final = 8  # that wait for the disk at once: it serves them together


class FileMissing(Exception):  # noqa: N818 - it names what is
    """The log has no such file."""


class TileFiles:
    """The folder of a static C2SP log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(SYNCS, thread_name_prefix="sync")

    def publish(self, contents: Mapping[str, bytes], checkpoint: bytes) -> None:
        """Write tiles and bundles, then the checkpoint; durable when it returns.

        What waits for the disk waits side by side: one sync after the other would be
        most of the time from commit to checkpoint. Any OSError is fatal to the
        sequencer.

        Args:
            contents: Paths to bytes; in no order among themselves.
            checkpoint: In its place only once all of `contents` is durable.
        """
        targets = {self.folder / path: octets for path, octets in contents.items()}
        touched = {path.parent for path in targets}
        for folder in tuple(touched):
            touched |= _make_folders(folder)
        end = self.folder / CHECKPOINT
        self._at_once(_draft, {**targets, end: checkpoint}.items())
        for target in targets:
            _draft_of(target).replace(target)
        self._at_once(_sync_folder, touched)
        CRASH_POINTS.reach("publish.before_checkpoint")
        _draft_of(end).replace(end)
        _sync_folder(self.folder)

    def read(self, path: str) -> bytes:
        """Return a file; a partial tile or bundle is a prefix of the full one.

        Raises:
            FileMissing: Neither it nor its full form is published.
            TileMalformed: The path names no tile (checkpoint excepted).
        """
        if path == CHECKPOINT:
            return self._read(path)
        name = parse_path(path)
        try:
            return self._read(name.path)
        except FileMissing:
            if name.width == TILE_WIDTH:
                raise
        return _prefix(self._read(_full(name).path), name)

    def checkpoint(self) -> bytes | None:
        """Return the published checkpoint, None before the first."""
        try:
            return self._read(CHECKPOINT)
        except FileMissing:
            return None

    def drop_partials(self, name: TileId | BundleId) -> None:
        """Delete the partial forms of a tile whose full form is published."""
        folder = self.folder / f"{_full(name).path}.p"
        if not folder.is_dir():
            return
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()

    def _at_once(self, work: Callable[[T], None], items: Collection[T]) -> None:
        """Do all of the work, and raise the first error once nothing of it runs."""
        tasks = [self._pool.submit(work, item) for item in items]
        wait(tasks)
        for task in tasks:
            task.result()

    def _read(self, path: str) -> bytes:
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileMissing from None


def _full(name: TileId | BundleId) -> TileId | BundleId:
    if isinstance(name, TileId):
        return TileId(name.level, name.n)
    return BundleId(name.n)


def _prefix(octets: bytes, name: TileId | BundleId) -> bytes:
    if isinstance(name, TileId):
        return octets[: name.width * 32]
    at = 0
    for _ in range(name.width):
        at += 2 + int.from_bytes(octets[at : at + 2], "big")
    return octets[:at]


def _make_folders(folder: Path) -> set[Path]:
    """Make a folder; return it and the parents that got a new name in them."""
    touched = {folder}
    while not folder.is_dir():
        folder = folder.parent
        touched.add(folder)
    for made in sorted(touched, key=lambda path: len(path.parts)):
        made.mkdir(exist_ok=True)
    return touched


def _draft_of(target: Path) -> Path:
    return target.with_name(target.name + ".new")


def _draft(item: tuple[Path, bytes]) -> None:
    """Write a file beside its place, durable."""
    target, octets = item
    with _draft_of(target).open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
