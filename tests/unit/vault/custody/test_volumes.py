# SPDX-License-Identifier: Apache-2.0
"""Promise: an entry has one place, volumes stay small, and a frozen one is left alone."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from services.vault.custody.volumes import (
    MAX_ENTRIES,
    MAX_VOLUME_BYTES,
    Volume,
    entry_bytes,
    merged,
    order_of,
    place,
    year_of,
)

BERLIN = ZoneInfo("Europe/Berlin")


def entry(id_: str, written: int = 1, text: str = "") -> dict[str, Any]:
    return {
        "entry_id": id_,
        "at": "2025-06-01T00:00:00.000Z",
        "written_at": written,
        "fields": {"product": text},
    }


def test_the_year_is_the_partys_own() -> None:
    moment = datetime.fromisoformat("2025-12-31T23:30:00+00:00")
    assert year_of(moment, BERLIN) == "2026"
    assert year_of(moment, ZoneInfo("America/New_York")) == "2025"


def test_the_thousand_and_first_entry_opens_the_next_volume() -> None:
    volumes: dict[str, Volume] = {}
    for number in range(MAX_ENTRIES + 1):
        place(volumes, entry(f"e{number}"), "2025")
    assert {v.name: len(v.entries) for v in volumes.values()} == {
        "2025": MAX_ENTRIES,
        "2025-2": 1,
    }
    # A replacement stays where the entry is, also in the full volume.
    assert place(volumes, entry("e5", 2), "2025").name == "2025"
    assert len(volumes["2025"].entries) == MAX_ENTRIES


def test_a_volume_beyond_its_bytes_opens_the_next() -> None:
    volumes: dict[str, Volume] = {}
    half = "x" * (MAX_VOLUME_BYTES // 2)
    names = [place(volumes, entry(f"e{n}", 1, half), "2025").name for n in range(3)]
    assert names == ["2025", "2025-2", "2025-3"]
    assert all(v.size <= MAX_VOLUME_BYTES for v in volumes.values())


def test_an_entry_larger_than_a_volume_is_not_lost() -> None:
    volumes: dict[str, Volume] = {}
    huge = entry("e", 1, "x" * MAX_VOLUME_BYTES)
    assert place(volumes, huge, "2025").entries == {"e": huge}


def test_a_frozen_volume_is_not_touched_and_the_last_word_is_shown() -> None:
    old = Volume("2025", base="v1", frozen=True)
    old.put(entry("e1", 1, "old"))
    old.touched = False
    volumes = {"2025": old}
    place(volumes, entry("e1", 2, "new"), "2025")
    place(volumes, entry("e2", 2, "more"), "2025")
    assert not old.touched
    assert sorted(volumes) == ["2025", "2025-2"]
    shown = merged(e for v in volumes.values() for e in v.entries.values())
    assert [e["fields"]["product"] for e in shown] == ["new", "more"]


def test_an_entry_that_moves_to_another_year_leaves_the_old_one() -> None:
    volumes: dict[str, Volume] = {}
    place(volumes, entry("e1"), "2025")
    place(volumes, entry("e1", 2), "2026")
    assert [len(volumes[name].entries) for name in ("2025", "2026")] == [0, 1]
    assert all(volume.touched for volume in volumes.values())


def test_volumes_sort_by_year_then_number() -> None:
    names = ["2025-10", "2025", "2024-2", "2025-2"]
    assert sorted(names, key=order_of) == ["2024-2", "2025", "2025-2", "2025-10"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"),
            st.sampled_from(["2024", "2025", "2026"]),
            st.text(max_size=20),
        ),
        max_size=40,
    ),
    st.sets(st.sampled_from(["2024", "2025", "2026"])),
)
def test_no_entry_is_lost_or_doubled(
    puts: list[tuple[str, str, str]], frozen: set[str]
) -> None:
    volumes: dict[str, Volume] = {}
    latest: dict[str, str] = {}
    for number, (id_, year, text) in enumerate(puts):
        if number == len(puts) // 2:
            for name in frozen & set(volumes):
                volumes[name].frozen = True
        pinned = {n: dict(v.entries) for n, v in volumes.items() if v.frozen}
        place(volumes, entry(id_, number, text), year)
        latest[id_] = text
        assert {n: volumes[n].entries for n in pinned} == pinned
    shown = merged(e for v in volumes.values() for e in v.entries.values())
    assert {e["entry_id"]: e["fields"]["product"] for e in shown} == latest
    for volume in volumes.values():
        assert volume.size == 2 + sum(map(entry_bytes, volume.entries.values()))
