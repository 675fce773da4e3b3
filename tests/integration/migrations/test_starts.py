# SPDX-License-Identifier: Apache-2.0
"""What each process does at its start with a database of another version."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.audit import __main__ as audit_command
from services.audit import app as audit_app
from services.audit import opening as audit
from services.audit.settings import AuditSettings
from services.chassis.clock import SystemClock
from services.chassis.engines import Engines
from services.chassis.migrate import (
    Database,
    DatabaseNewer,
    DatabaseUnversioned,
    MigrationPending,
)
from services.chassis.settings import ServiceSettings
from services.chassis.variables import Mode, Secret
from services.transfer import __main__ as transfer_command
from services.transfer import app as transfer_app
from services.transfer import opening as transfer
from services.transfer.settings import TransferSettings
from services.vault import __main__ as vault_command
from services.vault import app as vault_app
from services.vault import host as vault
from services.vault.opening import open_vault
from services.vault.settings import VaultSettings
from tests.integration.migrations.lines import revision, tables
from tests.worlds import DATABASES, postgres_database


def enrol(settings: VaultSettings) -> None:
    with vault.enrolment(settings, SystemClock()):
        pass


def worker(settings: TransferSettings) -> None:
    transfer_app.open_base(settings, settings.worker)


@contextlib.contextmanager
def opened(engines_of: Callable[[], Engines]) -> Iterator[Engines]:
    engines = engines_of()
    try:
        yield engines
    finally:
        engines.dispose()


@dataclass
class Service:
    """One service of an initialised installation."""

    name: str
    settings: Any
    migrate: Callable[[Any], None]
    main: Callable[[], int]
    starts: tuple[Callable[[Any], object], ...]
    databases: list[Database]

    def empty(self) -> None:
        """Have the databases as they were before `init`."""
        for line, engines_of in self.databases:
            for table in (*line.metadata.tables, line.version_table):
                self.execute(engines_of, f'DROP TABLE IF EXISTS "{table}"')

    def lose_the_revision(self) -> None:
        for line, engines_of in self.databases:
            self.execute(engines_of, f"DROP TABLE {line.version_table}")

    def come_from_the_future(self) -> None:
        line, engines_of = self.databases[-1]
        self.execute(engines_of, f"UPDATE {line.version_table} SET version_num='7777'")

    def execute(self, engines_of: Callable[[], Engines], statement: str) -> None:
        with opened(engines_of) as engines, engines.writer.begin() as connection:
            connection.execute(text(statement))

    def revisions(self) -> list[str | None]:
        found = []
        for line, engines_of in self.databases:
            with opened(engines_of) as engines:
                found.append(revision(line, engines))
        return found

    def tables(self) -> set[str]:
        found: set[str] = set()
        for _line, engines_of in self.databases:
            with opened(engines_of) as engines:
                found |= tables(engines)
        return found


@pytest.fixture(params=DATABASES)
def urls(request: pytest.FixtureRequest) -> Iterator[dict[str, Secret | None]]:
    """Nothing on SQLite; on PostgreSQL a database each, as operators make them."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Secret | None] = dict.fromkeys(
            ("vault", "keys", "transfer", "audit")
        )
        if request.param == "postgres":
            for name in found:
                found[name] = Secret(stack.enter_context(postgres_database()) or "")
        yield found


@pytest.fixture(params=["vault", "transfer", "audit"])
def service(
    request: pytest.FixtureRequest, tmp_path: Path, urls: dict[str, Secret | None]
) -> Service:
    """The service, initialised; the vault comes first, as it does for an operator."""
    (tmp_path / "state").mkdir()
    common: Any = {"state_dir": tmp_path / "state", "keys_dir": tmp_path / "keys"}
    of_vault = VaultSettings(
        **common, database_url=urls["vault"], keys_database_url=urls["keys"]
    )
    vault.init(of_vault, SystemClock())
    if request.param == "vault":
        return Service(
            "vault",
            of_vault,
            vault.migrate,
            vault_command.main,
            (vault_app.create_app, enrol),
            open_vault(of_vault).migrations(),
        )
    if request.param == "transfer":
        of_transfer = TransferSettings(**common, database_url=urls["transfer"])
        return Service(
            "transfer",
            of_transfer,
            transfer.migrate,
            transfer_command.main,
            (transfer_app.create_app, worker),
            transfer.init(of_transfer).migrations(),
        )
    of_audit = AuditSettings(**common, database_url=urls["audit"])
    return Service(
        "audit",
        of_audit,
        audit.migrate,
        audit_command.main,
        (audit_app.create_app,),
        audit.init(of_audit).migrations(),
    )


def in_production(settings: ServiceSettings) -> ServiceSettings:
    return dataclasses.replace(settings, mode=Mode.PRODUCTION)


def test_production_refuses_a_database_that_is_behind_and_names_the_command(
    service: Service,
) -> None:
    service.empty()
    settings = in_production(service.settings)
    for start in service.starts:
        with pytest.raises(MigrationPending) as refused:
            start(settings)
        assert f"python -m services.{service.name} migrate" in str(refused.value)
    assert service.tables() == set()
    service.migrate(settings)  # the command that was named mends it, in production too
    assert set(service.revisions()) == {"0001"}


async def test_an_embedded_start_migrates_before_it_serves(service: Service) -> None:
    service.empty()
    if service.name == "vault":  # its keys cannot come back out of nothing
        with pytest.raises(Exception, match="key"):
            service.starts[0](service.settings)
    else:
        app: Any = service.starts[0](service.settings)
        async with app.router.lifespan_context(app):
            pass
    assert set(service.revisions()) == {"0001"}


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    service: Service,
) -> None:
    service.come_from_the_future()
    before = service.revisions()
    for start in (*service.starts, service.migrate):
        for settings in (service.settings, in_production(service.settings)):
            with pytest.raises(DatabaseNewer, match="newer version of Keyturn"):
                start(settings)
    assert service.revisions() == before
    assert "7777" in before


def test_tables_of_no_known_version_are_refused(service: Service) -> None:
    service.lose_the_revision()
    before = service.tables()
    for start in (*service.starts, service.migrate):
        with pytest.raises(DatabaseUnversioned, match="no revision"):
            start(service.settings)
    assert service.tables() == before


def test_the_command_says_why_it_refuses(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [service.name, "migrate"])
    for item in ("state_dir", "keys_dir", "database_url", "keys_database_url"):
        value = getattr(service.settings, item, None)
        if value is not None:
            plain = value.reveal() if isinstance(value, Secret) else str(value)
            monkeypatch.setenv(service.settings.variable(item), plain)
    assert service.main() == 0
    service.come_from_the_future()
    assert service.main() == 1
    assert "newer version of Keyturn" in capsys.readouterr().err
