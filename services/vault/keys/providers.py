# SPDX-License-Identifier: Apache-2.0
"""Who holds the root key: a file, or a passphrase. The port, and the two ways.

A provider seals and opens class keys and never hands the root key out, except on a
recovery sheet that a person asks for. The root key is never in a database. Whoever
operates the provider could read every record of the installation.
"""

import os
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.utils import random as fresh_bytes

from services.vault.errors import (
    PassphraseTooShort,
    RootKeyExists,
    RootKeyMissing,
    RootKeyUnreadable,
    RootKeyWrong,
)
from services.vault.keys import root_text
from services.vault.keys.root_text import PassphraseParameters, RootTextBroken
from services.vault.keys.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    Key,
    unwrap_key,
    wrap_key,
)

FILE_MODE: Final = 0o600
MIN_PASSPHRASE_CHARACTERS: Final = 16
RandomBytes = Callable[[int], bytes]


class KeyProvider(Protocol):
    """Keeps a root key and wraps class keys under it.

    `wrap` seals with a fresh nonce at each call; `unwrap` gives back exactly the key
    that was wrapped, for exactly the same context, or raises `SealBroken`. Both are
    safe to call from several threads. `fingerprint` is the same for the same root key
    on every machine and different for every other.
    """

    @property
    def provider_id(self) -> str:
        """A short name of the kind of provider, for certificates and events."""
        ...

    def wrap(self, plaintext_key: Key, context: bytes) -> bytes:
        """Return the key sealed under the root key for `context`."""
        ...

    def unwrap(self, sealed: bytes, context: bytes) -> Key:
        """Return the key that was wrapped for `context`.

        Raises:
            SealBroken: altered, moved, or wrapped under another root key.
        """
        ...

    def fingerprint(self) -> str:
        """Return 16 hex digits that recognise the root key without revealing it."""
        ...


class _RootKey:
    """What both ways share once the root key is in memory."""

    _provider_id: str

    def __init__(self, root: Key, random_bytes: RandomBytes) -> None:
        self._root = root
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fingerprint()})"

    @property
    def provider_id(self) -> str:
        """A short name of the kind of provider."""
        return self._provider_id

    def wrap(self, plaintext_key: Key, context: bytes) -> bytes:
        """Return the key sealed under the root key for `context`, 105 bytes."""
        nonce = self._random_bytes(NONCE_BYTES)
        return wrap_key(self._root, plaintext_key, context, nonce)

    def unwrap(self, sealed: bytes, context: bytes) -> Key:
        """Return the key that was wrapped for `context`.

        Raises:
            SealBroken: altered, moved, or wrapped under another root key.
        """
        return unwrap_key(self._root, sealed, context)

    def fingerprint(self) -> str:
        """Return 16 hex digits that recognise the root key. See `root_text`."""
        return root_text.fingerprint(self._root)


class FileRootKey(_RootKey):
    """A root key in a file of its own: 32 random bytes, mode 0600."""

    _provider_id = "file"

    @classmethod
    def create(
        cls, path: Path, *, random_bytes: RandomBytes = fresh_bytes
    ) -> "FileRootKey":
        """Make a new root key at `path`, durable on disk before this returns.

        Raises:
            RootKeyExists: there is something at `path`; it is left alone.
        """
        root = Key(random_bytes(KEY_BYTES))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, flags, FILE_MODE)
        except FileExistsError:
            raise RootKeyExists(
                f"{path} exists and was not overwritten. Every record depends on the "
                "root key; move the file away only if no record was ever stored."
            ) from None
        # A crash from here on leaves a short file, which `load` recognises by its
        # check line; nothing can have been sealed under that key yet.
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask says
            file.write(root_text.format_key(root))
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.parent)
        return cls(root, random_bytes)

    @classmethod
    def load(
        cls, path: Path, *, random_bytes: RandomBytes = fresh_bytes
    ) -> "FileRootKey":
        """Read the root key at `path`.

        Raises:
            RootKeyMissing: there is no file.
            RootKeyUnreadable: it may be read by other people, or not by us; or it is
                damaged or truncated.
        """
        text = _read_private(path)
        try:
            root = root_text.parse_key(text)
        except RootTextBroken as broken:
            raise RootKeyUnreadable(
                f"{path} is damaged ({broken}). Restore it from its backup or type "
                "the three lines of the recovery sheet into it. Do not create a new "
                "key: records sealed under the old one would stay closed."
            ) from None
        return cls(root, random_bytes)

    def recovery_sheet(self, installation: str) -> str:
        """Return a page to print at the first start. It holds the key itself."""
        return root_text.key_sheet(self._root, installation)


