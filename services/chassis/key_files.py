# SPDX-License-Identifier: Apache-2.0
"""Private files: seeds of signing keys, client secrets. Mode 0600, written whole.

A seed is one line, `keyturn-<use>-seed/1 <base64 of 32 bytes>`: the use is in the
file, so that no key can serve where another was meant. No message names a value.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from contracts import base64text

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
SEED_BYTES: Final = 32
MAX_BYTES: Final = 65_536


class KeyFileRefused(Exception):  # noqa: N818 - the start is refused
    """A private file is missing, damaged or open to others; says how to mend it."""


def private_directory(path: Path) -> None:
    """Make a directory that only its owner may enter, with its parents."""
    path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def create_private(path: Path, content: bytes) -> None:
    """Write a new file, durable and whole or not at all.

    Raises:
        FileExistsError: There is something at `path`; it is left alone.
    """
    draft = _draft(path, content)
    try:
        # A link refuses an existing name; a crash before it leaves only the draft.
        os.link(draft, path)
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def replace_private(path: Path, content: bytes) -> None:
    """Write a file, replacing what was there; a crash leaves the old or the new."""
    _draft(path, content).replace(path)
    _sync_directory(path.parent)


def read_private(path: Path) -> bytes:
    """Return the bytes of a file that only its owner may read.

    Raises:
        KeyFileRefused: It is missing, no regular file, or open to other people.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileRefused(
            f"{path} cannot be opened ({error.strerror}). Restore it from its backup, "
            "or run `init` if this installation is new."
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileRefused(f"{path} is not a regular file.")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise KeyFileRefused(
                f"{path} has mode {mode:04o}; other people may have read it. "
                f"Run `chmod 600 {path}` once you know they have not."
            )
        return file.read(MAX_BYTES)


def load_seed(path: Path, use: str) -> bytes:
    """Return the 32 bytes of the seed at `path`, made for `use`.

    Raises:
        KeyFileRefused: It is missing, damaged, for another use, or open to others.
    """
    head, _space, text = read_private(path).decode("ascii", "replace").partition(" ")
    if head != _header(use):
        raise KeyFileRefused(f"{path} is not a seed for {use}; restore the right file.")
    try:
        seed = base64text.decode(text.strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise KeyFileRefused(f"{path} is damaged; restore it from its backup.")
    return seed


def load_or_create_seed(
    path: Path, use: str, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Return the seed at `path`; make it first if there is none. For `init` only.

    Raises:
        KeyFileRefused: As `load_seed`.
    """
    if not path.exists():
        private_directory(path.parent)
        text = base64text.encode(random_bytes(SEED_BYTES))
        create_private(path, f"{_header(use)} {text}\n".encode())
    return load_seed(path, use)


def _header(use: str) -> str:
    return f"keyturn-{use}-seed/1"


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(draft, flags, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask says
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return draft


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
