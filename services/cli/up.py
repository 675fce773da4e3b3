# SPDX-License-Identifier: Apache-2.0
"""`keyturn up`: start the embedded default and serve until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from services.cli.supervisor import Place, StartFailed, Supervisor


def up(
    state: Annotated[Path, typer.Option(help="State directory.")] = Path(".keyturn"),
    keys: Annotated[
        Path, typer.Option(help="Keys directory; never inside --state.")
    ] = (Path(".keyturn-keys")),
    vault_port: Annotated[int, typer.Option(min=1, max=65535)] = 8401,
    transfer_port: Annotated[int, typer.Option(min=1, max=65535)] = 8402,
    audit_port: Annotated[int, typer.Option(min=1, max=65535)] = 8403,
) -> None:
    """Start Keyturn on this host (SQLite, embedded broker) and serve until Ctrl-C."""
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
