# SPDX-License-Identifier: Apache-2.0
"""What `keyturn verify` looks for and found, and how a person or a program reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from services.cli.help_pages import as_it_stands

EPILOG: Final = as_it_stands(
    """
Examples:
  keyturn verify build/demo/evidence
  keyturn verify evidence --vkey "$(cat key-read-out-by-phone)" --json
""",
    """
What is checked, each from the files below DIR:
  log.vkey, log/checkpoint   the checkpoint is signed with the log's key
  log/tile/entries/          each entry is an event of this installation; its lane has
                             no gap, no double, no fork; all give the signed root
  log/tile/                  each hash tile is that of the entries; sampled proofs hold
  sources.json, heads.json   each service signed how far its lanes go
  handover/                  plan, decision and signed documents are those the log
                             names; signed by officers whom it enrolled, and complete
""",
    """
heads.json, and in handover/ officers.json, plan.json and a decision that the log holds,
must be there: without them something stays unchecked, and that fails. With
--allow-unchecked it is told and does not fail, as for a log alone. No other finding is
softened. A directory without handover/ has no papers to check.

Without --vkey the directory's own log.vkey is believed: then the files agree with each
other, and whose they are is not shown.
""",
    """
Exit codes: 0 all holds, 1 something does not hold or is unchecked, 2 wrong usage.
""",
)

_SHOWN: Final = 50  # findings in the table; --json gives all of them


class Level(StrEnum):
    """Whether a finding makes the verification fail."""

    FAILURE = "failure"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold, or that could not be checked.

    Attributes:
        level: A failure makes the whole verification fail, a notice does not.
        rule: Short code of the rule.
        file: Path inside the evidence directory.
        index: Leaf index, where one entry is concerned.
        detail: One sentence.
    """

    level: Level
    rule: str
    file: str
    index: int | None
    detail: str


@dataclass(slots=True)
class Report:
    """The outcome of a verification.

    Attributes:
        origin: The log's origin; empty when no checkpoint could be opened.
        size: Number of leaves under the signed checkpoint.
        root: Its root, base64.
        checked: How many of each kind of thing were checked and held or not.
        types: Number of entries per event type.
        findings: Everything noticed, in the order of the checks.
        allow_unchecked: Whether what could not be checked is a notice only.
    """

    origin: str = ""
    size: int = 0
    root: str = ""
    checked: dict[str, int] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    allow_unchecked: bool = False

    @property
    def ok(self) -> bool:
        """Whether all holds: a checkpoint was opened and nothing failed."""
        failed = any(found.level is Level.FAILURE for found in self.findings)
        return bool(self.origin) and not failed

    def fail(
        self, rule: str, file: str, detail: str, *, index: int | None = None
    ) -> None:
        """Record a failure."""
        self.findings.append(Finding(Level.FAILURE, rule, file, index, detail))

    def note(self, rule: str, file: str, detail: str) -> None:
        """Record a notice."""
        self.findings.append(Finding(Level.NOTICE, rule, file, None, detail))

    def unchecked(self, file: str, detail: str) -> None:
        """Record what a missing file leaves unchecked: a failure, unless allowed."""
        level = Level.NOTICE if self.allow_unchecked else Level.FAILURE
        self.findings.append(Finding(level, "unchecked", file, None, detail))

    def count(self, kind: str, number: int = 1) -> None:
        """Record that things of a kind were checked."""
        self.checked[kind] = self.checked.get(kind, 0) + number

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "ok": self.ok,
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "checked": self.checked,
            "types": dict(sorted(self.types.items())),
            "findings": [
                {
                    "level": found.level.value,
                    "rule": found.rule,
                    "file": found.file,
                    "index": found.index,
                    "detail": found.detail,
                }
                for found in self.findings
            ],
        }


def render(report: Report, console: Console) -> None:
    """Print the report as tables; text from the evidence is never markup."""
    facts = Table(
        Column(),
        Column(overflow="fold"),
        show_header=False,
        title="Evidence",
        title_justify="left",
    )
    facts.add_row("log", escape(report.origin) or "(no valid checkpoint)")
    facts.add_row("leaves", str(report.size))
    facts.add_row("root", report.root)
    for kind, number in report.checked.items():
        facts.add_row(f"{kind} checked", str(number))
    console.print(facts)
    if report.types:
        types = Table(
            Column("event type", overflow="fold"),
            "leaves",
            title="Entries",
            title_justify="left",
        )
        for name, number in sorted(report.types.items()):
            types.add_row(escape(name), str(number))
        console.print(types)
    if report.findings:
        console.print(_findings(report))
    verdict = (
        "[bold green]All holds.[/]" if report.ok else "[bold red]Does NOT hold.[/]"
    )
    console.print(verdict)


def _findings(report: Report) -> Table:
    headings = ("level", "rule", "file", "leaf", "what")
    whole = (Column(heading, overflow="fold") for heading in headings)
    table = Table(*whole, title_justify="left")
    left_out = len(report.findings) - _SHOWN
    table.title = "Findings" if left_out <= 0 else f"Findings ({left_out} more: --json)"
    for found in sorted(report.findings, key=lambda f: f.level is Level.NOTICE)[
        :_SHOWN
    ]:
        index = "" if found.index is None else str(found.index)
        texts = (found.level.value, found.rule, found.file, index, found.detail)
        table.add_row(*(escape(text) for text in texts))
    return table
