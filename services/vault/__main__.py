# SPDX-License-Identifier: Apache-2.0
"""`python -m services.vault init|migrate|enrol|serve`: the vault on its host."""

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
from services.chassis.clock import SystemClock
from services.chassis.database import DatabaseError
from services.chassis.engines import EngineRefused
from services.chassis.key_files import KeyFileRefused
from services.chassis.rollback import DatabaseRolledBack
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken
from services.vault import host
from services.vault.app import create_app
from services.vault.errors import VaultError
from services.vault.parties.enrolment import Enrolment
from services.vault.settings import VaultSettings

REFUSALS = (
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


def _serve(settings: VaultSettings, _parsed: argparse.Namespace) -> int:
    serve.run(create_app(settings), settings)
    return 0


def _enrol_party(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    event = enrolling.party(parsed.id, parsed.name, parsed.region, parsed.timezone)
    return {"party": parsed.id, "event": str(event or "")}


def _enrol_client(enrolling: Enrolment, parsed: argparse.Namespace) -> dict[str, Any]:
    if parsed.renew:
        secret, event = enrolling.renew_secret(parsed.id), ""
    else:
        done = enrolling.client(
            parsed.id,
            parsed.party,
            frozenset(parsed.scope),
            frozenset(parsed.purpose),
            parsed.default_purpose,
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.vault")
    commands = parser.add_subparsers(required=True)
    init = commands.add_parser("init", help="make what a vault needs; repeatable")
    init.add_argument("--json", action="store_true")
    init.set_defaults(run=_init)
    migrate = commands.add_parser("migrate", help="bring the databases to this version")
    migrate.set_defaults(run=_migrate)
    commands.add_parser("serve", help="serve until SIGTERM").set_defaults(run=_serve)
    enrol = commands.add_parser("enrol", help="enrol a party, a client or an officer")
    _add_enrolments(enrol.add_subparsers(required=True))
    revoke = commands.add_parser("revoke", help="revoke a client or an officer's keys")
    who = revoke.add_mutually_exclusive_group(required=True)
    who.add_argument("--client")
    who.add_argument("--key-id", help="one of the two keys of the file")
    _on(revoke, _revoke)
    return parser


def _add_enrolments(kinds: Any) -> None:
    party = kinds.add_parser("party")
    party.add_argument("--id", required=True)
    party.add_argument("--name", required=True)
    party.add_argument("--region", required=True, help="as DE; for phone numbers")
    party.add_argument("--timezone", required=True, help="as Europe/Berlin")
    _on(party, _enrol_party)
    client = kinds.add_parser("client")
    client.add_argument("--id", required=True)
    client.add_argument("--party", required=True)
    client.add_argument("--scope", type=Scope, nargs="+", default=[])
    client.add_argument("--purpose", type=Purpose, nargs="+", default=[])
    client.add_argument("--default-purpose", type=Purpose)
    client.add_argument("--renew", action="store_true", help="draw the secret anew")
    client.add_argument(
        "--credentials", type=Path, help="file for id and secret, mode 0600"
    )
    _on(client, _enrol_client)
    client.set_defaults(client_file=True)
    officer = kinds.add_parser("officer")
    officer.add_argument("--party", required=True)
    officer.add_argument("--person", required=True)
    officer.add_argument("--role", type=OfficerRole, required=True)
    for use in ("login", "sign"):
        officer.add_argument(
            f"--public-key-{use}", type=_public_key, required=True, help="base64"
        )
    _on(officer, _enrol_officer)


def _on(command: argparse.ArgumentParser, act: Any) -> None:
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=_on_host, act=act)


def _public_key(text: str) -> bytes:
    raw = base64text.decode(text)
    if len(raw) != 32:
        raise ValueError
    return raw


if __name__ == "__main__":
    sys.exit(main())
