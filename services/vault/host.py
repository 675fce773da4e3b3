# SPDX-License-Identifier: Apache-2.0
"""What only the operator of the vault's host does: `init`, and opening for `enrol`.

`init` may be repeated at any time: it makes what is missing, changes nothing that is
there, and never makes a new root key beside existing data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from contracts.scopes import Scope
from services.chassis import migrate as migrations
from services.chassis.backup import Kept, back_up
from services.chassis.clock import Clock, random_bytes, rfc3339
from services.chassis.engines import postgres_engines
from services.chassis.installation import INSTALLATION, SOURCES, name_source
from services.chassis.key_files import (
    create_private,
    load_or_create_seed,
    load_seed,
    private_directory,
    read_private,
    replace_private,
)
from services.chassis.settings import SettingsError
from services.vault.errors import RootKeyMissing
from services.vault.keys import database_keys, store
from services.vault.keys.errors import KeysNotReady
from services.vault.keys.providers import FileRootKey
from services.vault.opening import Opening, host_journal, open_vault
from services.vault.parties import PLATFORM, are_enrolled
from services.vault.parties.enrolment import HOST, Enrolment
from services.vault.parties.roles import AUDIT_SCOPES, TRANSFER_SCOPES
from services.vault.settings import VaultSettings

INSTALLATION_BYTES: Final = 8  # 16 hex digits
SERVICE_CLIENTS: Final = {"transfer": TRANSFER_SCOPES, "audit": AUDIT_SCOPES}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `init` did.

    Attributes:
        recovery_sheet: The page to print, on the first start only; in no repr.
        root: Fingerprint of the root key.
        notes: What the operator should know, one line each.
    """

    installation: str
    root: str
    notes: tuple[str, ...]
    recovery_sheet: str | None = field(repr=False, default=None)


def init(settings: VaultSettings, clock: Clock) -> Prepared:
    """Make what a vault needs; what exists is checked and kept.

    Raises:
        RootKeyError: The root key is missing beside existing data, unreadable, or
            another one than the data was sealed under.
        KeysNotReady: Wrapped database keys are missing beside existing data, or
            damaged.
        SettingsError: The setting names another installation than the files do.
    """
    for folder in ("vault", "vault-keys", "locks"):
        private_directory(settings.state_dir / folder)
    private_directory(settings.keys_dir)
    installation = _installation(settings, clock)
    sheet = _root_key(settings, installation)
    for use in ("vault-source", "issuer"):
        load_or_create_seed(settings.keys_dir / f"{use}.key", use, random_bytes)
    opening = open_vault(settings)
    migrations.migrate(opening.migrations(), settings.state_dir)
    _begin_keys(opening, clock)
    _name_source(settings, installation)
    notes = _enrol_services(opening, clock)
    return Prepared(
        installation=installation,
        root=opening.root.fingerprint(),
        notes=tuple(notes),
        recovery_sheet=sheet,
    )


def migrate(settings: VaultSettings) -> None:
    """Bring the databases to this version; keys and enrolments are left alone.

    Raises:
        MigrationRefused: A database is not this version's, or did not take a revision.
        SettingsError, RootKeyError, KeysNotReady, KeyFileRefused, EngineRefused:
            The vault cannot be opened; the message says how to mend it.
    """
    migrations.migrate(open_vault(settings).migrations(), settings.state_dir)


def backup(settings: VaultSettings, folder: Path) -> list[str]:
    """Copy the vault's part of the state, with the vault running; return the files.

    On PostgreSQL only what stands in files. Keys are copied after the records that
    need them: a key that the copy has and no record uses does no harm.

    Raises:
        BackupRefused: Not there; the message says why.
        SettingsError, RootKeyError, KeysNotReady, KeyFileRefused, EngineRefused:
            The vault cannot be opened; the message says how to mend it.
    """
    opening = open_vault(settings)
    folders = {"records": "vault", "reads": "vault", "keys": "vault-keys"}
    databases = [
        Kept(f"{where}/{name}.db", opening.database_keys[name].secret)
        for name, where in folders.items()
    ]
    return back_up(
        "vault",
        settings.state_dir,
        folder,
        databases=databases if opening.embedded else [],
        files=[INSTALLATION, SOURCES, "vault/db.keys", "backups/**/*"],
    )


@contextmanager
def enrolment(settings: VaultSettings, clock: Clock) -> Iterator[Enrolment]:
    """Open the vault for enrolments, on the host's own lane.

    Raises:
        SettingsError, RootKeyError, KeysNotReady, KeyFileRefused, EngineRefused:
            The vault cannot be opened; the message says how to mend it.
        SlotTaken: Another enrolment is running.
    """
    opening = open_vault(settings)
    migrations.prepare(opening.migrations(), settings)
    with _enrolment(opening, clock) as opened:
        yield opened


@contextmanager
def _enrolment(opening: Opening, clock: Clock) -> Iterator[Enrolment]:
    with host_journal(opening, clock, HOST) as journal:
        yield Enrolment(
            journal,
            secrets_key=opening.database_keys["clients"].secret,
            random_bytes=random_bytes,
        )


