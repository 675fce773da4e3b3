# SPDX-License-Identifier: Apache-2.0
"""Promise: every `--help` is whole, and every option says what it is for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.demo.__main__ import _parser as demo_parser
from services.audit.__main__ import _parser as audit_parser
from services.cli.main import app
from services.transfer.__main__ import _parser as transfer_parser
from services.vault.__main__ import _parser as vault_parser

PARSERS = {
    "vault": vault_parser,
    "audit": audit_parser,
    "transfer": transfer_parser,
    "demo": demo_parser,
}


def commands(
    of: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, of
    for name, command in getattr(of, "commands", {}).items():
        yield from commands(command, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_page_of_the_command_line_cuts_nothing(
    path: tuple[str, ...], width: int
) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": str(width)})
    assert shown.exit_code == 0
    page = " ".join(shown.output.replace("[ARGS]...", "").split())
    assert "..." not in page
    assert "…" not in page
    assert "<bool>" not in page
    for name, command in getattr(ALL[path], "commands", {}).items():
        assert f"{name} {command.help.splitlines()[0]}" in page
    for option in ALL[path].params:
        assert option.help, option.name
        assert " ".join(option.help.split()) in page


@pytest.mark.parametrize(
    "path",
    [path for path, of in ALL.items() if not hasattr(of, "commands")],
    ids=" ".join,
)
def test_an_example_is_of_the_command_it_stands_under(path: tuple[str, ...]) -> None:
    page = CliRunner().invoke(app, [*path, "--help"]).output
    lines = (line.strip() for line in page.splitlines())
    examples = [line for line in lines if line.startswith("keyturn ")]
    for line in examples:
        assert line.startswith(" ".join(("keyturn", *path)))
    if path[0] in {"sign", "handover", "verify"}:
        assert examples


def pages(parser: Any) -> Iterator[Any]:
    yield parser
    for action in parser._actions:
        for choice in (action.choices or {}).values() if action.nargs == "A..." else ():
            yield from pages(choice)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_a_page_of_a_service_explains_each_word(parser: Any) -> None:
    for page in pages(parser()):
        assert page.description, page.prog
        for action in page._actions:
            assert action.help, (page.prog, action.dest)
            named = {choice.dest for choice in getattr(action, "_choices_actions", [])}
            if action.nargs == "A...":
                assert named == set(action.choices), "a command without a line"
        assert page.format_help()


def test_the_modules_answer_to_help() -> None:
    for module in ("services.vault", "services.audit", "services.transfer"):
        command = [sys.executable, "-m", module, "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"usage: python -m {module}" in shown.stdout


def test_the_version_is_told() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert shown.exit_code == 0
    assert shown.output == f"keyturn {version('keyturn')}\n"
