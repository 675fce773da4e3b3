# SPDX-License-Identifier: Apache-2.0
"""`python -m services.transfer init|migrate|backup|serve|worker`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from services.chassis.backup import BackupRefused
from services.chassis.database import DatabaseError
from services.chassis.engines import EngineRefused
from services.chassis.key_files import KeyFileRefused
from services.chassis.rollback import DatabaseRolledBack
from services.chassis.serve import run
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken
from services.transfer.app import create_app, run_worker
from services.transfer.opening import backup, init, migrate
from services.transfer.settings import TransferSettings

REFUSALS = (
    BackupRefused,
    SettingsError,
    KeyFileRefused,
    EngineRefused,
    SlotTaken,
    DatabaseError,
    DatabaseRolledBack,
)

COMMANDS = {
    "init": "make keys and database; repeatable, after the vault's",
    "migrate": "bring the database to this version",
    "backup": "copy its part of the state, while it runs",
    "serve": "serve people's steps until SIGTERM",
    "worker": "do what the system owes until SIGTERM; any number may run",
}


def main() -> int:
    """Run one command; return its exit code."""
    parsed = _parser().parse_args()
    command = parsed.command
    try:
        settings = TransferSettings.from_environ(os.environ)
        if command == "backup":
            for name in backup(settings, parsed.to):
                print(f"kept: {name}")
        else:
            _run(settings, command)
    except REFUSALS as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.transfer",
        description="Transfer: handovers, their steps and the batches that move.",
        epilog="Settings are KEYTURN_... variables; without any, the embedded default "
        "in .keyturn and .keyturn-keys. Exit code: 0 done, 1 refused.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="what to do:"
    )
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "backup":
            command.add_argument(
                "--to", type=Path, required=True, metavar="DIR", help="where"
            )
    return parser


def _run(settings: TransferSettings, command: str) -> None:
    if command == "serve":
        run(create_app(settings), settings)
    elif command == "worker":
        asyncio.run(run_worker(settings))
    elif command == "migrate":
        migrate(settings)
    else:
        opening = init(settings)
        print(f"transfer is ready for installation {opening.installation}")


if __name__ == "__main__":
    sys.exit(main())
