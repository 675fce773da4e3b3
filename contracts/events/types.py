# SPDX-License-Identifier: Apache-2.0
"""Every type an event of this version can have: a closed list."""

from __future__ import annotations

from typing import Final

from contracts.events.audit import AUDIT_EVENTS
from contracts.events.lane import LANE_EVENTS
from contracts.events.transfer import TRANSFER_EVENTS
from contracts.events.vault import VAULT_EVENTS

EVENT_TYPES: Final = tuple(
    sorted(
        payload.TYPE
        for payload in (
            *AUDIT_EVENTS,
            *LANE_EVENTS,
            *TRANSFER_EVENTS,
            *VAULT_EVENTS,
        )
    )
)
