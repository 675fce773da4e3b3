# SPDX-License-Identifier: Apache-2.0
"""The vault's configuration: embedded files, or two PostgreSQL databases."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from services.chassis.settings import ServiceSettings, SettingsError
from services.chassis.variables import Secret, read, whole

_WORKER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def _worker(text: str) -> str:
    if _WORKER.fullmatch(text) is None:
        raise ValueError
    return text


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaultSettings(ServiceSettings):
    """What the vault needs to know beyond every service.

    Attributes:
        port: TCP port to listen on.
        keys_database_url: PostgreSQL database of the class keys, apart from
            `database_url`; both or neither.
        root_key_file: The root key; None is `root.key` in `keys_dir`.
        worker: Name of this process; its slots are `<worker>/changes` and
            `<worker>/reads`. Two running processes never share one.
        token_seconds: Life of an access token.
        outbox_keep_seconds: Receipted events stay in the outbox this long.
        catalogue_seconds: Another process's change of a catalogue is seen after
            this long at the latest.
        daily_records: Distinct records a day, in its party's time zone, that a client
            without the scope `records:list`, or an officer, may be shown.
        smallest_group: Groups of fewer distinct records are never shown by an
            aggregate.
    """

    SERVICE: ClassVar[str] = "vault"
    ABOUT: ClassVar[str] = (
        "Holds customers' records and the keys that open them, and decides who may "
        "see what for which purpose."
    )

    port: int = field(
        default=8401, metadata=read(whole(0, 65_535), "a TCP port, 0-65535")
    )
    keys_database_url: Secret | None = field(
        default=None, metadata=read(Secret, "a secret")
    )
    root_key_file: Path | None = field(default=None, metadata=read(Path, "a path"))
    worker: str = field(
        default="vault-1", metadata=read(_worker, "lower-case letters, digits and `-`")
    )
    token_seconds: int = field(
        default=600, metadata=read(whole(60, 3_600), "60-3600 seconds")
    )
    outbox_keep_seconds: int = field(
        default=86_400, metadata=read(whole(0, 31_536_000), "seconds")
    )
    catalogue_seconds: int = field(
        default=2, metadata=read(whole(0, 60), "0-60 seconds")
    )
    daily_records: int = field(
        default=1_000, metadata=read(whole(1, 1_000_000_000), "1-1000000000 records")
    )
    smallest_group: int = field(
        default=5, metadata=read(whole(5, 1_000), "5-1000 records")
    )

    def check(self) -> None:
        """As `ServiceSettings.check`; and the two databases stand apart.

        Raises:
            SettingsError: Names the variable and the fix.
        """
        if (self.database_url is None) != (self.keys_database_url is None):
            raise SettingsError(
                "KEYTURN_VAULT_KEYS_DATABASE_URL",
                "set it together with KEYTURN_VAULT_DATABASE_URL",
            )
        if self.database_url is not None and self.database_url == (
            self.keys_database_url
        ):
            raise SettingsError(
                "KEYTURN_VAULT_KEYS_DATABASE_URL",
                "must name another database: a backup of one must not hold the other",
            )
        super().check()

    def _check_secrets(self) -> None:
        # A URL holds words that samples use too; its password is what is judged.
        plain = dataclasses.replace(self, keys_database_url=None)
        super(VaultSettings, plain)._check_secrets()
        if self.keys_database_url is None:
            return
        password = Secret(urlsplit(self.keys_database_url.reveal()).password or "")
        if password.looks_like_a_sample():
            raise SettingsError(
                "KEYTURN_VAULT_KEYS_DATABASE_URL",
                "holds a short or sample password; generate a long one",
            )

    @property
    def root_key_path(self) -> Path:
        """Where the root key is."""
        return self.root_key_file or self.keys_dir / "root.key"

    @property
    def database_keys_path(self) -> Path:
        """Where the database keys are, wrapped by the root key."""
        return self.state_dir / "vault" / "db.keys"
