# SPDX-License-Identifier: Apache-2.0
"""Handovers: states, steps, signed documents. Other rooms call what is named here.

The functions read and write inside the caller's transaction.
"""

from services.transfer.handovers.advancing import system_step
from services.transfer.handovers.states import Event, Kind, State
from services.transfer.handovers.steps import VaultStep, next_vault_step
from services.transfer.handovers.store import (
    HandoverRow,
    hold_drive,
    lease_drive,
    release_drives,
)
from services.transfer.handovers.store import by_state as handovers_by_state
from services.transfer.handovers.store import documents as counting_documents
from services.transfer.handovers.store import get as stored_handover
from services.transfer.handovers.store import ids_in as handovers_in
from services.transfer.handovers.store import in_states as idle_in_states
from services.transfer.handovers.store import position as position_of
from services.transfer.handovers.views import Progress

__all__ = [
    "Event",
    "HandoverRow",
    "Kind",
    "Progress",
    "State",
    "VaultStep",
    "counting_documents",
    "handovers_by_state",
    "handovers_in",
    "hold_drive",
    "idle_in_states",
    "lease_drive",
    "next_vault_step",
    "position_of",
    "release_drives",
    "stored_handover",
    "system_step",
]
