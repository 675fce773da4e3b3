# SPDX-License-Identifier: Apache-2.0
"""`keyturn sign`: show a person what is signed, sign it, hand it in.

The signing key is used here only, on the person's own host, after `papers` has
computed every hash anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from contracts.custody.statement import StatementKind
from services.chassis.clock import SystemClock
from services.cli.help_pages import as_it_stands, command_group
from services.cli.http import Api, FileUnusable, errors_shown
from services.cli.papers import (
    Desk,
    Paper,
    approval_paper,
    release_paper,
    statement_paper,
)
from services.cli.pinning import pin_path
from services.cli.screen_text import visible
from services.cli.signing_turn import APPROVAL, RELEASE, require_turn
from services.cli.token import OfficerLogin, read_officer

_HASHED = """
Every hash is computed anew before you are shown what you sign. Whether it is yours to
sign now is asked before you are. The log's key is needed once; what was seen is then
kept beside the key file (FILE.pin), and a log that later contradicts it ends the
command with 4: never sign then.
"""
APPROVAL_EPILOG = as_it_stands(
    """
Example:
  keyturn sign approval --officer sc.json --handover ID --log-key log.vkey
""",
    _HASHED,
)
RELEASE_EPILOG = as_it_stands(
    """
Example:
  keyturn sign release --officer sc.json --handover ID --log-key log.vkey
""",
    _HASHED,
)
STATEMENT_EPILOG = as_it_stands(
    """
Example, the seller's compliance officer states why each class is needed:
  keyturn sign statement --kind necessity --body necessity.json \\
      --officer sc.json --handover ID
""",
    """
`keyturn handover show ID --officer FILE --json` lists under to_sign which statement is
due, from whom, and what its body must hold.
""",
)

app = command_group("Sign what a handover needs signed.")

Officer = Annotated[Path, typer.Option(metavar="FILE", help="Your key file.")]
Handover = Annotated[str, typer.Option(metavar="ID", help="The handover's id.")]
Vault = Annotated[str, typer.Option(metavar="URL", help="The vault.")]
Transfer = Annotated[str, typer.Option(metavar="URL", help="The transfer service.")]
Audit = Annotated[str, typer.Option(metavar="URL", help="The audit service.")]
LogKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY", help="The log's key or a file with it; needed the first time."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the envelope there, do not hand it in."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

VAULT, TRANSFER, AUDIT = (f"http://127.0.0.1:{port}" for port in (8401, 8402, 8403))


def open_desk(
    officer: Path, vault: str, transfer: str, audit: str, log_key: str | None
) -> Desk:
    """Return a person's desk, logged in at all three services.

    Raises:
        FileUnusable: The key file or the log's key cannot be read.
    """
    found = read_officer(officer)
    login = OfficerLogin(vault, found, SystemClock())
    return Desk(
        officer=found,
        vault=Api(vault, login),
        transfer=Api(transfer, login),
        audit=Api(audit, login),
        pin=pin_path(officer),
        log_key=None if log_key is None else _log_key(log_key),
    )


def hand_in(desk: Desk, handover: str, paper: Paper) -> dict[str, Any]:
    """Sign a paper and hand it in; return the handover as it is afterwards.

    Raises:
        Refused: Transfer does not accept it.
        Unreachable: Transfer does not answer.
    """
    envelope = json.loads(paper.sealed(desk.officer))
    path = f"/v1/handovers/{handover}:{paper.event}"
    after: dict[str, Any] = desk.transfer.post(path, {"document": envelope})
    return after


@app.command(epilog=APPROVAL_EPILOG)
def approval(
    *,
    officer: Officer,
    handover: Handover,
    vault: Vault = VAULT,
    transfer: Transfer = TRANSFER,
    audit: Audit = AUDIT,
    log_key: LogKey = None,
    out: Out = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Approve a plan.

    Four people do: owner and compliance officer of the seller and of the buyer.
    """
    with errors_shown(as_json=as_json):
        desk = open_desk(officer, vault, transfer, audit, log_key)
        require_turn(desk, handover, APPROVAL)
        _sign(desk, handover, approval_paper, out, yes=yes, as_json=as_json)


