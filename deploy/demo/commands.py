# SPDX-License-Identifier: Apache-2.0
"""Commands that a reader can paste as they stand, at the project's root."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from deploy.demo.cast import Stage
from deploy.demo.people_of_the_deal import SELLER
from services.cli.help_pages import program


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and what it shows in a line."""

    shows: str
    line: str


def python() -> str:
    """Return how a person calls the interpreter of this very installation."""
    return shlex.quote(str(program("python")))


def keyturn() -> str:
    """Return how a person calls the command line of this very installation."""
    script = program("keyturn")
    if script.exists():
        return shlex.quote(str(script))
    return f"{python()} -m services.cli.main"


def check_commands(stage: Stage) -> list[Command]:
    """Return the commands with which anybody checks a run of the demonstration."""
    evidence, parties, state, needles = (
        shlex.quote(str(path))
        for path in (stage.evidence, stage.parties, stage.place.state, stage.needles)
    )
    key = (stage.place.state / "log.vkey").read_text(encoding="utf-8").strip()
    return [
        Command(
            "everything offline: key, checkpoint, lanes, heads, tiles, proofs, papers",
            f"{keyturn()} verify {evidence} --vkey {shlex.quote(key)}",
        ),
        Command(
            "the seller's own export of the log leaves nothing of the seller out",
            f"{keyturn()} verify {parties}/{SELLER} --party {SELLER} "
            f"--vkey {shlex.quote(key)}",
        ),
        Command(
            "the plan that four people signed has this SHA-256",
            f"sha256sum {evidence}/handover/plan.json",
        ),
        Command(
            "other people's tools: inclusion and log proofs, the whole log, signatures",
            f"{python()} -m deploy.strangers {evidence}",
        ),
        Command(
            "nothing of any customer lies in state or evidence",
            f"grep -rlaFf {needles} {state} {evidence}; "
            'echo "$? (1 means: nothing found)"',
        ),
    ]
