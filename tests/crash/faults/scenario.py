# SPDX-License-Identifier: Apache-2.0
"""What a fault is to the programme: a name, what it does to a house, how it came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.checking.evidence import Anomaly
from tests.crash.checking.history import UNKNOWN, Attempt
from tests.crash.cycles.house import House, Houses


class Skipped(Exception):  # noqa: N818 - a state
    """The fault cannot be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each fault.

    Attributes:
        cycles: Random kills and freezes.
        a_round: Cycles that one installation lives through.
        times: How often a fault of the broker, the clock or a disk is repeated.
        frozen_seconds: How long the broker stands still.
        own_mounts: Whether this process has its mounts for itself.
    """

    cycles: int = 60
    a_round: int = 20
    times: int = 3
    frozen_seconds: float = 5.0
    own_mounts: bool = False


RELEASE = Scale(cycles=2_000, a_round=50, times=20, frozen_seconds=45.0)


@dataclass
class Came:
    """What came of one scenario.

    Attributes:
        did: How often what was done.
        saw: What the clients were told meanwhile, by outcome.
    """

    name: str
    seed: str
    folder: Path
    did: Counter[str] = field(default_factory=Counter)
    saw: Counter[str] = field(default_factory=Counter)
    anomalies: list[Anomaly] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether nothing was found that must not be."""
        return not self.anomalies

    def count(self, history: list[Attempt]) -> None:
        """Add what the clients were told."""
        self.saw.update(one.outcome for one in history)

    def must(self, condition: bool, detail: str) -> None:
        """Note that a fault did not do what it is here for: then it proves nothing."""
        if not condition:
            self.anomalies.append(Anomaly("fault-without-effect", detail))


Fault = Callable[[Houses, Scale, Came], None]


@contextmanager
def judged_house(
    houses: Houses, came: Came, environ: dict[str, str] | None = None, *, deals: bool
) -> Iterator[House]:
    """Give a house under load, and judge it at the end."""
    with houses.house(came.folder.name, came.seed, environ) as house:
        with house.loaded(deals=deals):
            yield house
            house.settle()
        came.count(house.recorder.attempts)
        came.anomalies += house.judged()


def told_trouble(house: House, since: int) -> int:
    """Count answers of trouble, 503 and the like, since an attempt of the history."""
    recent = house.recorder.attempts[since:]
    return sum(one.outcome == UNKNOWN for one in recent)
