# SPDX-License-Identifier: Apache-2.0
"""Promise: whoever cancels the relay or intake is not kept waiting by a dead client."""

import asyncio
import contextlib
from typing import Any

import pytest

from services.chassis import bus


class Stubborn:
    """A client whose `stop` ignores the first cancellation, as aiokafka's may."""

    async def stop(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)


async def test_a_cancellation_at_any_moment_of_stopping_arrives() -> None:
    client: Any = Stubborn()
    for moment in (0.0, 0.05, 0.15):
        stopping = asyncio.create_task(_stopped_quickly(client))
        await asyncio.sleep(moment)
        stopping.cancel()
        done, _pending = await asyncio.wait({stopping}, timeout=1)
        assert done
        assert stopping.cancelled()


async def _stopped_quickly(client: Any) -> None:
    await bus._stop(client)
    await asyncio.sleep(60)  # where a relay would go on, had it lost the cancellation


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "STOP_SECONDS", 0.1)
