# SPDX-License-Identifier: Apache-2.0
"""What audit measures beside its journal: the log, its intake, its search, alerts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from services.audit.intake.operations import Intake
from services.audit.log import store
from services.audit.log.operations import Log
from services.audit.search.projection import Projection
from services.chassis import measures
from services.chassis.clock import Clock
from services.chassis.database import DatabaseError
from services.chassis.telemetry import Metrics
from services.chassis.upkeep import watch_database

WATCH_SECONDS: Final = 1.0
ALERT_CODES: Final = ("fork", "restore", "gap", "unreadable")


class Measuring:
    """Shows in `/metrics` how log, intake and search are."""

    def __init__(
        self, metrics: Metrics, log: Log, projection: Projection, clock: Clock
    ) -> None:
        self._metrics = metrics
        self._log = log
        self._projection = projection
        watch_database(metrics, "search", projection.database)
        published = metrics.gauge(measures.CHECKPOINT_TIME)
        log.listen(lambda: published.set(clock.now().timestamp()))
        metrics.gauge(measures.LOG_LEAVES).set_function(lambda: float(log.size))
        metrics.gauge(measures.SEARCH_LEAVES).set_function(
            lambda: float(projection.size)
        )

    async def run(self, intake: Intake) -> None:
        """Measure until cancelled."""
        while True:
            self._show_intake(intake)
            with contextlib.suppress(DatabaseError):
                await self._show_log()
            await asyncio.sleep(WATCH_SECONDS)

    async def _show_log(self) -> None:
        read = self._log.journal.read
        stored = (await read(store.tree_row)).size
        unpublished = max(0, stored - self._log.size)
        self._metrics.gauge(measures.UNPUBLISHED).set(unpublished)
        found = await read(store.alert_counts)
        alerts = self._metrics.gauge(measures.ALERTS)
        for code in ALERT_CODES:
            for state, done in (("open", False), ("acknowledged", True)):
                alerts.labels(code, state).set(found.get((code, done), 0))

    def _show_intake(self, intake: Intake) -> None:
        state, metrics = intake.state, self._metrics
        metrics.gauge(measures.PARKED).set(state.parked)
        metrics.gauge(measures.GAP_LANES).set(state.gaps)
        metrics.gauge(measures.BUS_UP).set(float(state.bus))
        metrics.reach(measures.DROPPED, state.dropped)
        for source, events in state.behind.items():
            metrics.gauge(measures.BEHIND).labels(source).set(events)
        for source, up in state.sources.items():
            metrics.gauge(measures.SOURCE_UP).labels(source).set(float(up))
        for topic, messages in state.unfetched.items():
            metrics.gauge(measures.TOPIC_LAG).labels(topic).set(messages)
