# SPDX-License-Identifier: Apache-2.0
"""`python -m deploy.demo run|once`: the demonstration, from beginning to end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from deploy.demo.dataset import DatasetError
from deploy.demo.enrolling import EnrolmentFailed
from deploy.demo.evidence import NotSettled
from deploy.demo.importing import ImportFailed
from deploy.demo.office import StoryStuck
from deploy.demo.playing import StageTaken, play_and_serve, play_once
from deploy.demo.scaled import WorldMissing
from services.cli.http import CliError
from services.cli.place import Place
from services.cli.supervisor import StartFailed

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
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo",
        description="The demonstration: a company is sold, its customers change hands.",
        epilog="Exit code: 0 everything was verified, 1 something was not or it could "
        "not be played, 130 interrupted.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="how to play it:"
    )
    _add_run(commands)
    _add_once(commands)
    return parser


def _add_run(commands: Any) -> None:
    text = "play, then serve until Ctrl-C; a state that has seen it is only served"
    run = commands.add_parser("run", help=text, description=text)
    for name, place, kept in (
        ("state", ".keyturn", "databases and log"),
        ("keys", ".keyturn-keys", "keys, never inside the state"),
    ):
        run.add_argument(
            f"--{name}",
            type=Path,
            default=Path(place),
            metavar="DIR",
            help=f"{kept}; %(default)s by default",
        )
    for service, port in (("vault", 8401), ("transfer", 8402), ("audit", 8403)):
        run.add_argument(
            f"--{service}-port",
            type=int,
            default=port,
            metavar="PORT",
            help=f"TCP port of {service}; %(default)s by default",
        )
    _add_limit(run)


def _add_once(commands: Any) -> None:
    text = "play on fresh state, then stop"
    once = commands.add_parser("once", help=text, description=text)
    once.add_argument(
        "--dir",
        type=Path,
        default=Path("build/demo"),
        help="gets state, evidence and reports, emptied first; %(default)s by default",
    )
    once.add_argument(
        "--scaled",
        action="store_true",
        help="on PostgreSQL and Kafka, as `python -m deploy.worlds run` names them",
    )
    _add_limit(once)


def _add_limit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--limit",
        type=_limit,
        metavar="N",
        help=f"only N customers, at least {FEWEST_CUSTOMERS}; all by default",
    )


if __name__ == "__main__":
    sys.exit(main())