@app.command(epilog=RELEASE_EPILOG)
def release(
    *,
    officer: Officer,
    handover: Handover,
    vault: Vault = VAULT,
    transfer: Transfer = TRANSFER,
    audit: Audit = AUDIT,
    log_key: LogKey = None,
    out: Out = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Release a frozen decision.

    Two people do: the compliance officers of the seller and of the buyer.
    """
    with errors_shown(as_json=as_json):
        desk = open_desk(officer, vault, transfer, audit, log_key)
        require_turn(desk, handover, RELEASE)
        _sign(desk, handover, release_paper, out, yes=yes, as_json=as_json)


@app.command(epilog=STATEMENT_EPILOG)
def statement(
    *,
    officer: Officer,
    handover: Handover,
    kind: Annotated[
        StatementKind,
        typer.Option(
            metavar="KIND", help=f"One of {', '.join(sorted(StatementKind))}."
        ),
    ],
    body: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What is said, a JSON object; empty if none."
        ),
    ] = None,
    vault: Vault = VAULT,
    transfer: Transfer = TRANSFER,
    audit: Audit = AUDIT,
    log_key: LogKey = None,
    out: Out = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Sign a statement of another kind.

    Necessity: seller's compliance officer. Scope: both owners. Opinion and audit
    report: the reviewer. Receipt: the buyer's compliance officer.
    """
    with errors_shown(as_json=as_json):
        desk = open_desk(officer, vault, transfer, audit, log_key)
        said = {} if body is None else _body(body)
        require_turn(desk, handover, kind.value)

        def prepare(at: Desk, which: str) -> Paper:
            return statement_paper(at, which, kind, said)

        _sign(desk, handover, prepare, out, yes=yes, as_json=as_json)


def _sign(
    desk: Desk,
    handover: str,
    prepare: Callable[[Desk, str], Paper],
    out: Path | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    paper = prepare(desk, handover)
    show(paper, Console(stderr=as_json))
    if not yes:
        typer.confirm("Sign this?", abort=True, err=True)
    if out is not None:
        out.write_bytes(paper.sealed(desk.officer))
        result: dict[str, Any] = {"written": str(out), "event": paper.event}
    else:
        after = hand_in(desk, handover, paper)
        result = {name: after[name] for name in ("id", "state", "waiting_for")}
    if as_json:
        typer.echo(json.dumps(result))
        return
    for name, value in result.items():
        typer.echo(f"{name}: {value}")


def show(paper: Paper, console: Console) -> None:
    """Print what is about to be signed.

    Text from a service is never markup and never moves the cursor: a hostile one must
    not overwrite what the person reads.
    """
    table = Table(show_header=False, title="What you sign", title_justify="left")
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in paper.facts:
        table.add_row(escape(visible(name)), escape(visible(value)))
    console.print(table)
    if not paper.counts:
        return
    headings = ("class", "outcome", "reason", "folios")
    whole = (Column(heading, overflow="fold") for heading in headings)
    folios = Table(*whole, title="Decision")
    for class_, outcomes in paper.counts.items():
        for outcome, reasons in outcomes.items():
            for reason, count in reasons.items():
                row = (class_, outcome, reason, str(count))
                folios.add_row(*(escape(visible(text)) for text in row))
    console.print(folios)


def _body(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileUnusable(f"{path} is no readable JSON") from error
    if not isinstance(found, dict):
        raise FileUnusable(f"{path} is no JSON object")
    return found


def _log_key(text: str) -> str:
    if "+" in text:
        return text
    try:
        return Path(text).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FileUnusable(f"{text}: {error.strerror}") from error
