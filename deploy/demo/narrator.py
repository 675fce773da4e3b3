# SPDX-License-Identifier: Apache-2.0
"""Tells the story on the terminal and remembers what held and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One promise that was tried, and whether it held."""

    promise: str
    held: bool
    detail: str = ""


@dataclass(slots=True)
class Narrator:
    """What the demonstration says, checks and measures.

    Attributes:
        phases: Seconds of each phase, in order.
    """

    console: Console = field(default_factory=lambda: Console(stderr=False))
    checks: list[Check] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def all_held(self) -> bool:
        """Whether something was checked, and everything held."""
        return bool(self.checks) and all(check.held for check in self.checks)

    def say(self, text: str) -> None:
        """Print one line, however long: it stays one when it is copied."""
        self.console.print(f"  {escape(text)}", highlight=False, soft_wrap=True)

    def check(
        self,
        promise: str,
        held: bool,  # noqa: FBT001 - what is reported
        detail: str = "",
    ) -> bool:
        """Note whether a promise held; return it."""
        self.checks.append(Check(promise, held, detail))
        mark = "[green]✓[/]" if held else "[bold red]✗[/]"
        rest = f" ({escape(detail)})" if detail else ""
        line = f"  {mark} {escape(promise)}{rest}"
        self.console.print(line, highlight=False, soft_wrap=True)
        return held

    @contextmanager
    def phase(self, name: str, title: str) -> Iterator[None]:
        """Head a phase, and measure it."""
        self.console.print(f"[bold]{escape(title)}[/]", highlight=False)
        begun = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - begun
            self.phases[name] = round(self.phases.get(name, 0.0) + spent, 3)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar while something advances; give the function that advances it."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(escape(what), total=total)

            def advance(count: int) -> None:
                progress.advance(task, count)

            yield advance
