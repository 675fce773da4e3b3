# SPDX-License-Identifier: Apache-2.0
"""`keyturn handover`: see handovers, follow one with a bar."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

from services.chassis.clock import SystemClock
from services.cli.help_pages import as_it_stands, command_group
from services.cli.http import Api, errors_shown
from services.cli.screen_text import visible
from services.cli.sign import (
    TRANSFER,
    VAULT,
    AsJson,
    Officer,
    Transfer,
    Vault,
)
from services.cli.token import OfficerLogin, read_officer

app = command_group("See handovers and follow them.")

EPILOG = as_it_stands(
    """
Examples, after make run:
  keyturn handover list --officer .keyturn-keys/officers/sc.json
  keyturn handover show ID --officer .keyturn-keys/officers/sc.json
"""
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The handover's id.")]
_SHOWN: Final = (
    *("id", "state", "seller", "buyer", "deal_type", "path", "plan_hash", "as_of"),
    *("decision_root", "waiting_for", "signed", "fault", "gates_not_built"),
)


@app.command("list", epilog=EPILOG)
def list_handovers(
    officer: Officer,
    vault: Vault = VAULT,
    transfer: Transfer = TRANSFER,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="Only those in this state, such as approval."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List your company's handovers, the newest first.

    One a line, in columns; for programs use --json.
    """
    with errors_shown(as_json=as_json):
        api = _api(officer, vault, transfer)
        items = list(_all(api, state))
    if as_json:
        typer.echo(json.dumps({"items": items}))
        return
    for line in listed(items):
        typer.echo(line)


def listed(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Lay handovers out in columns, each on one line, however wide the terminal."""
    names = ("id", "state", "seller", "buyer", "waiting_for")
    rows: list[tuple[str, ...]] = [("id", "state", "seller", "buyer", "waits for")]
    for item in items:
        texts = (item[name] for name in names[:-1])
        rows.append((*map(visible, texts), visible(", ".join(item["waiting_for"]))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


@app.command(epilog=EPILOG)
def show(
    handover: Id,
    officer: Officer,
    vault: Vault = VAULT,
    transfer: Transfer = TRANSFER,
    as_json: AsJson = False,
) -> None:
    """Show one handover.

    Where it stands, whom it waits for, what was decided and how far it has moved.
    """
    with errors_shown(as_json=as_json):
        found = _api(officer, vault, transfer).get(f"/v1/handovers/{handover}")
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(Column(no_wrap=True), Column(overflow="fold"), show_header=False)
    for name in _SHOWN:
        value = found[name]
        text = ", ".join(value) if isinstance(value, list) else str(value or "-")
        table.add_row(name, escape(visible(text)))
    table.add_row("progress", escape(progress_text(found["progress"])))
    table.add_row("transferred", escape(transferred_text(found)))
    Console().print(table)


@app.command(epilog=EPILOG)
def watch(
    handover: Id,
    officer: Officer,
    vault: Vault = VAULT,
    transfer: Transfer = TRANSFER,
    as_json: AsJson = False,
) -> None:
    """Follow a handover until it has ended.

    Draws a bar of the batches; with --json, one JSON object a line.
    """
    with errors_shown(as_json=as_json):
        api = _api(officer, vault, transfer)
        seen = followed(api, f"/v1/handovers/{handover}/progress")
        if as_json:
            for one in seen:
                typer.echo(json.dumps(one))
            return
        draw(seen, Console())


def followed(api: Api, path: str) -> Iterator[Mapping[str, Any]]:
    """Yield each change; a stream that ends with its token goes on with a new one."""
    ended = False
    while not ended:
        with api.events(path) as seen:
            ended = True
            for one in seen:
                if "code" in one:  # the event `closed`
                    ended = False
                else:
                    yield one


def draw(seen: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Draw a bar of executed batches, and the state beside it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.fields[rest]}"), console=console) as bar:
        task = bar.add_task("", total=None, rest="")
        for one in seen:
            progress = one["progress"]
            bar.update(
                task,
                description=escape(visible(one["state"])),
                total=progress["batches"] or None,
                completed=progress["executed"],
                rest=escape(progress_text(progress)),
            )


def progress_text(progress: Mapping[str, Any]) -> str:
    """Say how far the batches are."""
    text = (
        f"{progress['executed']}/{progress['batches']} batches, "
        f"{progress['verified']} verified, {progress['folios']} folios moved"
    )
    if progress.get("dropped"):
        text += f" ({progress['dropped']} had left before)"
    if progress.get("rate"):
        text += f", {progress['rate']:.0f} folios/s"
    if progress.get("eta_seconds"):
        text += f", {progress['eta_seconds']} s left"
    return text


def transferred_text(handover: Mapping[str, Any]) -> str:
    """Say how many folios the turn transferred, and why fewer than were moved."""
    count = handover["transferred"]
    if count is None:
        return "- (custody has not turned)"
    left = handover["progress"]["folios"] - count
    rest = f" ({left} left after their batch, before the turn)" if left else ""
    return f"{count} folios{rest}"


def _api(officer: Path, vault: str, transfer: str) -> Api:
    return Api(transfer, OfficerLogin(vault, read_officer(officer), SystemClock()))


def _all(api: Api, state: str | None) -> Iterable[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = api.get("/v1/handovers", state=state, cursor=cursor)
        yield from page["items"]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            return
