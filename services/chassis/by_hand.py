# SPDX-License-Identifier: Apache-2.0
"""A SQLite connection whose BEGIN and COMMIT are run by hand, past SQLAlchemy.

For the event loop's own reads and appends: SQLAlchemy's begin and commit cost more
than all the statements between them (ADR 0017). Its statements work as everywhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from services.chassis.engines import DRIVER_TROUBLE
from services.chassis.transaction import DatabaseUnavailable

T = TypeVar("T")

UNANSWERED = (OperationalError, DRIVER_TROUBLE)
"""What says that the database does not answer, from either layer."""


class HandHeld:
    """One connection; used by one thread at a time.

    Attributes:
        connection: For statements. To SQLAlchemy it is in one transaction for ever.
    """

    def __init__(self, engine: Engine, *, patient: bool = True) -> None:
        """Open it; `patient` waits for another process's lock, else it fails at once.

        Raises:
            OperationalError: The database does not answer.
        """
        self.connection: Connection = engine.connect()
        self.connection.begin()  # sends nothing: this engine has no event at begin
        driver = self.connection.connection.dbapi_connection
        assert driver is not None
        self._driver = driver
        self._cursor = driver.cursor()
        if not patient:
            self._cursor.execute("PRAGMA busy_timeout = 0")

    def begin(self, how: str = "BEGIN") -> None:
        """Begin the transaction."""
        self._cursor.execute(how)

    def commit(self) -> None:
        """Commit it: durable when this returns."""
        self._cursor.execute("COMMIT")

    def rollback(self) -> None:
        """Roll it back, if one is open."""
        if self._driver.in_transaction:
            self._cursor.execute("ROLLBACK")

    @property
    def is_broken(self) -> bool:
        """Whether SQLAlchemy found the connection unusable."""
        return self.connection.invalidated

    def drop(self) -> None:
        """Close it for good."""
        with contextlib.suppress(DBAPIError, *UNANSWERED):
            if not self.connection.invalidated:
                self.connection.invalidate()
            self.connection.close()


class InlineReader:
    """Reads on the event loop over one connection that stays open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: HandHeld | None = None

    def read(self, fn: Callable[[Connection], T], *, whole: bool = True) -> T:
        """Run `fn` in one snapshot; not `whole` where it is one statement alone.

        Raises:
            DatabaseUnavailable: The database does not answer.
            Exception: Whatever `fn` raised.
        """
        # Taken out while in use: a read within a read gets another connection.
        held, self._held = self._held, None
        try:
            if held is None:
                held = HandHeld(self._engine)
            if whole:
                held.begin()
            value = fn(held.connection)
            if whole:
                held.commit()
        except UNANSWERED as exc:
            if held is not None:
                held.drop()
            raise DatabaseUnavailable("the database does not answer") from exc
        except BaseException:
            if held is not None:
                self._put_back(held)
            raise
        self._put_back(held)
        return value

    def close(self) -> None:
        """Close the connection."""
        held, self._held = self._held, None
        if held is not None:
            held.drop()

    def _put_back(self, held: HandHeld) -> None:
        if held.is_broken or self._held is not None:
            held.drop()
            return
        held.rollback()
        self._held = held
