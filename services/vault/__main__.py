# SPDX-License-Identifier: Apache-2.0
"""`python -m services.vault COMMAND`: the vault on its host; `--help` lists them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts import base64text
from contracts.officers import OfficerRole, key_id
from contracts.purposes import Purpose
from contracts.scopes import Scope
from services.chassis import serve
from services.chassis.backup import BackupRefused
from services.chassis.clock import SystemClock
from services.chassis.database import DatabaseError
from services.chassis.engines import EngineRefused
from services.chassis.key_files import KeyFileRefused
from services.chassis.rollback import DatabaseRolledBack
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken
from services.vault import host, record_check
from services.vault.app import create_app
from services.vault.custody.written import told
from services.vault.errors import VaultError
from services.vault.parties.enrolment import Enrolment
from services.vault.settings import VaultSettings

REFUSALS = (
    BackupRefused,
    SettingsError,
    VaultError,
    KeyFileRefused,
    EngineRefused,
    SlotTaken,
    DatabaseError,
    DatabaseRolledBack,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 refused (stderr says why)."""
    parsed = _parser().parse_args(arguments)
    try:
        settings = VaultSettings.from_environ(os.environ)
        run: Any = parsed.run
        return int(run(settings, parsed))
    except REFUSALS as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1


def _init(settings: VaultSettings, parsed: argparse.Namespace) -> int:
    done = host.init(settings, SystemClock())
    if done.recovery_sheet is not None and not parsed.json:
        print(done.recovery_sheet)
        print(f"This sheet is also at {settings.keys_dir / 'recovery-sheet.txt'}.")
        print("Print it, keep it apart from this host, then delete the file.\n")
    facts = {"installation": done.installation, "root": done.root}
    _say(parsed, facts)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


def _migrate(settings: VaultSettings, _parsed: argparse.Namespace) -> int:
    host.migrate(settings)
    return 0


def _backup(settings: VaultSettings, parsed: argparse.Namespace) -> int:
    for name in host.backup(settings, parsed.to):
        print(f"kept: {name}")
    return 0


def _serve(settings: VaultSettings, _parsed: argparse.Namespace) -> int:
    serve.run(create_app(settings), settings)
    return 0


def _check_records(settings: VaultSettings, parsed: argparse.Namespace) -> int:
    checked = record_check.check_records(settings, parsed.log)
    for line in (*checked.chain, *told(checked.found)):
        print(line)
    wrong = len(checked.chain) + len(checked.found)
    outcome = "all holds" if checked.holds else f"{wrong} differences"
    print(f"{checked.rows} folios, {checked.events} events compared: {outcome}")
    return 0 if checked.holds else 1


