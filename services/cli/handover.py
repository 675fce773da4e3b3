# SPDX-License-Identifier: Apache-2.0
"""`keyturn handover`: see handovers, follow one with a bar."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

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

_OFFICER: Final = "--officer .keyturn-keys/officers/sc.json"
LIST_EPILOG = as_it_stands(
    f"""
Examples, after make run:
  keyturn handover list {_OFFICER}
  keyturn handover list --state approval {_OFFICER}
"""
)
SHOW_EPILOG = as_it_stands(
    f"""
Example, after make run:
  keyturn handover show ID {_OFFICER}
"""
)
WATCH_EPILOG = as_it_stands(
    f"""
Example, after make run:
  keyturn handover watch ID {_OFFICER}
"""
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The handover's id.")]
_BAR_COLUMNS: Final = 24
_SHOWN: Final = (
    *("id", "state", "seller", "buyer", "deal_type", "path", "plan_hash", "as_of"),
    *("decision_root", "waiting_for", "signed", "fault", "gates_not_built"),
)


@app.command("list", epilog=LIST_EPILOG)
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


@app.command(epilog=SHOW_EPILOG)
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
    for line in told(found):
        typer.echo(line)


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """Lay a handover out, one member a line: what is copied from it is whole."""
    members: dict[str, str] = {}
    for name in _SHOWN:
        value = found[name]
        text = ", ".join(value) if isinstance(value, list) else str(value or "-")
        members[name] = visible(text or "-")
    members["progress"] = progress_text(found["progress"])
    members["transferred"] = transferred_text(found)
    width = max(map(len, members))
    for name, text in members.items():
        yield f"{name.ljust(width)}  {text}"


@app.command(epilog=WATCH_EPILOG)
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


class _Bar(Progress):
    """A bar of one task; its sentence stands below, where it has room."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            yield Text(task.fields["rest"], overflow="fold")


def draw(seen: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Draw the state and a bar of executed batches, and below how far they are."""
    state = TextColumn("{task.description}", markup=False)
    columns = (state, BarColumn(_BAR_COLUMNS), MofNCompleteColumn())
    with _Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=None, rest="")
        for one in seen:
            progress = one["progress"]
            bar.update(
                task,
                description=visible(one["state"]),
                total=progress["batches"] or None,
                completed=progress["executed"],
                rest=progress_text(progress),
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
