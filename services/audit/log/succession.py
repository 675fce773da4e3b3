# SPDX-License-Identifier: Apache-2.0
"""Judges how a slot's lanes succeed each other: restores and forks show here. Pure.

Lanes arrive in any order, so each rule is asked from both sides: when a lane opens,
and when the lane before it grows.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
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
    previous_leaf: bytes


def opening_of(event: Parked) -> Opening | None:
    """Return the opening that a lane's first event is, or None."""
    if event.seq != 1 or event.type != LaneOpened.TYPE:
        return None
    said = [event.data.get(name) for name in ("slot", "previous", "previous_leaf")]
    seq = event.data.get("previous_seq")
    slot, previous, leaf = said
    if not (
        isinstance(slot, str) and isinstance(previous, str) and isinstance(leaf, str)
    ):
        return None
    if type(seq) is not int or len(slot) > 64 or len(previous) > 32:
        return None
    try:
        return Opening(event.lane, slot, previous, seq, base64.b64decode(leaf))
    except (ValueError, binascii.Error):
        return None


def judge_opening(
    opening: Opening, *, held_seq: int, held_leaf: bytes | None, rivals: Sequence[str]
) -> list[Alarm]:
    """Return the alarms of an opening.

    Args:
        opening: The opening of a lane.
        held_seq: How far the log holds the lane before; 0 if not at all.
        held_leaf: The leaf hash that it holds at `previous_seq`; None if none.
        rivals: Other lanes that name the same lane before, or that too begin the slot.

    `restore`: the source continues from an older position than the log holds: its
    database was restored from a copy. `fork`: two lanes continue one.
    """
    before, at = opening.previous, opening.previous_seq
    if not before:
        return [Alarm("restore", opening.lane, 1)] if rivals else []
    alarms = []
    if held_seq > at:
        alarms.append(Alarm("restore", before, at))
    contradicted = held_leaf is not None and held_leaf != opening.previous_leaf
    if rivals or contradicted:
        alarms.append(Alarm("fork", before, at))
    return alarms


def judge_growth(
    lane: str, events: Sequence[Parked], followers: Sequence[tuple[int, bytes]]
) -> list[Alarm]:
    """Return the alarms of a lane that grew, given what lanes after it said of it.

    Args:
        lane: The lane that grew.
        events: What it grew by, in order.
        followers: (previous_seq, previous_leaf) of each lane that names it.
    """
    alarms = []
    for at, leaf in followers:
        if events[-1].seq > at:
            alarms.append(Alarm("restore", lane, at))
        alarms += [
            Alarm("fork", lane, at)
            for event in events
            if event.seq == at and event.leaf != leaf
        ]
    return alarms
