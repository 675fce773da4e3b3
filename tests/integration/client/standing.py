# SPDX-License-Identifier: Apache-2.0
"""A whole installation that stands: its five processes, a party, and its client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.officers import OfficerRole
from contracts.purposes import Purpose
from contracts.scopes import Scope
from deploy.demo.playing import free_ports
from deploy.demo.scaled import scaled_world
from keyturn_client import ClientLogin, House, LogView, OfficerLogin
from services.chassis.key_files import private_directory
from services.cli.officer import (
    enrolment,
    installation_of,
    new_officer,
    write_officer,
)
from services.cli.place import Place
from services.cli.supervisor import Supervisor
from services.cli.token import read_officer

CLIENT: Final = "acme-crm"
OWNER: Final = "officers/owner.json"
NAMED: Final = ("--name", "Acme", "--region", "DE", "--timezone", "Europe/Berlin")
SCOPES: Final = frozenset(
    {
        Scope.ALIASES_RESOLVE,
        Scope.AUDIT_EVENTS,
        Scope.AUDIT_EXPORT,
        Scope.AUDIT_READ,
        Scope.CATALOGUE_READ,
        Scope.CATALOGUE_WRITE,
        Scope.CONSENTS_WRITE,
        Scope.HANDOVERS_READ,
        Scope.OBJECTIONS_WRITE,
        Scope.RECORDS_APPEND,
        Scope.RECORDS_CREATE,
        Scope.RECORDS_ERASE,
        Scope.RECORDS_LIST,
        Scope.RECORDS_LOOKUP,
        Scope.RECORDS_PATCH,
        Scope.RECORDS_READ,
    }
)
PURPOSES: Final = frozenset({Purpose.CUSTOMER_SERVICE, Purpose.RIGHTS_REQUEST})


@dataclass(frozen=True)
class Standing:
    """What an integrator is given."""

    place: Place

    @property
    def house(self) -> House:
        place = self.place
        return House(place.vault_url, place.transfer_url, place.audit_url)

    @property
    def credentials(self) -> Path:
        return self.place.keys / "clients" / f"{CLIENT}.json"

    @property
    def login(self) -> ClientLogin:
        return ClientLogin.from_file(self.credentials)

    @property
    def owner(self) -> OfficerLogin:
        return OfficerLogin.from_file(self.place.keys / OWNER)

    @property
    def vkey(self) -> str:
        return (self.place.state / "log.vkey").read_text(encoding="utf-8").strip()

    @property
    def view(self) -> LogView:
        return LogView(self.vkey)

    @property
    def servers(self) -> str:
        """Where the broker of this world is."""
        told = self.place.environ.get("KEYTURN_KAFKA_SERVERS")
        if told is not None:
            return told
        text = (self.place.state / "broker.json").read_text(encoding="utf-8")
        return str(json.loads(text)["bootstrap"])


@contextmanager
def standing(world: str, folder: Path) -> Iterator[Standing]:
    """Set an installation up in a world, and take it down again."""
    if world == "scaled":
        with scaled_world() as scaled:
            environ = dict(scaled.environ)
            with _up(
                Place(folder / "state", folder / "keys", *free_ports(), environ)
            ) as up:
                yield up
        return
    with _up(Place(folder / "state", folder / "keys", *free_ports())) as up:
        yield up


@contextmanager
def _up(place: Place) -> Iterator[Standing]:
    supervisor = Supervisor(place, say=lambda _: None)
    supervisor.claim()
    supervisor.prepare()
    _enrol(place, "party", "--id", "acme", *NAMED)
    _enrol(place, "party", "--id", "birch", *NAMED)
    rights = ["--scope", *SCOPES, "--purpose", *PURPOSES]
    default = ["--default-purpose", Purpose.CUSTOMER_SERVICE]
    _enrol(place, "client", "--party", "acme", "--id", CLIENT, *rights, *default)
    _enrol_owner(place)
    supervisor.start()
    try:
        yield Standing(place)
    finally:
        supervisor.stop()


def _enrol(place: Place, *words: str) -> None:
    """As the guide says: a command on the vault's host, which writes the file."""
    command = (sys.executable, "-m", "services.vault", "enrol", *words)
    subprocess.run(command, env=place.settings(), check=True, capture_output=True)


def _enrol_owner(place: Place) -> None:
    path = place.keys / OWNER
    private_directory(path.parent)
    installation = installation_of(place.state)
    write_officer(path, new_officer(installation, "acme", "owner", OfficerRole.OWNER))
    words = enrolment(read_officer(path))
    _enrol(place, *words[words.index("enrol") + 1 :])
