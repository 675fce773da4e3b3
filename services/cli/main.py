# SPDX-License-Identifier: Apache-2.0
"""`keyturn`: the command line. Talks HTTP; opens no database."""

from __future__ import annotations

from typing import Annotated

import typer

from services import __version__
from services.cli import handover, officer, sign, token, up, verify, verify_report
from services.cli.help_pages import as_it_stands, command_group

BEGINNING = """
Begin with one of these:
  keyturn up                          start Keyturn on this host
  keyturn verify build/demo/evidence  check evidence offline
  keyturn COMMAND --help              what a command takes, with an example
It is .venv/bin/keyturn, called in Keyturn's own directory.
"""
EXIT_CODES = """
Exit codes:
  0  done
  1  a service refused, or what was checked does not hold
  2  the command was called wrongly
  3  a service does not answer
  4  what a service shows contradicts itself or what was seen before: never sign
  5  a file of yours is missing, damaged or open to others
With --json an error is JSON too, on standard error.
"""

app = command_group(
    "When a company is sold, its customers' data changes hands lawfully, "
    "safely and provably.",
    "keyturn",
    epilog=as_it_stands(BEGINNING, EXIT_CODES),
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keyturn {__version__}")
        raise typer.Exit


@app.callback()
def _beginning(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Tell the version and stop.",
            callback=_tell_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass


app.command(epilog=up.EPILOG)(up.up)
app.command(epilog=verify_report.EPILOG)(verify.verify)
app.command(epilog=token.EPILOG)(token.token)
app.add_typer(officer.app, name="officer")
app.add_typer(sign.app, name="sign")
app.add_typer(handover.app, name="handover")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
