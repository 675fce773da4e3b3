# SPDX-License-Identifier: Apache-2.0
"""`python -m services.audit init|migrate|backup|replay|serve|fsck`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from services.audit.app import create_app
from services.audit.errors import AuditError
from services.audit.intake.sources import SourceKeys
from services.audit.log.fsck import Fsck
from services.audit.opening import backup, init, migrate, open_audit, replay
from services.audit.settings import AuditSettings
from services.chassis import installation
from services.chassis.backup import BackupRefused
from services.chassis.clock import SystemClock
from services.chassis.database import Database, DatabaseError
from services.chassis.engines import EngineRefused
from services.chassis.key_files import KeyFileRefused
from services.chassis.serve import run
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken

REFUSALS = (
    BackupRefused,
    SettingsError,
    KeyFileRefused,
    EngineRefused,
    SlotTaken,
    AuditError,
    DatabaseError,
)

COMMANDS = {
    "init": "make keys, databases and the log's key; repeatable, after the vault's",
    "migrate": "bring both databases to this version",
    "backup": "copy its part of the state, while it runs",
    "replay": "bring a database that is older than the published log up to it",
    "serve": "serve until SIGTERM",
    "fsck": "make the whole log again from database and files, and compare",
}


def main() -> int:
    """Run one command; return its exit code."""
    parsed = _parser().parse_args()
    command = parsed.command
    try:
        settings = AuditSettings.from_environ(os.environ)
        if command == "fsck":
            return _fsck(settings)
        if command == "init":
            opening = init(settings)
            print(f"audit is ready; its log is {opening.signer.verifier.name}")
        elif command == "backup":
            for name in backup(settings, parsed.to):
                print(f"kept: {name}")
        elif command == "replay":
            print(f"{replay(settings)} leaves replayed")
        elif command == "migrate":
            migrate(settings)
        else:
            run(create_app(settings), settings)
    except REFUSALS as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.audit",
        description="Audit: the log of every access and every step of a handover.",
        epilog="Settings are KEYTURN_... variables; without any, the embedded default "
        "in .keyturn and .keyturn-keys. Exit code: 0 done, 1 refused or, for fsck, "
        "something differs.",
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


def _fsck(settings: AuditSettings) -> int:
    """Check the whole log; 1 if anything differs."""
    opening = open_audit(settings)
    keys = SourceKeys.load(settings.state_dir / installation.SOURCES)
    database = Database(opening.log_engines(), clock=SystemClock())
    try:
        check = Fsck(
            database,
            opening.files(),
            opening.signer.verifier,
            opening.installation,
            keys.verify,
        )
        holds = check.run()
    finally:
        database.close()
    for line in check.report():
        print(line)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
