# SPDX-License-Identifier: Apache-2.0
"""To which volume of a folio an entry goes. Pure.

A document has one volume. Entries have one per calendar year of the party's time
zone, and further ones beyond a bound, so that adding an order rewrites nothing big
and ten-year and three-year data expire apart. A frozen volume takes no entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

DOCUMENT_VOLUME: Final = "0"
MAX_ENTRIES: Final = 1_000
MAX_VOLUME_BYTES: Final = 256 * 1024  # of the plaintext

Entry = Mapping[str, Any]
"""An entry as sealed: `entry_id`, `at`, `written_at` (milliseconds) and `fields`."""


@dataclass(slots=True)
class Volume:
    """One volume of one entry class, opened.

    Attributes:
        name: `2017`, `2017-2`, ...
        base: The version it was opened from; empty for a new volume.
        frozen: A handover has pinned it.
        entries: By entry id.
        size: Bytes of the entries in canonical JSON, near enough.
        touched: Whether it must be written.
    """

    name: str
    base: str = ""
    frozen: bool = False
    entries: dict[str, Entry] = field(default_factory=dict)
    size: int = 2
    touched: bool = False

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of its id."""
        self.remove(entry["entry_id"])
        self.entries[entry["entry_id"]] = entry
        self.size += entry_bytes(entry)
        self.touched = True

    def remove(self, entry_id: str) -> None:
        """Remove an entry, if it is there."""
        old = self.entries.pop(entry_id, None)
        if old is not None:
            self.size -= entry_bytes(old)
            self.touched = True

    def has_room(self, entry: Entry) -> bool:
        """Whether the entry fits, beside those it does not replace."""
        if self.frozen:
            return False
        if not self.entries or entry["entry_id"] in self.entries:
            return True
        return (
            len(self.entries) < MAX_ENTRIES
            and self.size + entry_bytes(entry) <= MAX_VOLUME_BYTES
        )


def entry_bytes(entry: Entry) -> int:
    """Return the bytes that an entry adds to its volume."""
    return (
        len(json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()) + 1
    )


def year_of(moment: datetime, zone: ZoneInfo) -> str:
    """Return the calendar year of `moment` in the party's zone, four digits."""
    return f"{moment.astimezone(zone).year:04d}"


def order_of(name: str) -> tuple[str, int]:
    """Return the key that sorts volumes: year, then number within the year."""
    year, _, number = name.partition("-")
    return year, int(number or 1)


def place(volumes: dict[str, Volume], entry: Entry, year: str) -> Volume:
    """Put `entry` into the volume of its year that has room; return it.

    An entry of the same id is replaced where it stands. Where it stands in a frozen
    volume it stays there, and readers take the one written last (`merged`).
    """
    for volume in volumes.values():
        if entry["entry_id"] in volume.entries and not volume.frozen:
            if volume.name.partition("-")[0] == year:
                volume.put(entry)
                return volume
            volume.remove(entry["entry_id"])
    mine = sorted(
        (v for v in volumes.values() if v.name.partition("-")[0] == year),
        key=lambda v: order_of(v.name),
    )
    for volume in mine:
        if volume.has_room(entry):
            volume.put(entry)
            return volume
    number = order_of(mine[-1].name)[1] + 1 if mine else 1
    opened = Volume(year if number == 1 else f"{year}-{number}")
    opened.put(entry)
    volumes[opened.name] = opened
    return opened


def merged(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries in order of time, of each id the one written last."""
    latest: dict[str, Entry] = {}
    for entry in entries:
        known = latest.get(entry["entry_id"])
        if known is None or known["written_at"] <= entry["written_at"]:
            latest[entry["entry_id"]] = entry
    return sorted(latest.values(), key=lambda e: (e["at"], e["entry_id"]))
