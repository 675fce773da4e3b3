# SPDX-License-Identifier: Apache-2.0
"""What transfer measures beside its journal: handovers, batches, leases.

Counted in the database, so that the server shows what the workers do.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Final

from sqlalchemy.engine import Connection

from services.chassis import measures
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import DatabaseError
from services.chassis.journal import Journal
from services.chassis.telemetry import Metrics
from services.transfer.execution import Counted, count_batches
from services.transfer.handovers import State, handovers_by_state, handovers_in

WATCH_SECONDS: Final = 5.0
_MOVING: Final = (State.EXECUTING, State.VERIFY)


async def measure_handovers(metrics: Metrics, journal: Journal, clock: Clock) -> None:
    """Measure until cancelled."""
    while True:
        with contextlib.suppress(DatabaseError):
            found, faulty = await journal.read(handovers_by_state)
            gauge = metrics.gauge(measures.HANDOVERS)
            for state in State:
                gauge.labels(state.value).set(found.get(state, 0))
            metrics.gauge(measures.FAULTY).set(faulty)
            _show(metrics, await journal.read(partial(_count, clock)))
        await asyncio.sleep(WATCH_SECONDS)


def _count(clock: Clock, connection: Connection) -> Counted:
    moving = handovers_in(connection, _MOVING)
    return count_batches(connection, moving, milliseconds(clock.now()))


def _show(metrics: Metrics, counted: Counted) -> None:
    batches = metrics.gauge(measures.BATCHES)
    for state, count in counted.states.items():
        batches.labels(state).set(count)
    leases = metrics.gauge(measures.LEASES)
    leases.labels("held").set(counted.held)
    leases.labels("expired").set(counted.expired)
    metrics.reach(measures.BATCHES_DONE, counted.executed, step="executed")
    metrics.reach(measures.BATCHES_DONE, counted.verified, step="verified")
    metrics.reach(measures.FOLIOS_MOVED, counted.folios)
