# SPDX-License-Identifier: Apache-2.0
"""Time and chance: the only place where a service meets either.

Everything that needs a time takes a `Clock`; everything that needs an id or random
bytes takes the function. Tests pass `tests.fakes.clock.SettableClock` instead.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from uuid_utils import compat

FIRST_YEAR = 1900
LAST_YEAR = 9998
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII
)


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC. It may jump, also backwards."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary origin; it never decreases.

        Durations and deadlines are measured with this, never with `now`.
        """
        ...


class SystemClock:
    """The host's clocks."""

    def now(self) -> datetime:
        """Return the host's wall-clock time in UTC."""
        return datetime.now(tz=UTC)

    def monotonic(self) -> float:
        """Return the host's monotonic clock in seconds."""
        return time.monotonic()


def milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970-01-01 UTC of an aware datetime.

    Raises:
        ValueError: The datetime has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without time zone is no moment")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def rfc3339(moment: datetime) -> str:
    """Return `moment` in UTC with milliseconds and `Z`. RFC 3339 §5.6."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> datetime | None:
    """Return the moment of a strict RFC 3339 text with its offset, None if it is none.

    At most microseconds, and a year of 1900-9998: further out, no calendar in any zone
    can say the day, and what was accepted here could not be read again.
    """
    if _RFC3339.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


def uuid7() -> UUID:
    """Return a new UUIDv7; within a process each is greater than the last. RFC 9562.

    It shows when it was made. It is a name, never a secret.
    """
    return compat.uuid7()


def random_bytes(size: int) -> bytes:
    """Return `size` bytes from the operating system's generator, fit for keys."""
    return secrets.token_bytes(size)


def random_alias() -> str:
    """Return a new alias: 128 random bits as 32 lower-case hex digits."""
    return secrets.token_hex(16)