# --- the parts of init ------------------------------------------------------------


def _installation(settings: VaultSettings, clock: Clock) -> str:
    path = settings.state_dir / INSTALLATION
    if not path.exists():
        drawn = settings.installation or random_bytes(INSTALLATION_BYTES).hex()
        document = {
            "installation": drawn,
            "origin": f"keyturn/{drawn}",
            "created_at": rfc3339(clock.now()),
        }
        create_private(path, _json(document))
    found = str(json.loads(read_private(path))["installation"])
    if settings.installation not in (None, found):
        raise SettingsError(
            "KEYTURN_INSTALLATION",
            f"names another installation than {path}; unset it or use the state "
            "directory of that installation",
        )
    return found


def _root_key(settings: VaultSettings, installation: str) -> str | None:
    """Make root key and database keys on the first start; return the sheet then."""
    path = settings.root_key_path
    sheet = None
    if not path.exists():
        if _has_data(settings):
            raise RootKeyMissing(
                f"There is no root key at {path}, but there is data that one sealed. "
                "Restore the key from its backup or its recovery sheet. No new key "
                "was made: it would open none of this data."
            )
        sheet = FileRootKey.create(path).recovery_sheet(installation)
        replace_private(settings.keys_dir / "recovery-sheet.txt", sheet.encode())
    if not settings.database_keys_path.exists():
        if _has_data(settings):
            raise KeysNotReady(
                f"{settings.database_keys_path} is missing beside existing data. "
                "Restore it from the backup of the state directory."
            )
        root = FileRootKey.load(path)
        database_keys.create(
            settings.database_keys_path, root, installation, random_bytes
        )
    return sheet


def _has_data(settings: VaultSettings) -> bool:
    """Whether anything exists that a root key has sealed."""
    files = [settings.database_keys_path] + [
        settings.state_dir / folder / f"{name}.db"
        for folder, name in (
            ("vault", "records"),
            ("vault", "reads"),
            ("vault-keys", "keys"),
        )
    ]
    if settings.keys_database_url is None:
        return any(path.exists() for path in files)
    engines = postgres_engines(settings.keys_database_url.reveal())
    try:
        with engines.reader.connect() as connection:
            return store.is_begun(connection)
    finally:
        engines.dispose()


def _begin_keys(opening: Opening, clock: Clock) -> None:
    keys = opening.keys(clock)
    try:
        root = opening.root.fingerprint()
        keys.submit(lambda tx: store.begin_generation(tx, root)).result()
        store_root = keys.read_now(store.read_generation)
        if store_root is None or store_root.root != root:
            raise KeysNotReady(
                "The key database was begun under another root key. Give the vault "
                "the root key of this installation."
            )
    finally:
        keys.close()


def _name_source(settings: VaultSettings, installation: str) -> None:
    """Enter the vault's public key into sources.json, which audit reads."""
    seed = load_seed(settings.keys_dir / "vault-source.key", "vault-source")
    public = bytes(SigningKey(seed).verify_key)
    name_source(settings.state_dir, installation, "vault", public)


def _enrol_services(opening: Opening, clock: Clock) -> list[str]:
    clients = opening.settings.keys_dir / "clients"
    if _services_enrolled(opening) and all(
        (clients / f"{id_}.json").exists() for id_ in SERVICE_CLIENTS
    ):
        return []  # opens no lane: an `init` that finds everything leaves no event
    notes: list[str] = []
    with _enrolment(opening, clock) as enrolling:
        enrolling.party(PLATFORM, "The platform that runs Keyturn", "US", "UTC")
        for id_, scopes in SERVICE_CLIENTS.items():
            path = clients / f"{id_}.json"
            notes.extend(_enrol_service(enrolling, id_, scopes, path))
    return notes


def _services_enrolled(opening: Opening) -> bool:
    engines = opening.records_engines()
    try:
        with engines.reader.connect() as connection:
            return are_enrolled(connection, PLATFORM, SERVICE_CLIENTS)
    finally:
        engines.dispose()


def _enrol_service(
    enrolling: Enrolment, id_: str, scopes: frozenset[Scope], path: Path
) -> list[str]:
    if enrolling.has_client(id_):
        if path.exists():
            return []
        return [f"the secret of client {id_} is kept elsewhere (not at {path})"]
    # The file first: a crash in between leaves a secret that opens nothing yet, and
    # the next `init` enrols exactly it.
    if not path.exists():
        write_client_file(path, id_, enrolling.draw_secret())
    secret = str(json.loads(read_private(path))["client_secret"])
    enrolling.client(id_, PLATFORM, scopes, secret=secret)
    return []


def write_client_file(path: Path, client_id: str, secret: str) -> None:
    """Write a client's credentials, mode 0600."""
    private_directory(path.parent)
    document = {"client_id": client_id, "client_secret": secret}
    replace_private(path, _json(document))


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
