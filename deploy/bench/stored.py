# SPDX-License-Identifier: Apache-2.0
"""How much a stored customer takes beyond its own bytes, on SQLite."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Engine

from deploy.bench.house import House
from services.chassis.engines import sqlite_engines
from services.vault.opening import open_vault
from services.vault.settings import VaultSettings

#: Of the way of events and of repeated requests: they are trimmed, records stay.
PASSING: Final = ("outbox", "idempotency")


def stored_bytes(house: House) -> int:
    """Return what the records' database holds, without what is trimmed.

    Of a copy of the file, after VACUUM; the vault is stopped for it and goes on.
    """
    house.supervisor.halt("vault")
    path = house.folder / "stored.db"
    original = house.place.state / "vault" / "records.db"
    for suffix in ("", "-wal"):
        source = original.with_name(original.name + suffix)
        if source.exists():
            shutil.copy(source, path.with_name(path.name + suffix))
    environ = {**os.environ, **house.place.settings()}
    opening = open_vault(VaultSettings.from_environ(environ))
    engines = sqlite_engines(path, opening.database_keys["records"].secret)
    try:
        return _size_without(engines.writer, path)
    finally:
        engines.dispose()
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
        house.supervisor.resume("vault")


def _size_without(engine: Engine, path: Path) -> int:
    with engine.connect() as connection:
        for table in PASSING:
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.commit()
        raw = connection.connection.cursor()
        raw.execute("VACUUM")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size
