# SPDX-License-Identifier: Apache-2.0
"""Promise: a merge patch does what RFC 7396 says, and entries keep their year."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.vault.catalogue import Entry
from services.vault.custody.volumes import Volume
from services.vault.records.content import (
    entry_folios,
    merge_patch,
    opened_volume,
    place_entries,
    shown_entries,
)
from services.vault.records.items import BatchResult
from services.vault.records.values import RecordContent

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_patch_sets_replaces_and_removes() -> None:
    before = {"a": "1", "b": ["x"], "c": True}
    assert merge_patch(before, {"b": ["y"], "c": None, "d": 4, "e": None}) == {
        "a": "1",
        "b": ["y"],
        "d": 4,
    }
    assert before == {"a": "1", "b": ["x"], "c": True}


def test_only_touched_volumes_are_written_from_their_base() -> None:
    stored = [
        {
            "entry_id": "o1",
            "at": "2024-01-01T00:00:00.000Z",
            "written_at": 1,
            "fields": {},
        }
    ]
    volumes: dict[str, Volume] = {
        "2024": opened_volume("2024", "v1", stored, frozen=False),
        "2025": opened_volume("2025", "v2", [], frozen=False),
    }
    new = Entry("o2", datetime(2025, 12, 31, 23, 30, tzinfo=UTC), {"product": "x"})
    place_entries(volumes, [new], BERLIN, 2)
    [folio] = entry_folios("purchases", volumes, BERLIN)
    assert (folio.volume, folio.base, folio.entries) == ("2026", "", 1)
    assert folio.last_activity == "2026-01-01"
    assert shown_entries(folio.content) == [
        {"entry_id": "o2", "at": "2025-12-31T23:30:00.000Z", "product": "x"}
    ]


def test_an_entry_sent_again_as_it_stands_writes_nothing() -> None:
    volumes: dict[str, Volume] = {}
    same = Entry("o1", datetime(2025, 6, 1, tzinfo=UTC), {"product": "x"})
    place_entries(volumes, [same], BERLIN, 1)
    volumes["2025"].touched, volumes["2025"].frozen = False, True
    place_entries(volumes, [same], BERLIN, 2)
    assert entry_folios("purchases", volumes, BERLIN) == []
    other = Entry("o1", datetime(2025, 6, 1, tzinfo=UTC), {"product": "y"})
    place_entries(volumes, [other], BERLIN, 3)
    assert [f.volume for f in entry_folios("purchases", volumes, BERLIN)] == ["2025-2"]


def test_no_repr_shows_what_a_record_holds() -> None:
    content = RecordContent(
        external_id="C-1",
        documents={"basic": {"name": "Quillfeather"}},
        entries={"purchases": [{"product": "Quillfeather"}]},
    )
    shown = repr(content) + repr(BatchResult("r", error=ValueError("Quillfeather")))
    assert "Quillfeather" not in shown
    assert "C-1" not in shown
