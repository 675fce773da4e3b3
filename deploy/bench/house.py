# SPDX-License-Identifier: Apache-2.0
"""Installations to measure: real processes on fresh state, everybody enrolled."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import httpx

from deploy.bench.load import LoadFailed
from deploy.demo.catalogue import entered
from deploy.demo.enrolling import enrol_everybody
from deploy.demo.importing import import_customers
from deploy.demo.office import Office
from deploy.demo.people_of_the_deal import BUYER_CRM, SELLER_CRM, client_file
from deploy.demo.playing import free_ports
from deploy.demo.scaled import scaled_world
from services.chassis.clock import SystemClock
from services.cli.http import Api, checked
from services.cli.supervisor import Place, Supervisor
from services.cli.token import client_login, granted

SETTINGS: Final = {"KEYTURN_DEMONSTRATION": "true"}
ENGINES: Final = ("sqlite", "postgres")


@dataclass
class House:
    """A running installation.

    Attributes:
        folder: Where a measurement may lay down what it needs.
        engine: `sqlite` (embedded broker) or `postgres` (Apache Kafka).
    """

    place: Place
    folder: Path
    engine: str
    supervisor: Supervisor
    office: Office
    _more_vaults: list[int] = field(default_factory=list)

    def import_(
        self,
        items: Iterable[dict[str, Any]],
        client: str = SELLER_CRM,
        on_progress: Callable[[int], None] = lambda _count: None,
    ) -> dict[str, str]:
        """Import customers as a CRM would; return record ids by external id."""
        login = self.office.login(client)
        done = import_customers(self.place.vault_url, login, iter(items), on_progress)
        return done.records

    def token(self, client: str = SELLER_CRM) -> str:
        """Return an access token; it lives ten minutes."""
        path = client_file(self.place.keys, client)
        login = client_login(self.place.vault_url, path, SystemClock())
        return str(granted(Api(self.place.vault_url), login)["access_token"])

    def headers(self, client: str = SELLER_CRM) -> dict[str, str]:
        """Return what a client sends with a request; good for ten minutes."""
        return {"Authorization": f"Bearer {self.token(client)}"}

    def vaults(self) -> list[int]:
        """Return the process ids of the vaults that run."""
        return [self.supervisor.pid("vault"), *self._more_vaults]

    @contextmanager
    def second_vault_and_worker(self) -> Iterator[None]:
        """Run a second vault, and a second worker that calls it, for a while."""
        port = free_ports()[0]
        settings = {
            **self.place.settings(),
            "KEYTURN_VAULT_WORKER": "vault-2",
            "KEYTURN_VAULT_PORT": str(port),
            "KEYTURN_VAULT_URL": f"http://127.0.0.1:{port}",
            "KEYTURN_TRANSFER_WORKER": "worker-2",
        }
        log = (self.folder / "second.log").open("ab")
        with log, ExitStack() as stack:
            vault = stack.enter_context(_process(settings, log, "vault", "serve"))
            await_ready(f"http://127.0.0.1:{port}/readyz")
            stack.enter_context(_process(settings, log, "transfer", "worker"))
            self._more_vaults.append(vault.pid)
            try:
                yield
            finally:
                self._more_vaults.remove(vault.pid)

    def only(self, *names: str) -> None:
        """Leave only these processes running: events wait in the outbox meanwhile."""
        for name in ("worker", "transfer", "audit", "broker", "vault"):
            if name not in names and name in self.supervisor.names():
                self.supervisor.halt(name)


@contextmanager
def house(folder: Path, engine: str) -> Iterator[House]:
    """Give a running installation with both companies' catalogues; then stop it.

    Raises:
        WorldMissing: `postgres`, and there are no servers to run on.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        environ = dict(SETTINGS)
        if engine == "postgres":
            environ |= stack.enter_context(scaled_world()).environ
        place = Place(folder / "state", folder / "keys", *free_ports(), environ=environ)
        supervisor = Supervisor(place)
        supervisor.prepare()
        enrol_everybody(place)
        stack.enter_context(supervisor.running())
        log_key = (place.state / "log.vkey").read_text(encoding="utf-8").strip()
        office = Office(place, log_key)
        _write_catalogues(office)
        yield House(place, folder, engine, supervisor, office)


@contextmanager
def _process(
    settings: dict[str, str], log: IO[bytes], service: str, command: str
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        (sys.executable, "-m", f"services.{service}", command),
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def await_ready(url: str) -> None:
    """Wait until a server answers.

    Raises:
        LoadFailed: It does not.
    """
    for _ in range(300):
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise LoadFailed("a server that was started does not answer")


def _write_catalogues(office: Office) -> None:
    for client in (SELLER_CRM, BUYER_CRM):
        vault = office.system(client)
        for path, body in entered():
            checked(vault.send("PUT", path, json=body))
