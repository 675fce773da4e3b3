# SPDX-License-Identifier: Apache-2.0
"""The keys of the vault's own files, wrapped by the root key in `vault/db.keys`.

`records`, `reads` and `keys` open the encrypted databases of the embedded mode;
`clients` keys the hashes of client secrets, `idempotency` the stored answers. The
file also names the fingerprint of its root key, so that a wrong root is recognised
before anything is opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from contracts import base64text
from services.chassis.key_files import (
    KeyFileRefused,
    create_private,
    private_directory,
    read_private,
)
from services.vault.errors import SealBroken
from services.vault.keys.errors import KeysNotReady
from services.vault.keys.providers import KeyProvider, require_root
from services.vault.keys.sealing import KEY_BYTES, Key, secret_context

FORMAT: Final = "keyturn-db-keys/1"
NAMES: Final = ("records", "reads", "keys", "clients", "idempotency", "decisions")


def create(
    path: Path,
    provider: KeyProvider,
    installation: str,
    random_bytes: Callable[[int], bytes],
) -> None:
    """Write new database keys; for `init` only.

    Raises:
        FileExistsError: There are database keys already; they are left alone.
    """
    wrapped = {
        name: base64text.encode(
            provider.wrap(Key(random_bytes(KEY_BYTES)), _context(installation, name))
        )
        for name in NAMES
    }
    document = {
        "format": FORMAT,
        "installation": installation,
        "root": provider.fingerprint(),
        "keys": wrapped,
    }
    private_directory(path.parent)
    create_private(path, json.dumps(document, indent=2).encode() + b"\n")


def load(path: Path, provider: KeyProvider, installation: str) -> Mapping[str, Key]:
    """Return the database keys by name.

    Raises:
        RootKeyWrong: They were wrapped by another root key.
        KeysNotReady: The file is missing, damaged, or of another installation.
    """
    try:
        document = json.loads(read_private(path))
        root, wrapped = document["root"], document["keys"]
        sealed = {name: base64text.decode(wrapped[name]) for name in NAMES}
        fits = document["format"] == FORMAT
        owner = document["installation"]
    except KeyFileRefused as refused:
        raise KeysNotReady(str(refused)) from None
    except (ValueError, KeyError, TypeError):
        raise KeysNotReady(
            f"{path} is damaged; restore it with the databases beside it."
        ) from None
    if not fits or owner != installation:
        raise KeysNotReady(
            f"{path} belongs to another installation or version; restore the file "
            "that was made with these databases."
        )
    require_root(provider, root)
    return {name: _open(path, provider, owner, name, sealed[name]) for name in NAMES}


def _open(
    path: Path, provider: KeyProvider, installation: str, name: str, sealed: bytes
) -> Key:
    try:
        return provider.unwrap(sealed, _context(installation, name))
    except SealBroken as broken:
        raise KeysNotReady(
            f"{path} was altered ({broken.fault.value}); restore it with the "
            "databases beside it."
        ) from None


def _context(installation: str, name: str) -> bytes:
    return secret_context("database-key", installation, name)
