# SPDX-License-Identifier: Apache-2.0
"""What the vault measures beside its journals: the age of its class keys."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from services.chassis import measures
from services.chassis.database import Database, DatabaseError
from services.chassis.telemetry import Metrics
from services.chassis.upkeep import watch_database
from services.vault.keys import store

WATCH_SECONDS: Final = 60.0


async def measure_keys(metrics: Metrics, keys: Database) -> None:
    """Measure until cancelled."""
    watch_database(metrics, "keys", keys)
    while True:
        with contextlib.suppress(DatabaseError):
            oldest = await keys.read(store.oldest_primary_ms)
            if oldest is not None:
                metrics.gauge(measures.CLASS_KEY_TIME).set(oldest / 1000)
        await asyncio.sleep(WATCH_SECONDS)
