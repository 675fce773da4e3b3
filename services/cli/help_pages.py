# SPDX-License-Identifier: Apache-2.0
"""How every `--help` of the command line looks, and what a person calls it by.

Plain text, whole, with examples.

Plain, because a page drawn in boxes cuts long words, prints a flag's type, and takes
brackets in a sentence for markup.
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer

_AS_IT_STANDS = "\b\n"  # click wraps every paragraph that does not begin so


def command_group(
    text: str, name: str | None = None, *, epilog: str = ""
) -> typer.Typer:
    """Return a group of commands; without a command it shows its help."""
    return typer.Typer(
        name=name,
        help=text,
        epilog=epilog or None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def as_it_stands(*paragraphs: str) -> str:
    """Return an epilog whose lines are printed as they are written."""
    return "\n\n".join(_AS_IT_STANDS + text.strip("\n") for text in paragraphs)


def program(name: str) -> Path:
    """Return a program beside this interpreter, as it can be called from here."""
    path, here = Path(sys.executable).with_name(name), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
