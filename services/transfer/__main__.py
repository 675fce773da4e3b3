# SPDX-License-Identifier: Apache-2.0
"""`python -m services.transfer init|migrate|serve|worker`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from services.chassis.database import DatabaseError
from services.chassis.engines import EngineRefused
from services.chassis.key_files import KeyFileRefused
from services.chassis.rollback import DatabaseRolledBack
from services.chassis.serve import run
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken
from services.transfer.app import create_app, run_worker
from services.transfer.opening import init, migrate
from services.transfer.settings import TransferSettings

REFUSALS = (
    SettingsError,
    KeyFileRefused,
    EngineRefused,
    SlotTaken,
    DatabaseError,
    DatabaseRolledBack,
)


def main() -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.transfer")
    parser.add_argument("command", choices=["init", "migrate", "serve", "worker"])
    command = parser.parse_args().command
    try:
        settings = TransferSettings.from_environ(os.environ)
        _run(settings, command)
    except REFUSALS as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


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
