# SPDX-License-Identifier: Apache-2.0
"""`keyturn officer`: an officer's key file, made and shown on the person's own host.

The seeds never leave the file. The vault's host enrols the public halves only.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts import base64text
from contracts.officers import (
    SEED_BYTES,
    KeyPair,
    OfficerFile,
    OfficerFileMalformed,
    OfficerRole,
    format_file,
)
from services.chassis.clock import random_bytes
from services.chassis.key_files import create_private
from services.cli.help_pages import as_it_stands, command_group, program
from services.cli.http import FileUnusable, errors_shown
from services.cli.token import read_officer

app = command_group("Make and show an officer's key file.")

EXAMPLE = as_it_stands(
    """
Example, on the host of the vault (elsewhere: --installation in place of --state):
  keyturn officer new --party acme --person jd --role owner \\
      --out jd.json --state .keyturn
"""
)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def new_officer(
    installation: str,
    party: str,
    person: str,
    role: OfficerRole,
    draw: Callable[[int], bytes] = random_bytes,
) -> OfficerFile:
    """Return an officer with two fresh Ed25519 keys.

    Raises:
        FileUnusable: A name breaks the rules of key files.
    """
    login, sign = KeyPair(draw(SEED_BYTES)), KeyPair(draw(SEED_BYTES))
    try:
        return OfficerFile(installation, party, person, role, login, sign)
    except OfficerFileMalformed as error:
        raise FileUnusable(f"{error} is not accepted") from error


def write_officer(path: Path, officer: OfficerFile) -> None:
    """Write a key file, mode 0600; never over another file.

    Raises:
        FileUnusable: There is something at `path`, or it cannot be written.
    """
    try:
        create_private(path, format_file(officer))
    except FileExistsError as error:
        raise FileUnusable(f"{path} exists; a key file is never replaced") from error
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error


def installation_of(state: Path) -> str:
    """Return the installation of a state directory on this host.

    Raises:
        FileUnusable: It holds none.
    """
    path = state / "installation.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["installation"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileUnusable(f"{path} names no installation") from error


def enrolment(officer: OfficerFile) -> list[str]:
    """Return the command that the vault's host runs to enrol an officer.

    It names the interpreter as it is called here; another host has its own.
    """
    return [
        *(str(program("python")), "-m", "services.vault", "enrol", "officer"),
        *("--party", officer.party, "--person", officer.person),
        *("--role", officer.role.value),
        *("--public-key-login", base64text.encode(officer.login.public_key)),
        *("--public-key-sign", base64text.encode(officer.sign.public_key)),
    ]


@app.command(epilog=EXAMPLE)
def new(
    party: Annotated[
        str, typer.Option(metavar="ID", help="The officer's company, as enrolled.")
    ],
    person: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Who it is: initials or a desk, of [a-z0-9._-]."
        ),
    ],
    role: Annotated[
        OfficerRole,
        typer.Option(metavar="ROLE", help=f"One of {', '.join(sorted(OfficerRole))}."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The key file; must not exist.")
    ],
    installation: Annotated[
        str | None,
        typer.Option(metavar="ID", help="As GET /v1/installation of the vault says."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Or the state directory, on the same host."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw two keys for a person and write them to a file.

    The file is of mode 0600 and stays with the person. What is printed as `enrol` is
    for the vault's host; it holds the public halves only.
    """
    if (installation is None) == (state is None):
        raise typer.BadParameter("give --installation ID or --state DIR")
    with errors_shown(as_json=as_json):
        name = installation or installation_of(state or Path())
        made = new_officer(name, party, person, role)
        write_officer(out, made)
    _show(made, as_json=as_json, file=out)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The key file.")],
    as_json: AsJson = False,
) -> None:
    """Show whose a key file is, and how to enrol it.

    The fingerprints are what the two companies read out to each other.
    """
    with errors_shown(as_json=as_json):
        found = read_officer(file)
    _show(found, as_json=as_json, file=file)


def _show(officer: OfficerFile, *, as_json: bool, file: Path) -> None:
    facts: dict[str, Any] = {
        "officer": f"{officer.party}/{officer.person}",
        "role": officer.role.value,
        "installation": officer.installation,
        "login": officer.login.key_id,
        "sign": officer.sign.key_id,
        "file": str(file),
        "enrol": shlex.join(enrolment(officer)),
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name}: {value}")
