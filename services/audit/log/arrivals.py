# SPDX-License-Identifier: Apache-2.0
"""What intake hands to the log: events, groups under a head, evidence. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.events import envelope
from contracts.events.envelope import EventMalformed
from contracts.log import merkle


@dataclass(frozen=True, slots=True)
class Parked:
    """One received event, not yet under a verified head.

    Attributes:
        raw: The exact bytes.
        leaf: Their leaf hash.
        lane, seq, prev: As the event says.
        source: As the event says; empty if unreadable.
        readable: Whether this version can parse it whole.
    """

    raw: bytes
    leaf: bytes
    lane: str
    seq: int
    prev: bytes
    source: str
    readable: bool
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a lane is integrated; `leaf` is empty before its first event."""

    seq: int = 0
    leaf: bytes = b""


@dataclass(frozen=True, slots=True)
class Group:
    """Events of one lane, in order, that a verified head covers.

    Attributes:
        head: The head's signature, over the last of them.
    """

    lane: str
    service: str
    events: tuple[Parked, ...]
    head: bytes


@dataclass(frozen=True, slots=True)
class Fork:
    """Two different events for one place under verified heads.

    Attributes:
        evidence: The head that contradicts the log: its message and signature.
    """

    lane: str
    seq: int
    evidence: bytes


def read(raw: bytes) -> Parked | None:
    """Read an event's bytes; None where not even its place on a lane can be read."""
    try:
        event = envelope.parse(raw)
    except EventMalformed:
        return _read_place(raw)
    return Parked(
        raw=raw,
        leaf=merkle.leaf_hash(raw),
        lane=event.lane,
        seq=event.seq,
        prev=event.prev,
        source=event.source,
        readable=True,
        type=event.type,
        data=event.data,
    )


def _read_place(raw: bytes) -> Parked | None:
    """Read only the place: a later version's event must not stop its lane."""
    if len(raw) > envelope.MAX_EVENT_BYTES:
        return None  # no source writes such a one, and no bundle could hold it
    try:
        document = json.loads(raw)
        lane, seq, prev = document["lane"], document["seq"], document["prev"]
        leaf = base64.b64decode(prev, validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return None
    if not isinstance(lane, str) or len(lane) != 32:
        return None
    if type(seq) is not int or not 1 <= seq < 2**53:
        return None
    return Parked(
        raw=raw,
        leaf=merkle.leaf_hash(raw),
        lane=lane,
        seq=seq,
        prev=leaf,
        source="",
        readable=False,
        type="",
        data={},
    )
