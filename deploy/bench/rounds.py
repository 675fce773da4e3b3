# SPDX-License-Identifier: Apache-2.0
"""Paired rounds: each round measures ours and its floor one after the other.

A noisy machine slows both of a round alike, so the ratio is taken in each round and
the median of the ratios is what is reported, with their range. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of a series."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)}-{short(self.high)})"


@dataclass(frozen=True)
class Aim:
    """What was aimed at: `least` or `most`, on the ratio or on the figure itself."""

    least: float | None = None
    most: float | None = None
    of: str = "ratio"

    @property
    def value(self) -> float:
        """The number aimed at."""
        return self.least if self.least is not None else self.most or 0.0

    def __str__(self) -> str:
        return f"{'≥' if self.least is not None else '≤'} {short(self.value)}"


@dataclass
class Row:
    """One thing measured.

    Attributes:
        section: Which part of the report it belongs to.
        name: What was measured, with its sizes.
        unit: Of `ours` and `floor`.
        floor_name: What `floor` is; empty where there is none.
        ours: One value for each round.
        floor: One value for each round, in the same order.
        aim: What the design aims at, if anything.
        notes: What a reader must know to believe it.
    """

    section: str
    name: str
    unit: str
    floor_name: str = ""
    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    aim: Aim | None = None
    notes: str = ""

    def ratios(self) -> list[float]:
        """Return ours divided by its floor, round by round; empty without a floor."""
        if not self.floor:
            return []
        pairs = zip(self.ours, self.floor, strict=True)
        return [ours / floor for ours, floor in pairs]

    def ratio(self) -> Spread | None:
        """Return the spread of `ratios`; None without a floor."""
        return Spread.of(self.ratios()) if self.floor else None

    @property
    def ours_text(self) -> str:
        """Ours, as a reader wants it."""
        return str(Spread.of(self.ours))

    @property
    def floor_text(self) -> str:
        """The floor; empty without one."""
        return str(Spread.of(self.floor)) if self.floor else ""

    @property
    def ratio_text(self) -> str:
        """The ratio; empty without a floor."""
        return str(self.ratio() or "")

    @property
    def aim_text(self) -> str:
        """The aim; empty without one."""
        return str(self.aim or "")

    def reached(self) -> bool | None:
        """Return whether the median is where the aim wants it; None without one."""
        if self.aim is None:
            return None
        spread = self.ratio() if self.aim.of == "ratio" else Spread.of(self.ours)
        if spread is None:
            return None
        above = self.aim.least is None or spread.median >= self.aim.least
        return above and (self.aim.most is None or spread.median <= self.aim.most)

    def figures(self) -> dict[str, Any]:
        """Return what `report.json` says of this row."""
        ratio = self.ratio()
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "ours": {**asdict(Spread.of(self.ours)), "rounds": self.ours},
            "floor_name": self.floor_name,
            "floor": {**asdict(Spread.of(self.floor)), "rounds": self.floor}
            if self.floor
            else None,
            "ratio": asdict(ratio) if ratio is not None else None,
            "aim": asdict(self.aim) if self.aim is not None else None,
            "reached": self.reached(),
            "notes": self.notes,
        }


def short(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
