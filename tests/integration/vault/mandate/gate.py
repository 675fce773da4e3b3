# SPDX-License-Identifier: Apache-2.0
"""Hold one call of a function where a test wants it, inside or outside a transaction."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

LONGEST = 20.0  # seconds; a test that waits longer hangs and must fail


class Gate:
    """Holds the first call of a function until `open`."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()
        self._first = True

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*args: Any, **kwargs: Any) -> Any:
            if self._first:
                self._first = False
                self._reached.set()
                assert self._open.wait(LONGEST), "nobody opened the gate"
            return function(*args, **kwargs)

        return held

    def wrap_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def held(*args: Any, **kwargs: Any) -> Any:
            if self._first:
                self._first = False
                self._reached.set()
                assert await asyncio.to_thread(self._open.wait, LONGEST)
            return await function(*args, **kwargs)

        return held

    async def reached(self) -> None:
        """Wait until the call is held."""
        assert await asyncio.to_thread(self._reached.wait, LONGEST), "never reached"

    def open(self) -> None:
        self._open.set()


def hold(patch: pytest.MonkeyPatch, module: Any, name: str) -> Gate:
    """Hold the next call of `module.name`, on the thread that makes it."""
    gate = Gate()
    original = getattr(module, name)
    is_async = asyncio.iscoroutinefunction(original)
    wrapped = gate.wrap_async(original) if is_async else gate.wrap(original)
    patch.setattr(module, name, wrapped)
    return gate
