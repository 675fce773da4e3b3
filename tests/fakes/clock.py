# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still until a test moves it, and keeps the port's promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SettableClock:
    """Fake of `services.chassis.clock.Clock`."""

    def __init__(self, now: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        if now.tzinfo is None:
            raise AssertionError("the port promises aware times")
        self._now = now.astimezone(UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        if seconds < 0:
            raise AssertionError("the monotonic clock never runs backwards; use set()")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set(self, now: datetime) -> None:
        """Set the wall clock, also backwards; the monotonic clock stays."""
        if now.tzinfo is None:
            raise AssertionError("the port promises aware times")
        self._now = now.astimezone(UTC)