def _enrol_party(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    event = enrolling.party(parsed.id, parsed.name, parsed.region, parsed.timezone)
    return {"party": parsed.id, "event": str(event or "")}


def _enrol_client(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    if parsed.renew:
        secret, renewed = enrolling.renew_secret(parsed.id)
        event = str(renewed)
    else:
        done = enrolling.client(
            parsed.id,
            parsed.party,
            frozenset(parsed.scope),
            frozenset(parsed.purpose),
            parsed.default_purpose,
            daily_records=parsed.daily_records,
        )
        secret, event = done.secret, str(done.event)
    host.write_client_file(parsed.credentials, parsed.id, secret)
    return {
        "client": parsed.id,
        "credentials": str(parsed.credentials),
        "event": event,
    }


def _enrol_officer(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    login, sign = parsed.public_key_login, parsed.public_key_sign
    events = enrolling.officer(
        parsed.party, parsed.person, parsed.role, login=login, sign=sign
    )
    return {
        "officer": f"{parsed.party}/{parsed.person}",
        "role": parsed.role.value,
        "login": key_id(login),
        "sign": key_id(sign),
        "events": " ".join(map(str, events)),
    }


def _revoke(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    if parsed.client is not None:
        event = enrolling.revoke_client(parsed.client)
    else:
        event = enrolling.revoke_officer(parsed.key_id)
    return {"revoked": parsed.client or parsed.key_id, "event": str(event or "")}


def _allow(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    networks = ANYWHERE if parsed.anywhere else parsed.network
    event = enrolling.allow(parsed.party, networks)
    return {
        "party": parsed.party,
        "networks": " ".join(networks),
        "event": str(event or ""),
    }


def _on_host(settings: VaultSettings, parsed: argparse.Namespace) -> int:
    if getattr(parsed, "client_file", False):
        default = settings.keys_dir / "clients" / f"{parsed.id}.json"
        parsed.credentials = parsed.credentials or default
    with host.enrolment(settings, SystemClock()) as enrolling:
        _say(parsed, parsed.act(enrolling, parsed))
    return 0


def _say(parsed: argparse.Namespace, facts: dict[str, Any]) -> None:
    if parsed.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name}: {value}")


# --- arguments -------------------------------------------------------------------

ANYWHERE = ["0.0.0.0/0", "::/0"]
ALLOW_EXAMPLE = """example:
  python -m services.vault allow --party alpha --network 203.0.113.0/24 2001:db8::/48
A token that is out already ends within ten minutes; new ones carry the change."""
SETTINGS = (
    "Settings are KEYTURN_... variables; without any, the embedded default in .keyturn "
    "and .keyturn-keys. Exit code: 0 done, 1 refused or, for check-records, "
    "something differs."
)
PARTY_EXAMPLE = """\
example:
  python -m services.vault enrol party --id acme --name "Acme Cleaning" \\
      --region DE --timezone Europe/Berlin"""
CLIENT_EXAMPLE = """\
example:
  python -m services.vault enrol client --party acme --id acme-crm \\
      --scope records:create records:read --purpose customer_service \\
      --default-purpose customer_service"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.vault",
        description="The vault on its host: start it, and enrol who may talk to it.",
        epilog=SETTINGS,
    )
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", help="what to do:"
    )
    init = _command(commands, "init", "make root key, keys and databases; repeatable")
    _json(init)
    init.set_defaults(run=_init)
    migrate = _command(commands, "migrate", "bring the databases to this version")
    migrate.set_defaults(run=_migrate)
    backup = _command(commands, "backup", "copy its part of the state, while it runs")
    backup.add_argument("--to", type=Path, required=True, metavar="DIR", help="where")
    backup.set_defaults(run=_backup)
    _command(commands, "serve", "serve until SIGTERM").set_defaults(run=_serve)
    check = _command(
        commands, "check-records", "compare every record row with the log; reads only"
    )
    check.add_argument(
        "--log",
        type=Path,
        metavar="DIR",
        help="a copy of audit's log folder; by default the one in the state directory",
    )
    check.set_defaults(run=_check_records)
    enrol = _command(commands, "enrol", "enrol a party, a client or an officer")
    kinds = enrol.add_subparsers(required=True, metavar="KIND", help="who it is:")
    _add_party(kinds)
    _add_client(kinds)
    _add_officer(kinds)
    _add_allow(commands)
    revoke = _command(commands, "revoke", "revoke a client or an officer's keys")
    who = revoke.add_mutually_exclusive_group(required=True)
    who.add_argument("--client", metavar="ID", help="the client")
    who.add_argument(
        "--key-id", metavar="KEY", help="either key of the officer; both are revoked"
    )
    _on(revoke, _revoke)
    return parser


def _command(
    commands: Any, name: str, text: str, example: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_party(kinds: Any) -> None:
    party = _command(kinds, "party", "enrol a company", PARTY_EXAMPLE)
    party.add_argument("--id", required=True, help="short name, part of its events")
    party.add_argument("--name", required=True, help="name as people write it")
    party.add_argument(
        "--region", required=True, help="country, as DE; local phone numbers are its"
    )
    party.add_argument("--timezone", required=True, help="as Europe/Berlin")
    _on(party, _enrol_party)


def _add_client(kinds: Any) -> None:
    client = _command(kinds, "client", "enrol a company's system", CLIENT_EXAMPLE)
    client.add_argument("--id", required=True, help="the client's id")
    client.add_argument("--party", required=True, metavar="ID", help="its company")
    for name, of, text in (
        ("--scope", Scope, "what it may do, fixed from now on"),
        ("--purpose", Purpose, "what it may read for"),
    ):
        client.add_argument(
            name,
            type=of,
            nargs="+",
            default=[],
            metavar=name[2:].upper(),
            help=f"{text}; of: {', '.join(sorted(of))}",
        )
    client.add_argument(
        "--default-purpose",
        type=Purpose,
        metavar="PURPOSE",
        help="that of a request that names none",
    )
    client.add_argument(
        "--daily-records",
        type=int,
        metavar="N",
        help="distinct records a day, without the scope records:list; by default that "
        "of KEYTURN_VAULT_DAILY_RECORDS",
    )
    client.add_argument(
        "--renew", action="store_true", help="only draw the client's secret anew"
    )
    client.add_argument(
        "--credentials",
        type=Path,
        metavar="FILE",
        help="for id and secret, mode 0600; by default clients/ID.json beside the keys",
    )
    _on(client, _enrol_client)
    client.set_defaults(client_file=True)


def _add_officer(kinds: Any) -> None:
    text = "enrol a person; `keyturn officer new` prints this command, filled in"
    officer = _command(kinds, "officer", text)
    officer.add_argument("--party", required=True, metavar="ID", help="the company")
    officer.add_argument(
        "--person", required=True, metavar="NAME", help="initials or a desk"
    )
    officer.add_argument(
        "--role",
        type=OfficerRole,
        required=True,
        metavar="ROLE",
        help=f"one of: {', '.join(sorted(OfficerRole))}",
    )
    for use in ("login", "sign"):
        officer.add_argument(
            f"--public-key-{use}",
            type=_public_key,
            required=True,
            metavar="KEY",
            help=f"public half of the key to {use} with, base64",
        )
    _on(officer, _enrol_officer)


def _add_allow(commands: Any) -> None:
    allow = _command(
        commands, "allow", "say from where a party's tokens may be used", ALLOW_EXAMPLE
    )
    allow.add_argument("--party", required=True, metavar="ID", help="whose tokens")
    where = allow.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--network",
        nargs="+",
        metavar="CIDR",
        help="its networks; they replace those it had",
    )
    where.add_argument(
        "--anywhere", action="store_true", help="from everywhere, and said so"
    )
    _on(allow, _allow)


def _on(command: argparse.ArgumentParser, act: Any) -> None:
    _json(command)
    command.set_defaults(run=_on_host, act=act)


def _public_key(text: str) -> bytes:
    raw = base64text.decode(text)
    if len(raw) != 32:
        raise ValueError
    return raw


if __name__ == "__main__":
    sys.exit(main())
