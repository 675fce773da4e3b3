# SPDX-License-Identifier: Apache-2.0
"""What a change makes of a record's folios. Pure: no I/O, no clock, no keys.

Documents change by merge patch (RFC 7396); entries go to their volumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.chassis.clock import rfc3339
from services.vault.catalogue import Entry, unknown_member
from services.vault.catalogue.errors import FieldUnknown
from services.vault.custody import volumes
from services.vault.custody.volumes import DOCUMENT_VOLUME, Volume
from services.vault.records.values import RecordContent


def require_known(classes: Iterable[str], new: RecordContent) -> None:
    """Refuse classes that are not in the catalogue, before anything is made for them.

    Raises:
        FieldUnknown: There is one. A document of it could not be sealed, a legal basis
            or retention would be dropped in silence.
    """
    known = set(classes)
    members: Mapping[str, Iterable[str]] = {
        "documents": new.documents,
        "entries": new.entries,
        "basis": new.basis,
        "retention": new.retention,
    }
    faults = [
        unknown_member(f"/{member}", position, "unknown_class", known)
        for member, names in members.items()
        for position, name in enumerate(names)
        if name not in known
    ]
    if faults:
        raise FieldUnknown(faults)


@dataclass(frozen=True, slots=True)
class FolioContent:
    """One folio as it is to be sealed.

    Attributes:
        base: The version it was made from; empty for a new folio.
        content: Fields, or a list of stored entries.
        last_activity: Day of the latest entry in the party's zone, ISO, or None.
    """

    class_: str
    volume: str
    base: str
    content: Any = field(repr=False)
    last_activity: str | None
    entries: int
    size: int


def without_nulls(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the members that a merge patch would remove."""
    return {name: value for name, value in document.items() if value is not None}


def merge_patch(
    document: Mapping[str, Any], patch: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `document` with `patch` applied to its fields. RFC 7396 §2."""
    return without_nulls({**document, **patch})


def document_folio(class_: str, base: str, document: dict[str, Any]) -> FolioContent:
    """Return the one folio of a document class."""
    return FolioContent(class_, DOCUMENT_VOLUME, base, document, None, 0, 0)


def opened_volume(
    name: str, base: str, stored: Iterable[Mapping[str, Any]], *, frozen: bool
) -> Volume:
    """Return a volume as it stands, with nothing to write."""
    volume = Volume(name, base=base, frozen=frozen)
    for entry in stored:
        volume.put(entry)
    volume.touched = False
    return volume


def place_entries(
    known: dict[str, Volume], entries: Iterable[Entry], zone: ZoneInfo, now_ms: int
) -> None:
    """Put new entries into the volumes of their years, opening further ones.

    An entry that stands there already as it is sent is left alone: a nightly sync
    that sends everything again changes nothing.
    """
    stored_now = (e for volume in known.values() for e in volume.entries.values())
    latest = {e["entry_id"]: e for e in volumes.merged(stored_now)}
    for entry in entries:
        stored = {
            "entry_id": entry.entry_id,
            "at": rfc3339(entry.at),
            "written_at": now_ms,
            "fields": dict(entry.fields),
        }
        before = latest.get(entry.entry_id)
        if before is not None and all(before[n] == stored[n] for n in ("at", "fields")):
            continue
        volumes.place(known, stored, volumes.year_of(entry.at, zone))


def entry_folios(
    class_: str, known: Mapping[str, Volume], zone: ZoneInfo
) -> list[FolioContent]:
    """Return the volumes that must be written, in order."""
    touched = [volume for volume in known.values() if volume.touched]
    return [
        FolioContent(
            class_,
            volume.name,
            volume.base,
            list(volume.entries.values()),
            _last_day(volume, zone),
            len(volume.entries),
            volume.size,
        )
        for volume in sorted(touched, key=lambda v: volumes.order_of(v.name))
    ]


def shown_entries(stored: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return entries as a caller sees them: `{entry_id, at, ...fields}`, by time."""
    return [
        {"entry_id": entry["entry_id"], "at": entry["at"], **entry["fields"]}
        for entry in volumes.merged(stored)
    ]


def _last_day(volume: Volume, zone: ZoneInfo) -> str | None:
    moments = [datetime.fromisoformat(entry["at"]) for entry in volume.entries.values()]
    if not moments:
        return None
    return max(moments).astimezone(zone).date().isoformat()
