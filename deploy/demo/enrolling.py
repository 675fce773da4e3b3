# SPDX-License-Identifier: Apache-2.0
"""Enrols the people and systems of the deal on the vault's host.

Runs the same commands as `python -m services.vault enrol ...`, one after the other
in one process: starting an interpreter for each takes longer than the enrolment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.demo.people_of_the_deal import (
    CLIENTS,
    OFFICERS,
    PARTIES,
    OfficerSpec,
    client_file,
    officer_file,
)
from services.chassis.key_files import private_directory
from services.cli.officer import enrolment, installation_of, new_officer, write_officer
from services.cli.place import Place
from services.cli.token import read_officer


class EnrolmentFailed(Exception):  # noqa: N818 - it names what happened
    """The vault's host refused an enrolment; the message is its own."""


def enrol_everybody(place: Place) -> int:
    """Make the officers' key files and enrol all; return how many were enrolled.

    Raises:
        EnrolmentFailed: The vault refused one.
    """
    private_directory(place.keys / "officers")
    private_directory(place.keys / "clients")
    commands = list(_commands(place))
    done = subprocess.run(
        (sys.executable, "-m", "deploy.demo.enrolling"),
        env=place.settings(),
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EnrolmentFailed(done.stderr.strip() or done.stdout.strip())
    return len(commands)


def _commands(place: Place) -> Iterator[list[str]]:
    for party in PARTIES:
        yield [
            *("enrol", "party", "--id", party.id, "--name", party.name),
            *("--region", party.region, "--timezone", party.timezone),
        ]
    for client in CLIENTS:
        yield [
            *("enrol", "client", "--id", client.id, "--party", client.party),
            *("--scope", *client.scopes, "--purpose", *client.purposes),
            *("--default-purpose", client.default_purpose),
            *("--credentials", str(client_file(place.keys, client.id))),
        ]
    installation = installation_of(place.state)
    for spec in OFFICERS:
        path = officer_file(place.keys, spec.seat)
        yield _officer(spec, path, installation)


def _officer(spec: OfficerSpec, path: Path, installation: str) -> list[str]:
    if not path.exists():
        made = new_officer(installation, spec.party, spec.person, spec.role)
        write_officer(path, made)
    return enrolment(read_officer(path))[3:]


def main() -> int:
    """Run the commands that stand in the standard input as lists of arguments."""
    from services.vault.__main__ import main as vault  # noqa: PLC0415 - slow to load

    for command in json.load(sys.stdin):
        code = vault([*command, "--json"])
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
