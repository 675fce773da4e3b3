# SPDX-License-Identifier: Apache-2.0
"""`python -m services.audit init|migrate|serve`."""

from __future__ import annotations

import argparse
import os
import sys

from services.audit.app import create_app
from services.audit.errors import AuditError
from services.audit.opening import init, migrate
from services.audit.settings import AuditSettings
from services.chassis.engines import EngineRefused
from services.chassis.key_files import KeyFileRefused
from services.chassis.serve import run
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken

REFUSALS = (SettingsError, KeyFileRefused, EngineRefused, SlotTaken, AuditError)


def main() -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.audit")
    parser.add_argument("command", choices=["init", "migrate", "serve"])
    command = parser.parse_args().command
    try:
        settings = AuditSettings.from_environ(os.environ)
        if command == "init":
            opening = init(settings)
            print(f"audit is ready; its log is {opening.signer.verifier.name}")
        elif command == "migrate":
            migrate(settings)
        else:
            run(create_app(settings), settings)
    except REFUSALS as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
