# SPDX-License-Identifier: Apache-2.0
"""With its database gone a service says so, to everybody, and comes back by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.contract.answers import refused
from tests.contract.operations import SERVICES, Operation, operations, rows
from tests.contract.sending import send
from tests.contract.site import Site

#: What answers from memory or files, and so goes on.
WITHOUT_DATABASE = {
    "livez",
    "metrics_text",
    "describe_problem",
    "read_jwks",
    "read_installation",
    "read_checkpoint",
    "read_tile",
    "read_bundle",
}
DATABASES = {
    "vault": ("changes", "reads", "keys"),
    "transfer": ("handovers",),
    "audit": ("log", "search"),
}


@contextlib.contextmanager
def gone(site: Site, service: str) -> Iterator[None]:
    """Fail every statement of a service's databases as a lost server does."""
    engines = {
        id(engine): engine
        for name in DATABASES[service]
        for engine in (
            site.databases[name].engines.writer,
            site.databases[name].engines.reader,
        )
    }

    def fail(*_arguments: Any, **_named: Any) -> None:
        raise OperationalError("statement", None, Exception("server closed"))

    for engine in engines.values():
        event.listen(engine, "before_cursor_execute", fail)
    # What was remembered of clients and catalogues a moment ago is old now.
    site.vault.house.clock.advance(30)
    try:
        yield
    finally:
        for engine in engines.values():
            event.remove(engine, "before_cursor_execute", fail)


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
