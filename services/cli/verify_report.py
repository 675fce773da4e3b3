# SPDX-License-Identifier: Apache-2.0
"""What `keyturn verify` looks for and found, and how a person or a program reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from contracts.events.party_heads import PartyHeads
from services.cli.help_pages import as_it_stands
from services.cli.screen_text import visible

EPILOG: Final = as_it_stands(
    """
Examples:
  keyturn verify build/demo/evidence
  keyturn verify evidence --vkey "$(cat key-read-out-by-phone)" --json
  keyturn verify our-export --party our-company
""",
    """
What is checked, each from the files below DIR:
  log.vkey, log/checkpoint   the checkpoint is signed with the log's key
  log/tile/entries/          each entry is an event of this installation; its lane has
                             no gap, no double, no fork; all give the signed root
  log/tile/                  each hash tile is that of the entries; sampled proofs hold
  sources.json, heads.json   each service signed how far its lanes go
  handover/                  each *.dsse.json is signed by an officer whom the log
                             enrolled, in that role, and was filed as the log says; each
                             document that the log says was filed is here, of every
                             handover; plan and decision are those the log names, and
                             the mandate of the turn is complete
  handover/contract.txt      has the contract's hash in the plan
  handover/history.json      tells each step of the plan's handover as the log does
  proofs/*.tlog-proof        each proves the entry it is named after, in this log
""",
    """
What is not checked: plan and decision of another handover than that of plan.json, the
notes and reasons in history.json, names of people in officers.json, whether what was
signed is true or lawful, and the hash by which a plan names its rule pack. A contract
that is not here is told, and so is any file in handover/ or proofs/ that no rule
covers. A proof under a later checkpoint than log/checkpoint holds by itself; whether
that checkpoint continues this log is not shown.
""",
    """
heads.json, officers.json, plan.json, a decision that the log holds and the papers of
each handover in the log must be there: without them something stays unchecked, and
that fails. With --allow-unchecked it is told and does not fail, as for a log alone.
With --handover ID only that handover's papers must be there, as in a log that holds
those of others too. No other finding is softened. A paper missing among others of its
handover always fails.

Without --vkey the directory's own log.vkey is believed, without --source-key the keys
in sources.json: then the files agree with each other, and whose they are is not shown.
""",
    """
With --party DIR is that party's own export of the log. What is checked then:
  log/checkpoint, log/tile/  as above; the tiles give the signed root
  events/                    each event is the leaf of its place and concerns the party;
                             on each lane its numbers run from 1 without a gap
  party-heads/               every service signed which lanes there are and how far each
                             goes: none is missing, none is shorter
The report says until when each service signed. Later events are accepted where their
numbers go on without a gap; that they are all is not shown. A service without party
heads leaves that unchecked, and fails. The directory's view.json is not believed.
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
        handover: The one handover whose papers are demanded; None for every one's.
        party: Whose own export was checked; None for a whole log.
        heads: What each source signed on the party.
    """

    origin: str = ""
    size: int = 0
    root: str = ""
    checked: dict[str, int] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    allow_unchecked: bool = False
    handover: str | None = None
    party: str | None = None
    heads: list[PartyHeads] = field(default_factory=list)

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

    def tell_heads(self, heads: PartyHeads) -> None:
        """Record a statement that was checked: how far a source's lanes are whole."""
        self.heads.append(heads)
        self.count("party heads", len(heads.lanes))

    def count(self, kind: str, number: int = 1) -> None:
        """Record that things of a kind were checked."""
        self.checked[kind] = self.checked.get(kind, 0) + number

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        told = {} if self.party is None else {"party": self._party_as_json()}
        return {
            "ok": self.ok,
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            **told,
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

    def _party_as_json(self) -> dict[str, Any]:
        signed = [
            {
                "service": heads.service,
                "time": heads.time,
                "size": heads.size,
                "lanes": len(heads.lanes),
                "events": sum(item.pseq for item in heads.lanes),
            }
            for heads in self.heads
        ]
        return {"party": self.party, "heads": signed}


def render(report: Report, console: Console) -> None:
    """Print the report as tables; text from the evidence is never markup."""
    facts = Table(
        Column(),
        Column(overflow="fold"),
        show_header=False,
        title="Evidence",
        title_justify="left",
    )
    facts.add_row("log", escape(visible(report.origin)) or "(no valid checkpoint)")
    facts.add_row("leaves", str(report.size))
    facts.add_row("root", report.root)
    if report.party is not None:
        facts.add_row("party", escape(visible(report.party)))
    for heads in report.heads:
        until = f"{heads.time}, and all of the log's first {heads.size} leaves"
        facts.add_row(f"{heads.service} signed until", until)
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
            types.add_row(escape(visible(name)), str(number))
        console.print(types)
    if report.findings:
        console.print(_findings(report))
    console.print(_verdict(report))


def _verdict(report: Report) -> str:
    if not report.ok:
        return "[bold red]Does NOT hold.[/]"
    left = sum(found.rule == "unchecked" for found in report.findings)
    if left:
        told = f"{left} {'thing' if left == 1 else 'things'} unchecked, told above"
        return f"[bold yellow]What was checked holds; {told}.[/]"
    return "[bold green]All holds.[/]"


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
        table.add_row(*(escape(visible(text)) for text in texts))
    return table
