# SPDX-License-Identifier: Apache-2.0
"""Opening transfer: its keys and its database; `init` makes what is missing.

Opening creates nothing: what is missing is refused with the way to mend it. Server
and workers of one installation open the same database, each on a lane of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.signing import SigningKey

from services.chassis import migrate as migrations
from services.chassis.backup import Kept, back_up
from services.chassis.clock import Clock, random_alias, random_bytes
from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from services.chassis.idempotency import IdempotencyStore
from services.chassis.installation import name_source
from services.chassis.journal import Journal
from services.chassis.key_files import (
    KeyFileRefused,
    load_or_create_seed,
    load_seed,
    private_directory,
    read_private,
)
from services.chassis.lanes import Source
from services.chassis.migrate import Line
from services.chassis.variables import Secret
from services.transfer.execution import tables as execution_tables
from services.transfer.handovers import tables as handover_tables
from services.transfer.schema import LANES, TRANSFER
from services.transfer.settings import TransferSettings

NONCE_BYTES: Final = 24
_SOURCE_KEY: Final = "transfer-source.key"
_DATABASE_KEY: Final = "transfer-db.key"

#: Importing the rooms' tables is what puts them into the metadata.
TABLES: Final = (handover_tables.handover, execution_tables.batch)

LINE: Final = Line(
    "transfer",
    "transfer",
    Path(__file__).parent / "migrations" / "transfer",
    TRANSFER,
)


@dataclass(frozen=True)
class Opening:
    """The keys of one installation's transfer, open.

    Attributes:
        source: Who signs transfer's lanes.
        database_key: 32 bytes; opens the embedded database, keys idempotency.
    """

    settings: TransferSettings
    installation: str
    source: Source
    database_key: Secret

    def engines(self) -> Engines:
        """Return new engines of the database.

        Raises:
            EngineRefused: The database does not open.
        """
        if self.settings.database_url is not None:
            return postgres_engines(self.settings.database_url.reveal())
        path = self.settings.state_dir / "transfer" / "transfer.db"
        return sqlite_engines(path, bytes.fromhex(self.database_key.reveal()))

    def migrations(self) -> list[migrations.Database]:
        """Return the database's line of revisions and what opens it."""
        return [(LINE, self.engines)]

    def journal(
        self, clock: Clock, slot: str, on_fatal: Callable[[str], None]
    ) -> Journal:
        """Return the journal of handovers under `slot`."""
        return Journal(
            self.engines(),
            LANES,
            self.source,
            slot,
            clock=clock,
            new_id=random_alias,
            on_fatal=on_fatal,
        )

    def answers(self) -> IdempotencyStore:
        """Return the store of answers to repeated requests."""
        key = self._derived(b"kt-transfer-seal")
        return IdempotencyStore(
            handover_tables.idempotency,
            secret=self._derived(b"kt-transfer-idem"),
            seal=lambda context, raw: _seal(key, context, raw),
            unseal=lambda context, sealed: _open(key, context, sealed),
        )

    def _derived(self, use: bytes) -> bytes:
        seed = bytes.fromhex(self.database_key.reveal())
        return hashlib.blake2b(key=seed, digest_size=32, person=use).digest()


def open_transfer(settings: TransferSettings) -> Opening:
    """Open the keys of an initialised transfer.

    Raises:
        SettingsError: The installation was never initialised.
        KeyFileRefused: A key is missing or damaged.
    """
    source = load_seed(settings.keys_dir / _SOURCE_KEY, "transfer-source")
    database = load_seed(settings.keys_dir / _DATABASE_KEY, "transfer-db")
    installation = settings.installation_id
    return Opening(
        settings,
        installation,
        Source(installation, "transfer", SigningKey(source)),
        Secret(database.hex()),
    )


def init(settings: TransferSettings) -> Opening:
    """Make keys, database and the entry among the sources, as far as missing.

    May be repeated; changes nothing that is there.

    Raises:
        SettingsError: The vault's `init` has not run.
        KeyFileRefused, EngineRefused: What is there does not open.
    """
    installation = settings.installation_id
    folder = settings.state_dir / "transfer"
    private_directory(folder)
    private_directory(settings.state_dir / "locks")
    if not (settings.keys_dir / _DATABASE_KEY).exists() and any(folder.glob("*.db")):
        # A new key would never open the old file: better say what is missing.
        raise KeyFileRefused(
            f"{settings.keys_dir / _DATABASE_KEY} is missing although there is a "
            "database; restore it from its backup."
        )
    for name in (_SOURCE_KEY, _DATABASE_KEY):
        use = name.removesuffix(".key")
        load_or_create_seed(settings.keys_dir / name, use, random_bytes)
    opening = open_transfer(settings)
    migrations.migrate(opening.migrations(), settings.state_dir)
    key = bytes(opening.source.key.verify_key)
    name_source(settings.state_dir, installation, "transfer", key)
    return opening


def migrate(settings: TransferSettings) -> None:
    """Bring the database to this version; keys are left alone.

    Raises:
        SettingsError, KeyFileRefused, EngineRefused: Transfer cannot be opened.
        MigrationRefused: The database is not this version's, or refused a revision.
    """
    migrations.migrate(open_transfer(settings).migrations(), settings.state_dir)


def backup(settings: TransferSettings, folder: Path) -> list[str]:
    """Copy transfer's part of the state, while it runs; return the files.

    On PostgreSQL there is none.

    Raises:
        BackupRefused: Not there; the message says why.
        SettingsError, KeyFileRefused, EngineRefused: Transfer cannot be opened.
    """
    key = bytes.fromhex(open_transfer(settings).database_key.reveal())
    embedded = settings.database_url is None
    databases = [Kept("transfer/transfer.db", key)] if embedded else []
    return back_up(
        "transfer", settings.state_dir, folder, databases=databases, files=[]
    )


def credentials(settings: TransferSettings) -> tuple[str, Secret]:
    """Return this service's client id and secret at the vault.

    Raises:
        KeyFileRefused: The file that the vault's `init` writes is missing or damaged.
    """
    path = settings.keys_dir / "clients" / "transfer.json"
    try:
        document = json.loads(read_private(path))
        return str(document["client_id"]), Secret(str(document["client_secret"]))
    except (ValueError, KeyError, TypeError):
        raise KeyFileRefused(f"{path} is damaged; run the vault's `init`.") from None


def _seal(key: bytes, context: bytes, raw: bytes) -> bytes:
    nonce = random_bytes(NONCE_BYTES)
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(raw, context, nonce, key)


def _open(key: bytes, context: bytes, sealed: bytes) -> bytes:
    nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    return crypto_aead_xchacha20poly1305_ietf_decrypt(body, context, nonce, key)
