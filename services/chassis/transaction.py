# SPDX-License-Identifier: Apache-2.0
"""What a transaction is to its users: `Tx`, declared locks, the step, the errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Protocol

from sqlalchemy import CursorResult, Executable
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from contracts import problems


class DatabaseError(Exception):
    """Root of what the database tells its callers; `problem` is what they answer."""

    problem = problems.AUDIT_UNAVAILABLE


class DatabaseBusy(DatabaseError):  # noqa: N818 - a state, not a mistake
    """A lock was not to be had within its bound; nothing was written. Try again."""

    problem = problems.BUSY


class DatabaseUnavailable(DatabaseError):  # noqa: N818
    """The database does not answer; nothing was written."""


class CommitUnknown(DatabaseError):  # noqa: N818
    """COMMIT failed: nobody knows whether the change is on disk. Ask again."""


class Fenced(DatabaseError):  # noqa: N818
    """Another process has taken this writer's place; this process must stop."""


@dataclass(slots=True)
class Watch:
    """Is told of a writer's commits and failures, in its thread; must not block.

    Attributes:
        committed: Told the seconds that a COMMIT took.
        failed: Told `commit`, `fenced` or `refused` when a group failed.
    """

    committed: Callable[[float], None] = lambda _seconds: None
    failed: Callable[[str], None] = lambda _kind: None


class LockKind(IntEnum):
    """Kinds of declared locks, in the order in which a group takes them."""

    PARTY = 1
    TURN = 2
    RECORD = 3
    INDEX = 4
    QUOTA = 5


@dataclass(frozen=True, order=True, slots=True)
class Lock:
    """A declared lock. On SQLite the single writer holds them all.

    Attributes:
        kind: Gives the order.
        key: What is locked within the kind.
        exclusive: Shared locks of one key may be held by many groups.
    """

    kind: LockKind
    key: str
    exclusive: bool = True

    def number(self) -> int:
        """The signed 64-bit advisory lock number of this lock."""
        digest = hashlib.blake2b(
            self.key.encode(), digest_size=8, person=b"kt-lock-%d" % self.kind
        ).digest()
        return int.from_bytes(digest, "big", signed=True)


class GroupStep(Protocol):
    """What is done around the requests of a group, inside its transaction.

    Numbers are given by `mark`/`rewind` as savepoints come and go. After
    `unknown` the step must not trust what it believes to be on disk.
    """

    def begin(self, connection: Connection, now: datetime) -> None:
        """Prepare; called first in each group's transaction."""

    def mark(self) -> Any:
        """Return a token for the state before a request."""

    def rewind(self, mark: Any) -> None:
        """Return to the state of `mark`: the request was rolled back."""

    def finish(self, connection: Connection) -> bool:
        """Write what the group gathered; whether there was anything. May raise."""

    def committed(self) -> None:
        """The group is durable."""

    def rolled_back(self) -> None:
        """The group was rolled back whole, before COMMIT."""

    def unknown(self) -> None:
        """COMMIT failed; the outcome is unknown."""


@dataclass(slots=True)
class Tx:
    """One request's view of the group's transaction.

    Attributes:
        connection: For `store` modules; nobody commits it.
        now: The group's time, UTC.
        step: The journal's step; `outbox.append` uses it.
    """

    connection: Connection
    now: datetime
    step: GroupStep | None

    def execute(self, statement: Executable, params: Any = None) -> CursorResult[Any]:
        """Execute a Core statement in this transaction."""
        return self.connection.execute(statement, params)


def translated(exc: Exception) -> Exception:
    """Return a driver's trouble as one of ours; anything else unchanged."""
    if not isinstance(exc, OperationalError):
        return exc
    said = str(exc.orig).lower()
    busy = ("lock timeout", "deadlock", "locked", "could not serialize")
    error: DatabaseError
    if any(word in said for word in busy):
        error = DatabaseBusy("a lock was not to be had in time")
    else:
        error = DatabaseUnavailable("the database does not answer")
    error.__cause__ = exc
    return error
