# SPDX-License-Identifier: Apache-2.0
"""Statements of constant text, compiled once for each dialect and run by the driver.

For the few statements of the hottest ways alone. They are written as everywhere, in
SQLAlchemy Core; only its execution is left out, which costs more than the driver and
the database together (ADR 0015). Errors are SQLAlchemy's, as everywhere.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Table, bindparam, insert
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Select

Row = Any
"""A named tuple with the statement's columns."""

_Processor = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement's text for one dialect, and how values go in and out.

    Attributes:
        names: Of the parameters in the order of the text; empty where they are named.
        constants: Values that stand in the statement itself.
        row: Makes a row of what the driver returns.
    """

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    row: Callable[[Iterable[Any]], Row]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        if not self.constants:
            if not self.names:
                return values
            return [values[name] for name in self.names]
        known = {**self.constants, **values}
        return [known[name] for name in self.names] if self.names else known


class Prepared:
    """One statement; every value that changes is a `bindparam`.

    Attributes:
        statement: As it was written.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self.statement = statement
        self._compiled: dict[str, _Compiled] = {}

    @classmethod
    def insert(cls, table: Table) -> Prepared:
        """Return the insertion of one row; every column of it is given."""
        values: dict[str, Any] = {c.name: bindparam(c.name) for c in table.columns}
        return cls(insert(table).values(values))

    def all(self, connection: Connection, **values: Any) -> list[Row]:
        """Return every row.

        Raises:
            DBAPIError: As from any execution.
        """
        compiled = self._for(connection.dialect)
        cursor = self._run(connection, compiled, values)
        rows = cursor.fetchall()
        cursor.close()
        return [compiled.row(row) for row in rows]

    def first(self, connection: Connection, **values: Any) -> Row | None:
        """Return the first row, None if there is none. Raises as `all`."""
        compiled = self._for(connection.dialect)
        cursor = self._run(connection, compiled, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else compiled.row(row)

    def scalar(self, connection: Connection, **values: Any) -> Any:
        """Return the first column of the first row, or None. Raises as `all`."""
        row = self.first(connection, **values)
        return None if row is None else row[0]

    def execute(self, connection: Connection, **values: Any) -> int:
        """Run a change; return how many rows it touched. Raises as `all`."""
        cursor = self._run(connection, self._for(connection.dialect), values)
        touched: int = cursor.rowcount
        cursor.close()
        return touched

    def execute_many(
        self, connection: Connection, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Run a change once for each of `rows`. Raises as `all`."""
        compiled = self._for(connection.dialect)
        sent = [compiled.parameters(row) for row in rows]
        self._send(connection, compiled, "executemany", sent).close()

    def _run(
        self, connection: Connection, compiled: _Compiled, values: Mapping[str, Any]
    ) -> Any:
        sent = compiled.parameters(values)
        return self._send(connection, compiled, "execute", sent)

    def _send(
        self, connection: Connection, compiled: _Compiled, how: str, sent: Any
    ) -> Any:
        if not connection.in_transaction():
            connection.begin()
        driver = connection.connection.dbapi_connection
        assert driver is not None
        cursor = driver.cursor()
        try:
            getattr(cursor, how)(compiled.text, sent)
        except connection.dialect.loaded_dbapi.Error as error:
            cursor.close()
            raise _translated(connection, compiled.text, error) from error
        return cursor

    def _for(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self.statement, dialect)
        return found


@dataclass(frozen=True, slots=True)
class OneOf:
    """A list of values in a prepared statement, whose length must not change.

    Attributes:
        name: Begins the names of its parameters.
        size: How many values one execution asks for.
    """

    name: str
    size: int

    def holds(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the column's value is in the list."""
        return column.in_([bindparam(name) for name in self._names()])

    def parts(self, values: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Yield the parameters of one execution after the other.

        A list that is not full repeats its first value, which changes no answer.
        """
        names = self._names()
        wanted = list(dict.fromkeys(values))
        for start in range(0, len(wanted), self.size):
            part = wanted[start : start + self.size]
            part += part[:1] * (self.size - len(part))
            yield dict(zip(names, part, strict=True))

    def _names(self) -> list[str]:
        return [f"{self.name}_{n}" for n in range(self.size)]


def _compile(statement: ClauseElement, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(
        dialect=dialect, compile_kwargs={"render_postcompile": True}
    )
    assert isinstance(compiled, SQLCompiler)
    given = compiled.params
    constants = {name: value for name, value in given.items() if value is not None}
    return _Compiled(
        text=str(compiled),
        names=tuple(compiled.positiontup or ()),
        constants=constants,
        row=_row_of(statement, dialect),
    )


def _row_of(
    statement: ClauseElement, dialect: Dialect
) -> Callable[[Iterable[Any]], Row]:
    if not isinstance(statement, Select):
        return tuple
    columns = list(statement.selected_columns)
    made = namedtuple("Row", [c.key for c in columns], rename=True)  # type: ignore[misc]  # noqa: PYI024
    processors = [_processor(column.type, dialect) for column in columns]
    if not any(processors):
        return made._make

    def row(values: Iterable[Any]) -> Row:
        pairs = zip(processors, values, strict=True)
        return made._make([v if p is None else p(v) for p, v in pairs])

    return row


def _processor(type_: Any, dialect: Dialect) -> _Processor | None:
    if isinstance(type_, LargeBinary):
        return None  # both drivers return bytes
    found: _Processor | None = type_.dialect_impl(dialect).result_processor(
        dialect, None
    )
    return found


def _translated(connection: Connection, text: str, error: Exception) -> Exception:
    """Return the driver's error as SQLAlchemy raises it; drop a broken connection."""
    dialect = connection.dialect
    driver = connection.connection.dbapi_connection
    broken = dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
    translated = DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=broken,
        dialect=dialect,
    )
    if broken:
        connection.invalidate(error)
    assert isinstance(translated, Exception)
    return translated
