# SPDX-License-Identifier: Apache-2.0
"""Opening the vault: root key, database keys, engines; embedded files or PostgreSQL.

Creates nothing: what is missing is refused with the way to mend it. `init` on the
host creates. Every process of the vault opens through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from services.chassis.clock import Clock, random_alias, random_bytes
from services.chassis.database import Database
from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from services.chassis.journal import Journal
from services.chassis.key_files import load_seed
from services.chassis.lanes import Source
from services.chassis.migrate import Database as Migrated
from services.chassis.migrate import Line
from services.chassis.slots import hold_slot
from services.chassis.variables import Secret
from services.vault.access import tables as access_tables
from services.vault.catalogue import tables as catalogue_tables
from services.vault.custody import tables as custody_tables
from services.vault.keys import database_keys
from services.vault.keys import tables as keys_tables
from services.vault.keys.keyring import Keyring
from services.vault.keys.providers import FileRootKey, KeyProvider
from services.vault.keys.sealing import Key
from services.vault.mandate import tables as mandate_tables
from services.vault.parties import tables as parties_tables
from services.vault.schema import (
    CHANGES_LANES,
    KEYS,
    READS,
    READS_LANES,
    RECORDS,
)
from services.vault.settings import VaultSettings

#: Imported, so that `metadata` knows every room's tables whoever opens the vault.
ROOMS_WITH_TABLES: Final = (
    access_tables,
    catalogue_tables,
    custody_tables,
    keys_tables,
    mandate_tables,
    parties_tables,
)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
RECORDS_LINE: Final = Line("vault", "records", _MIGRATIONS / "records", RECORDS)
READS_LINE: Final = Line("vault", "reads", _MIGRATIONS / "reads", READS)
KEYS_LINE: Final = Line("vault", "keys", _MIGRATIONS / "keys", KEYS)

Fatal = Callable[[str], None]


@dataclass(frozen=True)
class Opening:
    """The keys of one installation's vault, open.

    Attributes:
        root: Wraps class keys; never shows itself.
        database_keys: By name; see `keys.database_keys`.
        source: Who signs the vault's lanes.
    """

    settings: VaultSettings
    installation: str
    root: KeyProvider
    database_keys: Mapping[str, Key]
    source: Source

    @property
    def embedded(self) -> bool:
        """Whether the databases are files of this host."""
        return self.settings.database_url is None

    def records_engines(self) -> Engines:
        """Return new engines of the records' database."""
        return self._engines("vault", "records", self.settings.database_url)

    def reads_engines(self) -> Engines:
        """Return new engines of the database of read events."""
        return self._engines("vault", "reads", self.settings.database_url)

    def keys_engines(self) -> Engines:
        """Return new engines of the key database."""
        return self._engines("vault-keys", "keys", self.settings.keys_database_url)

    def _engines(self, folder: str, name: str, url: Secret | None) -> Engines:
        if url is not None:
            return postgres_engines(url.reveal())
        path = self.settings.state_dir / folder / f"{name}.db"
        return sqlite_engines(path, self.database_keys[name].secret)

    def changes(
        self, clock: Clock, slot: str, on_fatal: Fatal = lambda _why: None
    ) -> Journal:
        """Return the journal of changes under `slot`."""
        return Journal(
            self.records_engines(),
            CHANGES_LANES,
            self.source,
            slot,
            clock=clock,
            new_id=random_alias,
            on_fatal=on_fatal,
        )

    def reads(
        self, clock: Clock, slot: str, on_fatal: Fatal = lambda _why: None
    ) -> Journal:
        """Return the journal of reads under `slot`.

        On SQLite a file of its own; on PostgreSQL its lane stands in the records'
        database.
        """
        return Journal(
            self.reads_engines(),
            READS_LANES if self.embedded else CHANGES_LANES,
            self.source,
            slot,
            clock=clock,
            new_id=random_alias,
            on_fatal=on_fatal,
        )

    def keys(self, clock: Clock) -> Database:
        """Return the key database; it has no journal."""
        return Database(self.keys_engines(), clock=clock)

    def keyring(self, keys: Database, changes: Journal) -> Keyring:
        """Return the keyring over an open key database."""
        return Keyring(keys, changes, self.root, random_bytes)

    def migrations(self) -> list[Migrated]:
        """Return each database's line of revisions and what opens it."""
        found = [
            (RECORDS_LINE, self.records_engines),
            (KEYS_LINE, self.keys_engines),
        ]
        if self.embedded:
            found.append((READS_LINE, self.reads_engines))
        return found


def open_vault(settings: VaultSettings) -> Opening:
    """Open the keys of an initialised vault.

    Raises:
        SettingsError: The installation was never initialised.
        RootKeyError: The root key is missing, unreadable or another one.
        KeysNotReady: The database keys are missing, damaged or foreign.
        KeyFileRefused: The source key is missing or damaged.
    """
    installation = settings.installation_id
    root = FileRootKey.load(settings.root_key_path)
    keys = database_keys.load(settings.database_keys_path, root, installation)
    seed = load_seed(settings.keys_dir / "vault-source.key", "vault-source")
    return Opening(
        settings=settings,
        installation=installation,
        root=root,
        database_keys=keys,
        source=Source(installation, "vault", SigningKey(seed)),
    )


@contextmanager
def host_journal(opening: Opening, clock: Clock, slot: str) -> Iterator[Journal]:
    """Hold a slot and its journal of changes for one command on the host.

    Raises:
        SlotTaken: Another command holds it.
        EngineRefused: The records' database does not open.
    """
    engines = opening.records_engines()
    try:
        held = hold_slot(engines, opening.settings.state_dir, slot)
        try:
            journal = opening.changes(clock, slot)
            try:
                journal.start()
                yield journal
            finally:
                journal.close()
        finally:
            held.release()
    finally:
        engines.dispose()
