# SPDX-License-Identifier: Apache-2.0
"""The installation of the demonstration, its folders, and its customers of note.

The customers of note are chosen from the export by rule, so that a run of any size
has each of them and the same run has the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.demo.access_picture import Sampled
from deploy.demo.expectation import Customer, customer_of
from deploy.demo.importing import Imported
from deploy.demo.narrator import Narrator
from deploy.demo.office import Office
from services.cli.place import Place

SAMPLE: Final = 8


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demonstration plays.

    Attributes:
        folder: Gets crm/, needles.txt, evidence/, report.json and report.html.
    """

    place: Place
    folder: Path

    @property
    def crm(self) -> Path:
        """The export of both customer systems, plaintext, outside Keyturn."""
        return self.folder / "crm"

    @property
    def evidence(self) -> Path:
        """What a stranger can check."""
        return self.folder / "evidence"

    @property
    def parties(self) -> Path:
        """Each party's own export of the log, by party."""
        return self.evidence / "parties"

    @property
    def needles(self) -> Path:
        """What must never be found in state or evidence."""
        return self.folder / "needles.txt"


@dataclass(slots=True)
class Notes:
    """What the customers of note are called by the CRM.

    Attributes:
        sold: Consents, moves; wanted by the nightly upsert and by the buyer.
        early: Objects between freeze and release.
        late: Objects after its batch.
        orders: Moves, and orders once more during the freeze.
        samples: Customers of every kind, looked at closely.
    """

    sold: str
    early: str
    late: str
    orders: str
    samples: list[str]


@dataclass(slots=True)
class Tale:
    """What the story knows so far."""

    stage: Stage
    office: Office
    narrator: Narrator
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    customers: list[Customer] = field(default_factory=list)
    notes: Notes | None = None
    arrived: Imported = field(default_factory=Imported)
    handover: str = ""
    first_handover: str = ""
    late_record: str = ""
    backup: Mapping[str, Any] = field(default_factory=dict)
    after_snapshot: Mapping[str, int] = field(default_factory=dict)

    @property
    def of_note(self) -> Notes:
        """The customers of note, once the export was read."""
        assert self.notes is not None
        return self.notes

    def record(self, number: str) -> str:
        """Return the seller's record id of a customer."""
        return self.arrived.records[number]

    def basic(self, number: str) -> dict[str, Any]:
        """Return a customer's master data as the CRM has it."""
        found: dict[str, Any] = self.items[number]["record"]["documents"]["basic"]
        return found

    def sample(self) -> list[Sampled]:
        """Return the customers that are looked at closely."""
        return [
            Sampled(self.record(number), self.basic(number)["email"])
            for number in self.of_note.samples
        ]

    def reading(self, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pass the seller's items on to the import, and remember them."""
        for item in items:
            self.items[item["ref"]] = item
            self.customers.append(customer_of(item))
            yield item


def choose(customers: list[Customer], shared: frozenset[str]) -> Notes:
    """Choose the customers of note.

    Args:
        customers: The seller's.
        shared: Numbers of those whom the buyer knows already by e-mail.
    """
    moving = [
        one.number
        for one in customers
        if one.moves
        and "purchases" in one.classes
        and not one.tags
        and one.number not in shared
    ]
    sold, early, late, orders, *rest = moving
    staying = [one.number for one in customers if not one.moves]
    half = SAMPLE // 2
    samples = [sold, early, *rest[:half], *staying[:half]]
    return Notes(sold, early, late, orders, samples)
