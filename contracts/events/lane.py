# SPDX-License-Identifier: Apache-2.0
"""Events of a lane's own life: opened, closed, retired (audit.md, Delivery)."""

from __future__ import annotations

from typing import ClassVar

from contracts.events.payload import Payload


class LaneOpened(Payload):
    """The first event of each lane; names the slot's previous lane and its end.

    Attributes:
        slot: `<worker>/<journal>`, stable over restarts.
        previous: The slot's previous lane, or empty for the slot's first.
        previous_seq: That lane's last sequence number, 0 if there is none.
        previous_leaf: Base64 of that lane's last leaf hash, or empty.
    """

    TYPE: ClassVar[str] = "org.keyturn.lane.opened.v1"
    CLASSIFICATION: ClassVar[str] = "internal"
    slot: str
    previous: str
    previous_seq: int
    previous_leaf: str


class LaneClosed(Payload):
    """The last event of a lane that ended in good order."""

    TYPE: ClassVar[str] = "org.keyturn.lane.closed.v1"
    CLASSIFICATION: ClassVar[str] = "internal"
    slot: str


class LaneRetired(Payload):
    """A dead lane whose slot did not come back was closed by another process."""

    TYPE: ClassVar[str] = "org.keyturn.lane.retired.v1"
    CLASSIFICATION: ClassVar[str] = "internal"
    slot: str
    retired: str
    retired_seq: int
    retired_leaf: str


LANE_EVENTS: tuple[type[Payload], ...] = (LaneOpened, LaneClosed, LaneRetired)