class PassphraseRootKey(_RootKey):
    """A root key made of a passphrase by Argon2id (RFC 9106); nothing secret on disk.

    The parameters are stored and are no secret. The strength is the passphrase's: a
    stolen database lets its thief try passphrases at the price of one Argon2id each.
    """

    _provider_id = "passphrase"

    @classmethod
    def derive(
        cls,
        passphrase: str,
        parameters: PassphraseParameters,
        *,
        random_bytes: RandomBytes = fresh_bytes,
    ) -> "PassphraseRootKey":
        """Derive the root key; takes about a second and `memlimit` bytes of memory.

        The passphrase is brought to NFKC first: keyboards write one letter as
        different code points. Another passphrase gives another, well-formed root key;
        `require_root` tells.

        Raises:
            PassphraseTooShort: it has fewer than 16 characters.
        """
        normal = unicodedata.normalize("NFKC", passphrase)
        if len(normal) < MIN_PASSPHRASE_CHARACTERS:
            raise PassphraseTooShort(
                f"The passphrase has fewer than {MIN_PASSPHRASE_CHARACTERS} "
                "characters. Take six or more random words."
            )
        try:
            secret = argon2id.kdf(
                KEY_BYTES,
                normal.encode(errors="surrogatepass"),
                parameters.salt,
                opslimit=parameters.opslimit,
                memlimit=parameters.memlimit,
            )
        except (CryptoError, MemoryError):
            raise RootKeyUnreadable(
                f"Argon2id needs {parameters.memlimit // (1 << 20)} MiB of memory and "
                "did not get it. Give the vault more memory; other parameters would "
                "give another key."
            ) from None
        return cls(Key(secret), random_bytes)

    def recovery_sheet(
        self, installation: str, parameters: PassphraseParameters
    ) -> str:
        """Return a page to print at the first start; the passphrase is not on it."""
        return root_text.passphrase_sheet(self.fingerprint(), installation, parameters)


def require_root(provider: KeyProvider, expected_fingerprint: str) -> None:
    """Refuse a root key other than the one the key database names.

    Raises:
        RootKeyWrong: nothing was opened or written with it.
    """
    found = provider.fingerprint()
    if found != expected_fingerprint:
        raise RootKeyWrong(
            f"This {provider.provider_id} root key has the fingerprint {found}; the "
            f"records are sealed under {expected_fingerprint}. Give the vault the "
            "root key of this installation (its recovery sheet names the fingerprint)."
        )


def _read_private(path: Path) -> str:
    """Return the text of a regular file that only its owner may read or write."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise RootKeyMissing(
            f"There is no root key at {path}. Restore it from its backup or from the "
            "recovery sheet; only a new installation creates one (init)."
        ) from None
    except OSError as error:
        raise RootKeyUnreadable(
            f"{path} cannot be opened ({error.strerror}). Make the vault's user its "
            "owner."
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RootKeyUnreadable(f"{path} is not a regular file.")
        mode = stat.S_IMODE(status.st_mode)
        if mode != FILE_MODE:
            raise RootKeyUnreadable(
                f"{path} has mode {mode:04o}; other people may have read it. "
                f"Run `chmod 600 {path}` once you know they have not."
            )
        content = os.read(descriptor, root_text.MAX_CHARACTERS + 1)
    finally:
        os.close(descriptor)
    return content.decode("ascii", "replace")


def _sync_directory(directory: Path) -> None:
    """Make the new name durable: without it the file may be gone after a crash."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
