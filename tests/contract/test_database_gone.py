# SPDX-License-Identifier: Apache-2.0
"""With its database gone a service says so, to everybody, and comes back by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from services.chassis.by_hand import HandHeld
from tests.contract.answers import refused
from tests.contract.operations import SERVICES, Operation, operations, rows
from tests.contract.sending import send
from tests.contract.site import Site
from tests.worlds import POSTGRES_URL

#: What answers from memory or files, and so goes on.
WITHOUT_DATABASE = {
    "livez",
    "metrics_text",
    "describe_problem",
    "read_jwks",
    "read_installation",
    "read_checkpoint",
    "describe_service",
    "list_problems",
    "read_tile",
}
DATABASES = {
    "vault": ("changes", "reads", "keys"),
    "transfer": ("handovers",),
    "audit": ("log", "search"),
}


@contextlib.contextmanager
def gone(site: Site, service: str) -> Iterator[None]:
    """Take a service's databases away, and give them back."""
    databases = [site.databases[name] for name in DATABASES[service]]
    embedded = databases[0].engines.embedded
    lost = _failing if embedded else _shut
    with lost(databases):
        # What was remembered of clients and catalogues a moment ago is old now.
        site.vault.house.clock.advance(30)
        yield


@contextlib.contextmanager
def _failing(databases: list[Any]) -> Iterator[None]:
    """Fail every statement, as a disk that is away would."""
    engines = [
        engine
        for database in databases
        for engine in (database.engines.writer, database.engines.reader)
    ]

    def fail(*_arguments: Any, **_named: Any) -> None:
        raise OperationalError("statement", None, Exception("disk is away"))

    inline = [database.engines.inline for database in databases]
    real = HandHeld.begin

    def begin(self: HandHeld, how: str = "BEGIN") -> None:
        if self.connection.engine in inline:
            fail()
        real(self, how)

    for engine in {id(engine): engine for engine in engines}.values():
        event.listen(engine, "before_cursor_execute", fail)
    HandHeld.begin = begin  # type: ignore[method-assign]
    try:
        yield
    finally:
        HandHeld.begin = real  # type: ignore[method-assign]
        for engine in {id(engine): engine for engine in engines}.values():
            event.remove(engine, "before_cursor_execute", fail)


@contextlib.contextmanager
def _shut(databases: list[Any]) -> Iterator[None]:
    """End every connection at the server and let no other one in."""
    assert POSTGRES_URL is not None
    names = sorted({str(one.engines.writer.url.database) for one in databases})
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:

        def allow(allowed: bool) -> None:
            words = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
            for name in names:
                server.execute(words.format(sql.Identifier(name), sql.Literal(allowed)))

        allow(False)
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = ANY(%s)",
            [names],
        )
        try:
            yield
        finally:
            allow(True)


def of(site: Site, service: str) -> list[Operation]:
    return [one for one in operations(site) if one.service == service]


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_answers_503_and_then_recovers(
    own_site: Site, service: str
) -> None:
    wrong = []
    with gone(own_site, service):
        for operation in of(own_site, service):
            name = operation.item["operationId"]
            answer = send(own_site, operation, rows()[operation.name].right)
            if name in WITHOUT_DATABASE:
                fine = answer.status_code == 200
            elif name == "readyz":
                fine = answer.status_code == 503
            elif answer.status_code != 503:
                fine = False
            else:
                code = refused(answer, operation)["code"]
                fine = code in {"audit-unavailable", "busy"}
            if not fine:
                wrong.append((operation.name, answer.status_code, answer.text[:200]))
    assert not wrong
    for operation in of(own_site, service):
        if operation.method == "GET":
            row = rows()[operation.name]
            answer = send(own_site, operation, row.right)
            assert answer.status_code in row.status, (operation.name, answer.text)
