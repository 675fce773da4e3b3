# SPDX-License-Identifier: Apache-2.0
"""A stream over many connections: where it stands, when to come back, when to give up.

Never connects itself; blocking or awaited, its follower does as it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from keyturn_client.calls import Call
from keyturn_client.errors import KeyturnError, Refused, Unreachable
from keyturn_client.retrying import Retries, worth_another
from keyturn_client.sse import EventParser, ServerSentEvent

CLOSED: Final = "closed"  # the server's last event when the token ended
#: Seconds without a byte after which a connection is dead; a server sends a comment
#: every 15 seconds.
IDLE: Final = httpx.Timeout(10.0, read=45.0)
_LONGEST_PAUSE: Final = 10.0


@dataclass
class Following:
    """One follower of one stream.

    Attributes:
        call: Makes the call from the last id that was seen, empty at first.
        ends: Whether a stream that the server ends is over; else it is come back to.
        retries: How often to fail one after the other before giving up.
    """

    call: Callable[[str], Call[Any]]
    ends: bool
    retries: Retries
    _last: str = ""
    _failures: int = 0
    _closed: bool = False
    _parser: EventParser = field(default_factory=EventParser)

    def begin(self) -> Call[Any]:
        """Return the call of the next connection."""
        self._parser = EventParser(self._last)
        self._closed = False
        return self.call(self._last)

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that some bytes complete; each was not seen before."""
        fresh: list[ServerSentEvent] = []
        for event in self._parser.feed(piece):
            if event.event == CLOSED:
                self._closed = True
            elif not event.id or event.id != self._last:
                self._last = event.id
                self._failures = 0
                fresh.append(event)
        return fresh

    def pause(self, error: KeyturnError | None) -> float | None:
        """Return how many seconds to wait before the next connection; None: it is over.

        Args:
            error: What ended the last connection; None if the server did.

        Raises:
            KeyturnError: This error, if coming back cannot help, or did not.
        """
        if error is None and self.ends and not self._closed:
            return None
        if error is not None and not worth_another(self.call(self._last), error):
            raise error
        self._failures += 1
        if self._failures > self.retries.attempts:
            raise error or Unreachable("the stream ends each time", maybe_done=True)
        asked = error.retry_after if isinstance(error, Refused) else None
        if asked is not None and asked > self.retries.longest_pause:
            raise error or AssertionError
        return min(_LONGEST_PAUSE, 0.1 * 2**self._failures) if asked is None else asked
