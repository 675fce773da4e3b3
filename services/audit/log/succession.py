# SPDX-License-Identifier: Apache-2.0
"""Judges how a slot's lanes succeed each other: restores and forks show here. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.events.lane import LaneOpened
from services.audit.log.arrivals import Parked


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must look at; `code` as in `AlertRaised`."""

    code: str
    lane: str
    seq: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What a lane's first event says of its slot's previous lane."""

    lane: str
    slot: str
    previous: str
    previous_seq: int


def opening_of(event: Parked) -> Opening | None:
    """Return the opening that a lane's first event is, or None."""
    if event.seq != 1 or event.type != LaneOpened.TYPE:
        return None
    slot = event.data.get("slot")
    previous = event.data.get("previous")
    seq = event.data.get("previous_seq")
    if not (isinstance(slot, str) and isinstance(previous, str) and type(seq) is int):
        return None
    return Opening(event.lane, slot[:64], previous, seq)


def judge(opening: Opening, known: int | None, *, alone: bool) -> list[Alarm]:
    """Return the alarms of an opening.

    Args:
        opening: The opening of a lane.
        known: How far the log holds the previous lane; None if not at all.
        alone: Whether no other lane has named the same previous one.

    `restore`: the source continues from an older position than the log holds: its
    database was restored from a copy. `fork`: two lanes continue one.
    """
    alarms = []
    if known is not None and known > opening.previous_seq:
        alarms.append(Alarm("restore", opening.previous, opening.previous_seq))
    if not alone:
        alarms.append(Alarm("fork", opening.previous, opening.previous_seq))
    return alarms
