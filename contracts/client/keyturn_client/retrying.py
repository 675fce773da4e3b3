# SPDX-License-Identifier: Apache-2.0
"""Whether a failed call is sent again, and after how long.

Nothing is sent twice that may have been done, unless doing it twice is doing it once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from keyturn_client.calls import Call
from keyturn_client.errors import Refused, TooMany, Unavailable, Unreachable

#: An earlier try under the same key is still being done.
KEY_IN_USE: Final = "idempotency-key-in-use"


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient a client is.

    Attributes:
        attempts: Tries of one call, the first included; 1 never tries again.
        seconds: After so long no further try begins.
        longest_pause: Seconds; a service that asks for a longer one is not waited for:
            its refusal is raised, with `retry_after`.
    """

    attempts: int = 5
    seconds: float = 45.0
    longest_pause: float = 30.0

    def stamina(self, call: Call[Any]) -> StaminaOptions:
        """Return these as options of `stamina.retry_context`."""
        return {
            "on": self.hook(call),
            "attempts": self.attempts,
            "timeout": self.seconds,
            "wait_initial": 0.1,
            "wait_max": 5.0,
            "wait_jitter": 0.5,
        }

    def hook(self, call: Call[Any]) -> Callable[[Exception], bool | float]:
        """Return what decides about an error of this call: no, yes, or a pause."""

        def again(error: Exception) -> bool | float:
            if not worth_another(call, error):
                return False
            asked = error.retry_after if isinstance(error, Refused) else None
            if asked is None:
                return True
            return asked if asked <= self.longest_pause else False

        return again


class StaminaOptions(TypedDict):
    """Options of `stamina.retry_context`."""

    on: Callable[[Exception], bool | float]
    attempts: int
    timeout: float
    wait_initial: float
    wait_max: float
    wait_jitter: float


def worth_another(call: Call[Any], error: Exception) -> bool:
    """Whether the same call may go again after this error."""
    match error:
        case TooMany():
            return True
        case Unreachable(maybe_done=maybe_done):
            return call.repeatable or not maybe_done
        case Unavailable():
            return call.repeatable
        case Refused(code=code):
            return call.repeatable and code == KEY_IN_USE
    return False
