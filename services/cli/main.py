# SPDX-License-Identifier: Apache-2.0
"""`keyturn`: the command line. Talks HTTP; opens no database."""

from __future__ import annotations

import typer

from services.cli.up import up

app = typer.Typer(
    name="keyturn",
    help="When a company is sold, its customers' data changes hands lawfully, "
    "safely and provably.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)


@app.callback()
def keyturn() -> None:
    """Keep `up` a subcommand while it is alone."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
