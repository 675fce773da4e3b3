# SPDX-License-Identifier: Apache-2.0
"""Under which terms an event is found. Pure: bytes in, terms out.

Every leaf has terms: what this version cannot parse is found as `unreadable`, by
place and index only, and is nobody's but the installation's own people's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from contracts.events import envelope
from contracts.events.envelope import EventMalformed

UNREADABLE: Final = "unreadable"
MAX_TEXT: Final = 64  # characters; a longer value is no term of ours
MAX_ALIASES: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an event can be found by.

    Attributes:
        at: The source's time, milliseconds since 1970 UTC; 0 if unreadable.
        type: Its type, or `unreadable`.
        handover: The handover's id, or empty.
        actor: The actor's alias, or empty.
        client: The client's id, or empty.
        parties: The parties that it concerns.
        aliases: The record aliases that it names.
    """

    at: int
    type: str
    handover: str = ""
    actor: str = ""
    client: str = ""
    parties: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def terms_of(raw: bytes) -> Terms:
    """Return the terms of a leaf."""
    try:
        event = envelope.parse(raw)
    except EventMalformed:
        return Terms(0, UNREADABLE)
    data = event.data
    return Terms(
        at=_milliseconds(event.time),
        type=event.type[:96],
        handover=_text(data, "handover"),
        actor=_text(data, "actor"),
        client=_text(data, "client"),
        parties=tuple(dict.fromkeys(item.party[:MAX_TEXT] for item in event.parties)),
        aliases=_aliases(data),
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else ""


def _aliases(data: Mapping[str, Any]) -> tuple[str, ...]:
    many = data.get("records")
    named = [data.get("record"), *(many if isinstance(many, list) else ())]
    fine = (item for item in named if isinstance(item, str) and len(item) == 32)
    return tuple(dict.fromkeys(fine))[:MAX_ALIASES]


def _milliseconds(time: str) -> int:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return 0  # shaped like a time, but no day of any calendar
    return round((moment - _EPOCH).total_seconds() * 1000)
