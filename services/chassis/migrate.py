# SPDX-License-Identifier: Apache-2.0
"""Migrations by Alembic: each database has one line of revisions, for both engines.

A line stands in `services/<service>/migrations/<database>/`. One revision is one
transaction, DDL included, so a crash leaves the database at the revision before.
Never goes back: an older version refuses a newer database (decision 0013).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic import command, context
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.engines import EngineRefused, Engines
from services.chassis.settings import ServiceSettings
from services.chassis.slots import HeldSlot, SlotTaken, hold_slot
from services.chassis.variables import Mode

LOCK_SECONDS: Final = 300.0  # wait for another process that migrates at most
POLL_SECONDS: Final = 0.05


class MigrationRefused(EngineRefused):
    """The database is not at this version's revision; the message says what to do."""


class MigrationPending(MigrationRefused):
    """A revision waits to be applied, and this process may not apply it."""


class DatabaseNewer(MigrationRefused):
    """The database is at a revision that this version does not know."""


class DatabaseUnversioned(MigrationRefused):
    """There are tables, but no revision says of what version they are."""


class MigrationBusy(MigrationRefused):
    """Another process has been migrating for longer than `LOCK_SECONDS`."""


class MigrationFailed(MigrationRefused):
    """The database did not take a revision; nothing of that revision was kept."""


@dataclass(frozen=True)
class Line:
    """One database's line of revisions.

    Attributes:
        service: As in `python -m services.<service> migrate`.
        database: Its name within Keyturn; names the version table, so that several
            databases may share one of a PostgreSQL server.
        scripts: The folder with `env.py` and `versions/`.
        metadata: The tables of a database at the newest revision.
    """

    service: str
    database: str
    scripts: Path
    metadata: MetaData

    @property
    def version_table(self) -> str:
        """The table that holds the database's revision."""
        return f"alembic_version_{self.database}"

    @property
    def command(self) -> str:
        """The command that applies what is pending."""
        return f"python -m services.{self.service} migrate"


Database = tuple[Line, Callable[[], Engines]]
"""A line of revisions and what opens the database that follows it."""


def prepare(databases: Iterable[Database], settings: ServiceSettings) -> None:
    """Ready the databases before a process serves: migrate, in production only check.

    In production migrating is a step of its own, taken once, by a role that may.

    Raises:
        MigrationRefused: A database is not at this version's revision and was not
            brought there.
        EngineRefused: A database does not open.
    """
    if settings.mode is Mode.PRODUCTION:
        for line, engines_of in databases:
            with _opened(engines_of) as engines:
                check(line, engines)
    else:
        migrate(databases, settings.state_dir)


def migrate(databases: Iterable[Database], state_dir: Path) -> None:
    """Bring each database to the newest revision.

    Raises:
        MigrationRefused, EngineRefused: As `upgrade`.
    """
    for line, engines_of in databases:
        with _opened(engines_of) as engines:
            upgrade(line, engines, state_dir)


def upgrade(
    line: Line,
    engines: Engines,
    state_dir: Path,
    *,
    lock_seconds: float = LOCK_SECONDS,
) -> None:
    """Bring one database to the newest revision; nothing to do is no error.

    Processes that start together wait for each other: the first one migrates.

    Raises:
        DatabaseNewer, DatabaseUnversioned: Not this version's; nothing was done.
        MigrationBusy: Another process has not finished within `lock_seconds`.
        MigrationFailed: A revision was refused; the ones before it are kept.
    """
    if not _pending(line, engines):
        return
    lock = _lock(line, engines, state_dir, lock_seconds)
    try:
        if _pending(line, engines):  # the one that was waited for may have done it
            _apply(line, engines)
    finally:
        lock.release()


def check(line: Line, engines: Engines) -> None:
    """Check that the database is at this version's revision; changes nothing.

    Raises:
        MigrationPending: It is behind.
        DatabaseNewer, DatabaseUnversioned: It is not this version's.
        MigrationFailed: It does not answer.
    """
    if _pending(line, engines):
        raise MigrationPending(
            f"The {line.database} database is behind this version. Run "
            f"`{line.command}` once, then start the services again."
        )


def run_environment() -> None:
    """Run the revisions that Alembic has chosen; every `env.py` is a call of this."""
    attributes = context.config.attributes
    line: Line = attributes["line"]
    context.configure(
        connection=attributes["connection"],
        target_metadata=line.metadata,
        version_table=line.version_table,
        # Alembic takes SQLite for an engine without transactional DDL. It has it
        # where BEGIN is explicit, and the writer's engine begins by hand.
        transactional_ddl=True,
        transaction_per_migration=True,
        on_version_apply=_before_commit,
    )
    with context.begin_transaction():
        context.run_migrations()


# --- the parts --------------------------------------------------------------------

_ENVIRONMENT: Final = threading.Lock()  # Alembic's `context` is one of the process


def _pending(line: Line, engines: Engines) -> bool:
    with _translated(line), engines.reader.connect() as connection:
        current = _current(line, connection)
        if not current and _has_tables(line, connection):
            raise DatabaseUnversioned(
                f"The {line.database} database has tables, but no revision: it was "
                "made before migrations began, or its version table is lost. Begin a "
                "new state directory, or restore the whole database from a backup."
            )
    scripts = ScriptDirectory.from_config(_config(line))
    known = {script.revision for script in scripts.walk_revisions()}
    if not current <= known:
        raise DatabaseNewer(
            f"The {line.database} database was made by a newer version of Keyturn. "
            "Start that version, or restore a backup that this one made."
        )
    return current != set(scripts.get_heads())


def _current(line: Line, connection: Connection) -> set[str]:
    options = {"version_table": line.version_table}
    return set(MigrationContext.configure(connection, opts=options).get_current_heads())


def _has_tables(line: Line, connection: Connection) -> bool:
    return not line.metadata.tables.keys().isdisjoint(
        inspect(connection).get_table_names()
    )


def _apply(line: Line, engines: Engines) -> None:
    config = _config(line)
    with _ENVIRONMENT, _translated(line), engines.writer.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _before_commit(*_step: Any, **_facts: Any) -> None:
    CRASH_POINTS.reach("migrate.before_commit")


def _config(line: Line) -> Config:
    config = Config()
    # `%` begins an interpolation in a configuration file.
    config.set_main_option("script_location", str(line.scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["line"] = line
    return config


def _lock(line: Line, engines: Engines, state_dir: Path, seconds: float) -> HeldSlot:
    """Wait for the lock of this database's migrations.

    It is the kernel's or the server's: it ends with the process that holds it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with _translated(line):
                return hold_slot(engines, state_dir, f"migrate/{line.database}")
        except SlotTaken:
            if time.monotonic() >= deadline:
                raise MigrationBusy(
                    f"Another process has been migrating the {line.database} database "
                    f"for {seconds:.0f} seconds. Wait for it, then start again."
                ) from None
            time.sleep(POLL_SECONDS)


@contextmanager
def _opened(engines_of: Callable[[], Engines]) -> Iterator[Engines]:
    engines = engines_of()
    try:
        yield engines
    finally:
        engines.dispose()


@contextmanager
def _translated(line: Line) -> Iterator[None]:
    """A driver's trouble as ours, by the name of its kind and without its values."""
    try:
        yield
    except DBAPIError as exc:
        raise MigrationFailed(
            f"The {line.database} database refused ({type(exc.orig).__name__}); what "
            f"was not complete is undone. Run `{line.command}` again when it answers "
            "and no other process locks its tables."
        ) from exc
