# SPDX-License-Identifier: Apache-2.0
"""`keyturn up`: start the embedded default and serve until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.help_pages import as_it_stands
from services.cli.place import Place
from services.cli.supervisor import StartFailed, Supervisor

EPILOG = as_it_stands(
    """
Example, a second installation beside the first:
  keyturn up --state .other --keys .other-keys \\
      --vault-port 8501 --transfer-port 8502 --audit-port 8503
""",
    """
What the parts say is in STATE/logs/. Losing state or keys loses the records: back up
both, apart. Exit code: 0 after Ctrl-C, 1 if a part did not start or kept ending.
""",
)


def _port(service: str) -> Any:
    text = f"TCP port of {service}, on loopback."
    variable = f"KEYTURN_{service.rpartition(' ')[2].upper()}_PORT"
    return typer.Option(min=1, max=65535, help=text, metavar="PORT", envvar=variable)


def up(
    state: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Databases, log and locks.",
            envvar="KEYTURN_STATE_DIR",
        ),
    ] = Path(".keyturn"),
    keys: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Keys; never inside the state directory.",
            envvar="KEYTURN_KEYS_DIR",
        ),
    ] = Path(".keyturn-keys"),
    vault_port: Annotated[int, _port("the vault")] = 8401,
    transfer_port: Annotated[int, _port("transfer")] = 8402,
    audit_port: Annotated[int, _port("audit")] = 8403,
) -> None:
    """Start Keyturn and serve until Ctrl-C.

    Everything runs on this host: SQLite, an embedded broker, the three services. What
    is missing is made; what is there is served.
    """
    place = Place(state, keys, vault_port, transfer_port, audit_port)
    supervisor = Supervisor(place, say=typer.echo)
    try:
        with supervisor.running():
            for url in (place.vault_url, place.transfer_url, place.audit_url):
                typer.echo(f"{url}/docs")
            wait_for_signal(lambda: supervisor.failure is not None)
    except StartFailed as failed:
        typer.echo(str(failed), err=True)
        raise typer.Exit(1) from failed
    if supervisor.failure is not None:
        raise typer.Exit(1)


def wait_for_signal(over: Callable[[], bool]) -> None:
    """Wait for SIGINT or SIGTERM, or until `over()` is true."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(0.5) and not over():
        pass
