# SPDX-License-Identifier: Apache-2.0
"""`python -m deploy.demo run|once`: the demonstration, from beginning to end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from deploy.demo.dataset import DatasetError
from deploy.demo.enrolling import EnrolmentFailed
from deploy.demo.evidence import NotSettled
from deploy.demo.importing import ImportFailed
from deploy.demo.office import StoryStuck
from deploy.demo.playing import StageTaken, play_and_serve, play_once
from deploy.demo.scaled import WorldMissing
from services.cli.http import CliError
from services.cli.supervisor import Place, StartFailed

REFUSALS = (
    CliError,
    DatasetError,
    EnrolmentFailed,
    ImportFailed,
    NotSettled,
    StageTaken,
    StartFailed,
    StoryStuck,
    WorldMissing,
)


FEWEST_CUSTOMERS = 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 only if everything was verified."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        if options.command == "once":
            held = play_once(options.dir, options.limit, scaled=options.scaled)
        else:
            held = play_and_serve(
                Place(
                    options.state,
                    options.keys,
                    options.vault_port,
                    options.transfer_port,
                    options.audit_port,
                    {"KEYTURN_DEMONSTRATION": "true"},
                ),
                options.limit,
            )
    except REFUSALS as refused:
        print(f"{type(refused).__name__}: {refused}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything was stopped", file=sys.stderr)
        return 130
    return 0 if held else 1


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _limit(text: str) -> int:
    limit = int(text)
    if limit < FEWEST_CUSTOMERS:
        msg = f"at least {FEWEST_CUSTOMERS}, so that each kind of customer occurs"
        raise argparse.ArgumentTypeError(msg)
    return limit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="play, then serve until Ctrl-C")
    run.add_argument("--state", type=Path, default=Path(".keyturn"))
    run.add_argument("--keys", type=Path, default=Path(".keyturn-keys"))
    run.add_argument("--vault-port", type=int, default=8401)
    run.add_argument("--transfer-port", type=int, default=8402)
    run.add_argument("--audit-port", type=int, default=8403)
    once = commands.add_parser("once", help="play on fresh state, then stop")
    once.add_argument("--dir", type=Path, default=Path("build/demo"))
    once.add_argument("--scaled", action="store_true", help="PostgreSQL and Kafka")
    for command in (run, once):
        command.add_argument(
            "--limit", type=_limit, help="customers, at least 24; all by default"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
