# SPDX-License-Identifier: Apache-2.0
"""Opening audit: its keys, its databases, its files. `init` alone creates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from contracts.log.note import NoteSigner
from services.audit.log import store as _log  # noqa: F401 - defines tables of LOG
from services.audit.log.files import TileFiles
from services.audit.log.replay import Replay
from services.audit.schema import LOG, OWN_LANES, SEARCH
from services.audit.search import store as _search  # noqa: F401 - and of SEARCH
from services.audit.settings import AuditSettings
from services.chassis import installation
from services.chassis import migrate as migrations
from services.chassis.backup import Kept, back_up
from services.chassis.clock import Clock, SystemClock, random_alias, random_bytes
from services.chassis.database import Database
from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from services.chassis.journal import Journal
from services.chassis.key_files import (
    KeyFileRefused,
    load_or_create_seed,
    load_seed,
    private_directory,
    replace_private,
)
from services.chassis.lanes import Source
from services.chassis.migrate import Line
from services.chassis.slots import hold_slot

SLOT = "audit-1/log"

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOG_LINE: Final = Line("audit", "log", _MIGRATIONS / "log", LOG)
SEARCH_LINE: Final = Line("audit", "search", _MIGRATIONS / "search", SEARCH)


@dataclass(frozen=True)
class Opening:
    """The keys of one installation's audit, open.

    Attributes:
        signer: Signs checkpoints; its name is the log's origin.
        source: Signs audit's own lane.
    """

    settings: AuditSettings
    installation: str
    signer: NoteSigner
    source: Source
    database_key: bytes

    def log_engines(self) -> Engines:
        """Return new engines of the log's database."""
        if self.settings.database_url is not None:
            return postgres_engines(self.settings.database_url.reveal())
        return sqlite_engines(self.settings.database_path, self.database_key)

    def search_engines(self) -> Engines:
        """Return new engines of the projection's database."""
        if self.settings.database_url is not None:
            return postgres_engines(self.settings.database_url.reveal())
        return sqlite_engines(self.settings.search_path, self.database_key)

    def migrations(self) -> list[migrations.Database]:
        """Return each database's line of revisions and what opens it."""
        return [(LOG_LINE, self.log_engines), (SEARCH_LINE, self.search_engines)]

    def journal(
        self, clock: Clock, on_fatal: Callable[[str], None] = lambda _why: None
    ) -> Journal:
        """Return the journal of the log, on whose lane audit's own events stand."""
        return Journal(
            self.log_engines(),
            OWN_LANES,
            self.source,
            SLOT,
            clock=clock,
            new_id=random_alias,
            on_fatal=on_fatal,
        )

    def search(self, clock: Clock) -> Database:
        """Return the projection's database; it has no journal."""
        return Database(self.search_engines(), clock=clock)

    def files(self) -> TileFiles:
        """Return the folder of the published log."""
        return TileFiles(self.settings.log_dir)


def open_audit(settings: AuditSettings) -> Opening:
    """Open the keys of an initialised audit.

    Raises:
        SettingsError: The installation was never initialised.
        KeyFileRefused: A key is missing, damaged, or not the log's.
    """
    identity = settings.installation_id
    verifier = installation.log_verifier(settings.state_dir)
    if verifier is None:
        raise KeyFileRefused(
            f"{settings.state_dir / installation.LOG_VKEY} is missing or damaged: run "
            "`python -m services.audit init`, or restore it."
        )
    signer = NoteSigner(verifier.name, load_seed(settings.keys_dir / "log.key", "log"))
    if signer.verifier != verifier:
        raise KeyFileRefused(
            f"{settings.keys_dir / 'log.key'} is not the key of this log; restore the "
            "one that was made with this state directory."
        )
    seed = load_seed(settings.keys_dir / "audit-source.key", "audit-source")
    return Opening(
        settings=settings,
        installation=identity,
        signer=signer,
        source=Source(identity, "audit", SigningKey(seed)),
        database_key=load_seed(settings.keys_dir / "audit-db.key", "audit-db"),
    )


def init(settings: AuditSettings) -> Opening:
    """Make what audit needs; what exists is kept. The vault's `init` comes first.

    Raises:
        SettingsError: There is no installation yet.
        KeyFileRefused: A key is missing beside existing data, or damaged.
    """
    identity = settings.installation_id
    year = installation.created_at(settings.state_dir)[:4]
    for folder in ("audit", "locks"):
        private_directory(settings.state_dir / folder)
    vkey = settings.state_dir / installation.LOG_VKEY
    if vkey.exists() and not (settings.keys_dir / "log.key").exists():
        raise KeyFileRefused(
            f"{settings.keys_dir / 'log.key'} is missing, but a log was begun with it. "
            "Restore it; a new key would begin another log."
        )
    log_seed = load_or_create_seed(settings.keys_dir / "log.key", "log", random_bytes)
    for use in ("audit-source", "audit-db"):
        load_or_create_seed(settings.keys_dir / f"{use}.key", use, random_bytes)
    if not vkey.exists():
        signer = NoteSigner(f"keyturn.{identity}/{year}", log_seed)
        replace_private(vkey, f"{signer.vkey}\n".encode())
    opening = open_audit(settings)
    migrations.migrate(opening.migrations(), settings.state_dir)
    installation.name_source(
        settings.state_dir, identity, "audit", bytes(opening.source.key.verify_key)
    )
    return opening


def replay(settings: AuditSettings) -> int:
    """Bring a database that is older than the published log up to it.

    Returns:
        How many leaves were missing.

    Raises:
        LogDamaged: The published log does not continue the stored one.
        SlotTaken: Audit is running.
        SettingsError, KeyFileRefused, EngineRefused: Audit cannot be opened.
        MigrationRefused: The database is not this version's.
    """
    opening = open_audit(settings)
    migrations.migrate(opening.migrations(), settings.state_dir)
    database = Database(opening.log_engines(), clock=SystemClock())
    try:
        slot = hold_slot(database.engines, settings.state_dir, SLOT)
        try:
            work = Replay(opening.files(), opening.signer.verifier, opening.source)
            return database.submit(work.run).result()
        finally:
            slot.release()
    finally:
        database.close()


def backup(settings: AuditSettings, folder: Path) -> list[str]:
    """Copy audit's part of the state, while it runs; return the files.

    The published files and the search index are not in it: both are made again from
    the log's database. On PostgreSQL only the log's public key stands in a file.

    Raises:
        BackupRefused: Not there; the message says why.
        SettingsError, KeyFileRefused, EngineRefused: Audit cannot be opened.
    """
    key = open_audit(settings).database_key
    name = str(settings.database_path.relative_to(settings.state_dir))
    databases = [Kept(name, key)] if settings.database_url is None else []
    return back_up(
        "audit",
        settings.state_dir,
        folder,
        databases=databases,
        files=[installation.LOG_VKEY],
    )


def migrate(settings: AuditSettings) -> None:
    """Bring the databases to this version; keys and files are left alone.

    Raises:
        SettingsError, KeyFileRefused, EngineRefused: Audit cannot be opened.
        MigrationRefused: A database is not this version's, or refused a revision.
    """
    migrations.migrate(open_audit(settings).migrations(), settings.state_dir)
