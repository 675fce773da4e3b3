# SPDX-License-Identifier: Apache-2.0
"""Promise: a database restored from an older copy discloses nothing.

The log holds what the copy has forgotten, under the source's own signature. The
service refuses to start, or ends as soon as the log answers, until its host accepts
exactly what is missing; audit raises an alert.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest
from psycopg import sql

from deploy.demo.cast import Stage, Tale
from deploy.demo.evidence import copy_log
from deploy.demo.narrator import Narrator
from services.cli.http import Api
from services.cli.place import Place
from services.cli.supervisor import StartFailed, Supervisor
from tests.crash.installation import MARKS, SCALED, Template
from tests.crash.patience import PatientOffice, patiently

pytestmark = MARKS

PATIENCE_SECONDS: Final = 30.0


@pytest.fixture
def stage(template: Template, tmp_path: Path) -> Iterator[Stage]:
    with template.copied(tmp_path) as copied:
        yield copied


@pytest.mark.parametrize("service", ["vault", "transfer"])
def test_an_older_database_is_refused_until_its_host_accepts_what_is_missing(
    stage: Stage, service: str
) -> None:
    place = stage.place
    _live_once(stage)
    restore = _copy(place, service)
    _live_once(stage)
    restore()
    variable = f"KEYTURN_{service.upper()}_ACCEPT_ROLLBACK"

    with pytest.raises(StartFailed) as refused, Supervisor(place).running():
        pass
    said = str(refused.value)
    assert "it was restored from an older copy" in said
    assert "Traceback" not in said
    found = re.search(rf"{variable}=(\S+) where", said)
    assert found is not None, said

    with _accepting(place, {variable: found[1]}):
        # `fork` where the copy ends with its lane: then two lanes follow that one.
        assert _alerts(place) & {"restore", "fork"}
    with Supervisor(place).running():
        pass  # the accepted end has a successor now: nothing more to accept


def test_an_older_vault_that_started_without_the_log_ends_when_the_log_answers(
    stage: Stage,
) -> None:
    _live_once(stage)
    restore = _copy(stage.place, "vault")
    _live_once(stage)
    restore()
    with _alone(stage.place, "vault") as vault:
        _await_ready(stage.place.vault_url)
        with _alone(stage.place, "audit"):
            assert vault.wait(PATIENCE_SECONDS) is not None
    # Its lane follows the older end now, and still the loss is not forgotten.
    again = Supervisor(stage.place).running()
    with pytest.raises(StartFailed, match="restored from an older copy"), again:
        pass


def test_a_database_of_today_is_not_refused_however_it_was_ended(stage: Stage) -> None:
    with Supervisor(stage.place).running() as supervisor:
        supervisor.halt("vault")
        supervisor.resume("vault")
        _log_holds_everything(stage)
    _live_once(stage)


def _live_once(stage: Stage) -> None:
    """Run the installation until the log holds all that it committed."""
    with Supervisor(stage.place).running():
        _log_holds_everything(stage)


def _log_holds_everything(stage: Stage) -> None:
    office = PatientOffice(stage.place)
    patiently(partial(copy_log, Tale(stage, office, Narrator())))
    office.close()


def _copy(place: Place, service: str) -> Callable[[], None]:
    """Copy a service's database at rest; return what restores the copy."""
    if SCALED:
        url = place.environ[f"KEYTURN_{service.upper()}_DATABASE_URL"]
        return _copy_postgres(url)
    live, copy = place.state / service, place.state.with_name(f"{service}-copy")
    shutil.copytree(live, copy)

    def restore() -> None:
        shutil.rmtree(live)
        shutil.copytree(copy, live)

    return restore


def _copy_postgres(url: str) -> Callable[[], None]:
    base, _, name = url.replace("+psycopg", "").rpartition("/")
    copy = f"{name}_copy"

    def clone(source: str, target: str) -> None:
        with psycopg.connect(f"{base}/postgres", autocommit=True) as server:
            names = {"t": sql.Identifier(target), "s": sql.Identifier(source)}
            drop = "DROP DATABASE IF EXISTS {t} WITH (FORCE)"
            server.execute(sql.SQL(drop).format(**names))
            server.execute(sql.SQL("CREATE DATABASE {t} TEMPLATE {s}").format(**names))

    clone(name, copy)
    return lambda: clone(copy, name)


def _accepting(
    place: Place, settings: dict[str, str]
) -> AbstractContextManager[Supervisor]:
    accepting = replace(place, environ={**place.environ, **settings})
    return Supervisor(accepting).running()


def _alerts(place: Place) -> set[str]:
    """Wait for alerts; return their codes."""
    office = PatientOffice(place)
    audit: Api = office.desk("MO").audit
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        codes = {item["code"] for item in audit.get("/v1/alerts")["items"]}
        if codes or time.monotonic() > deadline:
            office.close()
            return codes
        time.sleep(0.2)


@contextmanager
def _alone(place: Place, service: str) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-m", f"services.{service}", "serve")
    process = subprocess.Popen(command, env=place.settings(), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=2.0).status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail("the vault was not ready in time")
