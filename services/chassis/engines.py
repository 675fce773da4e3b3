# SPDX-License-Identifier: Apache-2.0
"""The two database engines: encrypted SQLite files and PostgreSQL.

Owns connections, pragmas and the form of BEGIN and COMMIT, and nothing above them.
SQLite comes from the `sqlcipher3` wheel: whole files encrypted, and free of the
WAL-reset corruption bug of SQLite before 3.51.3 (decision 0002).
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool, QueuePool

MIN_SQLITE: Final = (3, 51, 3)  # below it, WAL can corrupt a database
BUSY_MS: Final = 5_000  # wait for another process's write lock, milliseconds
LOCK_TIMEOUT_MS: Final = 2_000  # PostgreSQL's, milliseconds
DRIVER_TROUBLE: Final = sqlcipher.OperationalError
"""What the SQLite driver raises where SQLAlchemy is not asked."""


class EngineRefused(Exception):  # noqa: N818 - the start is refused
    """The database cannot be used; the message says why and how to mend it."""


@dataclass(frozen=True)
class Engines:
    """A writer's and the readers' engine of one database.

    Attributes:
        inline: Of connections whose BEGIN and COMMIT their holder runs by hand; SQLite
            only.
    """

    writer: Engine
    reader: Engine
    embedded: bool
    inline: Engine | None = None

    def begin(self, connection: Connection) -> None:
        """Begin the writer's transaction (SQLite: IMMEDIATE, by hand)."""
        if connection.in_transaction():
            return
        connection.begin()

    def commit(self, connection: Connection) -> None:
        """COMMIT, durable when it returns."""
        transaction = connection.get_transaction()
        if transaction is None:
            raise EngineRefused("no transaction to commit")
        transaction.commit()

    def rollback(self, connection: Connection) -> None:
        """Roll the writer's transaction back."""
        transaction = connection.get_transaction()
        if transaction is not None:
            transaction.rollback()

    def is_io_error(self, exc: BaseException) -> bool:
        """Whether the disk itself failed, so that the process must stop."""
        return self.embedded and "disk i/o error" in str(exc).lower()

    def dispose(self) -> None:
        """Close every pooled connection."""
        for engine in (self.inline, self.reader, self.writer):
            if engine is not None:
                engine.dispose()


def sqlite_engines(path: Path, key: bytes) -> Engines:
    """Return the engines of one encrypted SQLite file, created if absent.

    Args:
        path: The database file; its folder exists.
        key: 32 bytes, used raw (no passphrase derivation).

    Raises:
        EngineRefused: The SQLite library is too old, or the key does not open it.
    """
    if sqlcipher.sqlite_version_info < MIN_SQLITE:
        raise EngineRefused(
            "this SQLite can corrupt WAL databases; install the locked requirements"
        )
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    writer = _sqlite_engine(path, key, "BEGIN IMMEDIATE", pool=1)
    reader = _sqlite_engine(path, key, "BEGIN", pool=8)
    inline = _sqlite_engine(path, key, None, pool=2)
    try:
        with writer.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
    except Exception as exc:
        raise EngineRefused(
            f"{path.name} does not open with this root key: it belongs to another "
            "installation, or the key file was replaced. Restore the key that was "
            "made with this state directory."
        ) from exc
    return Engines(writer, reader, embedded=True, inline=inline)


def copy_sqlite(source: Path, key: bytes, target: Path) -> None:
    """Copy a database that may be in use, whole and encrypted under the same key.

    One snapshot: writers go on meanwhile and are not in it. The copy is opened again
    and every page of it checked before this returns.

    Args:
        source: The database file.
        key: 32 bytes, as in `sqlite_engines`.
        target: The copy; must not exist.

    Raises:
        EngineRefused: The source does not open, or the copy is not whole.
        OSError: The disk refused.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with closing(_connect(source, key)) as live, closing(_keyed(target, key)) as to:
            live.backup(to)
        with closing(_keyed(target, key)) as copy:
            found = copy.execute("PRAGMA cipher_integrity_check").fetchall()
            found += copy.execute("PRAGMA integrity_check").fetchall()
    except sqlcipher.Error as exc:
        raise EngineRefused(f"{source.name} was not copied; nothing is kept") from exc
    if found != [("ok",)]:
        raise EngineRefused(f"the copy of {source.name} is damaged")


def _keyed(path: Path, key: bytes) -> Any:
    raw = sqlcipher.connect(
        str(path),
        isolation_level=None,
        timeout=BUSY_MS / 1000,
        check_same_thread=False,
        cached_statements=512,
    )
    raw.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    return raw


def _connect(path: Path, key: bytes) -> Any:
    raw = _keyed(path, key)
    raw.execute("PRAGMA journal_mode = WAL")
    return raw


def _sqlite_engine(path: Path, key: bytes, begin: str | None, pool: int) -> Engine:
    def connect() -> Any:
        raw = _connect(path, key)
        cursor = raw.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.execute("PRAGMA cache_size = -65536")
        cursor.close()
        return raw

    engine = create_engine(
        "sqlite+pysqlite://",
        module=sqlcipher,
        creator=connect,
        poolclass=QueuePool,
        pool_size=pool,
        max_overflow=4,
        hide_parameters=True,
    )

    if begin is None:
        return engine

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def postgres_engines(url: str) -> Engines:
    """Return the engines of one PostgreSQL database (psycopg 3, sync).

    Args:
        url: `postgresql://user:password@host:port/name`.
    """
    plain = url.replace("postgresql://", "postgresql+psycopg://", 1)
    options = f"-c lock_timeout={LOCK_TIMEOUT_MS} -c timezone=UTC"
    writer = create_engine(
        plain,
        poolclass=NullPool,
        connect_args={"options": options, "connect_timeout": 5},
        hide_parameters=True,
    )
    reader = create_engine(
        plain,
        pool_size=8,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="REPEATABLE READ",
        connect_args={"options": options, "connect_timeout": 5},
        hide_parameters=True,
    )
    return Engines(writer, reader, embedded=False)
