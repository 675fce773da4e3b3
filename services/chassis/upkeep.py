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
from typing import Any, Final

from contracts.log.note import NoteVerifier
from services.chassis import installation, outbox, telemetry
from services.chassis.bus import BusUnavailable, Publisher
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import DatabaseError
from services.chassis.follower import Follower, LogReader
from services.chassis.journal import Journal
from services.chassis.relay import Relay
from services.chassis.settings import ServiceSettings
from services.chassis.telemetry import Metrics
from services.chassis.transport import kafka_security

WATCH_SECONDS: Final = 2.0
WAIT_FOR_LOG_SECONDS: Final = 1.0


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
        self._age, self._events = metrics.outbox_age, metrics.outbox_events
        self._relay_up = metrics.gauge(
            "relay_up", "Whether the bus took the last events.", "journal"
        )
        self._alarm = metrics.gauge(
            "follower_alarm", "Whether the published log contradicts itself.", "journal"
        )

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines to run: relay, follow, watch for each journal."""
        return [
            made(name, journal)
            for name, journal in self._journals.items()
            for made in (self._relay, self._follow, self._watch)
        ]

    async def _relay(self, name: str, journal: Journal) -> None:
        up = self._relay_up.labels(name)
        relay = Relay(
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
        self._alarm.labels(name).set_function(lambda: float(follower.alarm is not None))
        await follower.run()

    async def _verifier(self) -> NoteVerifier:
        """Return the log's public key, once audit's `init` has written it."""
        while True:
            verifier = installation.log_verifier(self._settings.state_dir)
            if verifier is not None:
                return verifier
            await asyncio.sleep(WAIT_FOR_LOG_SECONDS)

    async def _watch(self, name: str, journal: Journal) -> None:
        """Measure what waits to be found in the log."""
        age, events = self._age.labels(name), self._events.labels(name)
        while True:
            with contextlib.suppress(DatabaseError):
                found = await journal.read(
                    lambda c: outbox.stats(
                        c, journal.tables, milliseconds(self._clock.now())
                    )
                )
                age.set(found.oldest_seconds)
                events.set(found.rows)
            await asyncio.sleep(WATCH_SECONDS)
