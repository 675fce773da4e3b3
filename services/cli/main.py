# SPDX-License-Identifier: Apache-2.0
"""`keyturn`: the command line. Talks HTTP; opens no database."""

from __future__ import annotations

import typer

from services.cli import handover, officer, sign
from services.cli.token import token
from services.cli.up import up
from services.cli.verify import verify

app = typer.Typer(
    name="keyturn",
    help="When a company is sold, its customers' data changes hands lawfully, "
    "safely and provably.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(verify)
app.command()(token)
app.add_typer(officer.app, name="officer")
app.add_typer(sign.app, name="sign")
app.add_typer(handover.app, name="handover")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
