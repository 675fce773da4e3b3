# SPDX-License-Identifier: Apache-2.0
"""What intake hands to the log: events, groups under a verified head, evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Parked:
    """One received event, not yet under a verified head.

    Attributes:
        raw: The exact bytes.
        leaf: Their leaf hash.
        lane, seq, prev: As the event says.
        readable: Whether this version can parse it whole.
    """

    raw: bytes
    leaf: bytes
    lane: str
    seq: int
    prev: bytes
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
    """Events of one lane, in order, that a verified head covers."""

    lane: str
    service: str
    events: tuple[Parked, ...]


@dataclass(frozen=True, slots=True)
class Fork:
    """Two different events for one place under verified heads."""

    lane: str
    seq: int
    evidence: bytes
