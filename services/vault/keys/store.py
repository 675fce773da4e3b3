# SPDX-License-Identifier: Apache-2.0
"""SQL of the key database: class and index keys, and the generation number."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, insert, inspect, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from services.chassis.clock import milliseconds
from services.chassis.database import DatabaseUnavailable, Tx
from services.chassis.engines import Engines
from services.vault.keys.sealing import KeyUse
from services.vault.keys.tables import class_key, generation

CREATED: Final = "created"  # durable, its event perhaps not yet; never used
PRIMARY: Final = "primary"  # seals; one per party, class and use
RETIRED: Final = "retired"  # opens what it once sealed
DESTROYED: Final = "destroyed"  # opens nothing; `wrapped` is empty

_ONLY: Final = 1  # id of the one row of `generation`


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key version as stored; `wrapped` is under the root key."""

    class_: str
    use: KeyUse
    version: int
    wrapped: bytes = field(repr=False)
    state: str


@dataclass(frozen=True, slots=True)
class Generation:
    """How often keys changed, and the fingerprint of the root that wraps them."""

    number: int
    root: str


class KeyExists(Exception):  # noqa: N818
    """Another process made this key version first; read it again."""


_GENERATION = select(generation.c.number, generation.c.root).where(
    generation.c.id == _ONLY
)


def read_generation(connection: Connection) -> Generation | None:
    """Return the generation, None before `init`."""
    row = connection.execute(_GENERATION).first()
    return None if row is None else Generation(row.number, row.root)


class GenerationWatch:
    """Reads the generation's number over a connection of its own, on SQLite only.

    Asked at every operation, so it goes past SQLAlchemy: 8 µs instead of 60. Each
    question is a snapshot of its own and sees the newest commit of any process.
    """

    def __init__(self, engines: Engines) -> None:
        self._connection = engines.reader.raw_connection()
        self._cursor = self._connection.cursor()
        self._lock = threading.Lock()
        self._statement = str(
            _GENERATION.compile(
                dialect=engines.reader.dialect, compile_kwargs={"literal_binds": True}
            )
        )

    def number(self) -> int:
        """Return the number, 0 before `init`.

        Raises:
            DatabaseUnavailable: The key database does not answer.
        """
        try:
            with self._lock:
                self._cursor.execute(self._statement)
                # All of it: a statement left open would hold its snapshot.
                rows = self._cursor.fetchall()
        except Exception as exc:
            raise DatabaseUnavailable("the key database does not answer") from exc
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._cursor.close()
            self._connection.close()


def begin_generation(tx: Tx, root: str) -> None:
    """Insert the generation's one row, if there is none."""
    if read_generation(tx.connection) is None:
        tx.execute(insert(generation).values(id=_ONLY, number=1, root=root))


def bump_generation(tx: Tx) -> None:
    """Drop cached keys everywhere at their next use."""
    tx.execute(
        update(generation)
        .where(generation.c.id == _ONLY)
        .values(number=generation.c.number + 1)
    )


def oldest_primary_ms(connection: Connection) -> int | None:
    """Return when the oldest key that still seals was made; None without any."""
    return connection.execute(
        select(func.min(class_key.c.created_at)).where(class_key.c.state == PRIMARY)
    ).scalar()


def keys_of(connection: Connection, party: str) -> list[KeyRow]:
    """Return every key version of a party, oldest first."""
    rows = connection.execute(
        select(
            class_key.c["class"],
            class_key.c.use,
            class_key.c.version,
            class_key.c.wrapped,
            class_key.c.state,
        )
        .where(class_key.c.party == party)
        .order_by(class_key.c["class"], class_key.c.use, class_key.c.version)
    )
    return [KeyRow(*row) for row in rows]


def count_keys(connection: Connection) -> int:
    """Return how many key versions there are, destroyed ones too."""
    return connection.execute(select(func.count()).select_from(class_key)).scalar_one()


def insert_keys(tx: Tx, party: str, rows: Sequence[KeyRow]) -> None:
    """Insert new key versions.

    Raises:
        KeyExists: One of them is there already; nothing was inserted.
    """
    now = milliseconds(tx.now)
    values = [
        {
            "party": party,
            "class": row.class_,
            "use": row.use,
            "version": row.version,
            "wrapped": row.wrapped,
            "state": row.state,
            "created_at": now,
            "destroyed_at": None,
        }
        for row in rows
    ]
    try:
        tx.execute(insert(class_key), values)
    except IntegrityError as exc:
        raise KeyExists from exc


def promote(tx: Tx, party: str, class_: str, use: KeyUse, version: int) -> None:
    """Make a created version the primary one and retire the one before it."""
    mine = (
        class_key.c.party == party,
        class_key.c["class"] == class_,
        class_key.c.use == use,
    )
    moved = tx.execute(
        update(class_key)
        .where(*mine, class_key.c.version == version, class_key.c.state == CREATED)
        .values(state=PRIMARY)
    )
    if moved.rowcount == 1:
        tx.execute(
            update(class_key)
            .where(*mine, class_key.c.version < version, class_key.c.state == PRIMARY)
            .values(state=RETIRED)
        )
        bump_generation(tx)


def destroy(tx: Tx, party: str, class_: str, version: int) -> bool:
    """Empty a retired class key version; whether there was one to empty."""
    moved = tx.execute(
        update(class_key)
        .where(
            class_key.c.party == party,
            class_key.c["class"] == class_,
            class_key.c.use == "class",
            class_key.c.version == version,
            class_key.c.state == RETIRED,
        )
        .values(state=DESTROYED, wrapped=b"", destroyed_at=milliseconds(tx.now))
    )
    if moved.rowcount == 1:
        bump_generation(tx)
    return bool(moved.rowcount == 1)


def is_begun(connection: Connection) -> bool:
    """Whether this database holds a generation, before its tables may exist."""
    exists = inspect(connection).has_table(generation.name)
    return exists and read_generation(connection) is not None
