# SPDX-License-Identifier: Apache-2.0
"""What every source does beside its requests: relay, follow the log, measure.

Nothing here is a condition of readiness: events wait in the outbox for as long as
the bus or the log is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from contracts.log.note import NoteVerifier
from services.chassis import installation, measures, outbox, telemetry
from services.chassis.bus import BusUnavailable, Publisher
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import Database, DatabaseError
from services.chassis.follower import Follower, LogReader
from services.chassis.journal import Journal
from services.chassis.relay import Relay
from services.chassis.rollback import RollbackCheck
from services.chassis.settings import ServiceSettings
from services.chassis.telemetry import Metrics
from services.chassis.transport import kafka_security

WATCH_SECONDS: Final = 2.0
WAIT_FOR_LOG_SECONDS: Final = 1.0
ALARM_CODES: Final = ("rollback", "fork", "twice", "gap", "note")
FAILURE_KINDS: Final = ("commit", "fenced", "refused")


def watch_database(metrics: Metrics, name: str, database: Database) -> None:
    """Have a database's commits and failures measured."""
    seconds = metrics.histogram(measures.COMMIT_SECONDS).labels(name)
    failures = metrics.counter(measures.DATABASE_FAILURES)
    for kind in FAILURE_KINDS:
        failures.labels(name, kind)  # shown as 0 before the first
    database.watch.committed = seconds.observe
    database.watch.failed = lambda kind: failures.labels(name, kind).inc()


def show_check(metrics: Metrics, check: RollbackCheck) -> None:
    """Show whether the database was held against the log."""
    metrics.gauge(measures.ROLLBACK_CHECKED).set_function(
        lambda: float(check.has_passed)
    )


def broker_address(settings: ServiceSettings) -> str:
    """Return the broker's address; read again at each rebuild of a client.

    Raises:
        BusUnavailable: The embedded broker has not written its address yet.
    """
    if settings.kafka_servers is not None:
        return settings.kafka_servers
    path = settings.state_dir / "broker.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["bootstrap"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BusUnavailable("broker.json is not there yet") from None


class Upkeep:
    """The background work of a source's journals."""

    def __init__(
        self,
        settings: ServiceSettings,
        journals: Mapping[str, Journal],
        log: Callable[[], LogReader],
        *,
        clock: Clock,
        metrics: Metrics,
        keep_seconds: float,
        may_receipt: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make the work.

        Args:
            settings: Of the process.
            journals: By name.
            log: Opens a reader of the published log.
            clock: Of the process.
            metrics: Of the process.
            keep_seconds: How long receipted events are kept.
            may_receipt: Returns when receipts may be written; at once without it.
        """
        self._settings = settings
        self._journals = journals
        self._log = log
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._may_receipt = may_receipt
        self._metrics = metrics
        self._relays: dict[str, Relay] = {}
        for name, journal in journals.items():
            watch_database(metrics, name, journal.database)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines to run: relay and follow for each journal."""
        return [
            made(name, journal)
            for name, journal in self._journals.items()
            for made in (self._relay, self._follow)
        ]

    def measuring(self) -> list[Coroutine[Any, Any, None]]:
        """Return what measures each journal, whoever does the work."""
        return [self._watch(name, journal) for name, journal in self._journals.items()]

    async def _relay(self, name: str, journal: Journal) -> None:
        up = self._metrics.gauge(measures.RELAY_UP).labels(name)
        self._relays[name] = relay = Relay(
            journal,
            Publisher(
                lambda: broker_address(self._settings), kafka_security(self._settings)
            ),
            on_state=lambda state: up.set(float(state == "relaying")),
        )
        await relay.run()

    async def _follow(self, name: str, journal: Journal) -> None:
        follower = Follower(
            journal,
            self._log(),
            await self._verifier(),
            clock=self._clock,
            horizon_seconds=self._keep_seconds,
            on_alarm=lambda code: telemetry.logger().error(
                "follower.alarm", journal=name, code=code
            ),
        )
        if self._may_receipt is not None:
            await self._may_receipt()
        self._show(name, follower)
        await follower.run()

    def _show(self, name: str, follower: Follower) -> None:
        alarm = self._metrics.gauge(measures.FOLLOWER_ALARM)
        for code in ALARM_CODES:
            alarm.labels(name, code).set_function(partial(_alarms, follower, code))
        self._metrics.gauge(measures.FOLLOWER_LEAVES).labels(name).set_function(
            lambda: float(follower.followed)
        )
        self._metrics.gauge(measures.FOLLOWER_LAG).labels(name).set_function(
            lambda: float(max(0, follower.published - follower.followed))
        )

    async def _verifier(self) -> NoteVerifier:
        """Return the log's public key, once audit's `init` has written it."""
        while True:
            verifier = installation.log_verifier(self._settings.state_dir)
            if verifier is not None:
                return verifier
            await asyncio.sleep(WAIT_FOR_LOG_SECONDS)

    async def _watch(self, name: str, journal: Journal) -> None:
        """Measure what waits to be found in the log."""
        while True:
            with contextlib.suppress(DatabaseError):
                await self._measure(name, journal)
            await asyncio.sleep(WATCH_SECONDS)

    async def _measure(self, name: str, journal: Journal) -> None:
        metrics, tables = self._metrics, journal.tables
        now = milliseconds(self._clock.now())
        waiting = await journal.read(lambda c: outbox.stats(c, tables, now))
        totals = await journal.read(lambda c: outbox.totals(c, tables))
        metrics.gauge(measures.OUTBOX_OLDEST).labels(name).set(waiting.oldest_seconds)
        metrics.gauge(measures.OUTBOX_EVENTS).labels(name).set(waiting.rows)
        metrics.reach(measures.COMMITTED, totals.committed, journal=name)
        metrics.reach(measures.RECEIPTED, totals.receipted, journal=name)
        relay = self._relays.get(name)
        if relay is not None:
            heads = await journal.read(lambda c: outbox.heads(c, tables))
            metrics.gauge(measures.RELAY_LAG).labels(name).set(relay.behind(heads))


def _alarms(follower: Follower, code: str) -> float:
    return float(follower.alarm == code)
