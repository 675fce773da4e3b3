# SPDX-License-Identifier: Apache-2.0
"""How long an event stream lives: no longer than its server, its caller and its token.

A stream is opened by a token that was good then. It is asked for again all the while,
so that a stream ends with its token, and with the revocation of whoever holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Final, TypeVar

from fastapi import Request
from fastapi.sse import ServerSentEvent

from contracts.problems import Problem, Refusal
from services.chassis.auth import TokenVerifier, bearer_token, origin_of

T = TypeVar("T")

CLOSED: Final = "closed"
HOW_IT_ENDS: Final = """\
The stream ends with its access token. Its last event is then `closed`, without an id;
its data is `{"code": "token-expired"}`, or `token-invalid` if the token was revoked.
Come back with a new token, and `Last-Event-ID` to miss nothing.
"""
"""What the description of a stream's route says about its end."""


class StreamLife:
    """The life of one stream; made by its route, for its request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._refused: Problem | None = None

    async def pause(self, seconds: float) -> bool:
        """Wait, and return whether the stream is to end now."""
        stopping: asyncio.Event = self._request.app.state.stopping
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), seconds)
        if stopping.is_set() or await self._request.is_disconnected():
            return True
        return not await self._admitted()

    async def of(self, items: AsyncGenerator[T, None]) -> AsyncIterator[T]:
        """Yield `items` while the token is good: a busy stream may never pause."""
        async with contextlib.aclosing(items):
            async for item in items:
                if not await self._admitted():
                    return
                yield item

    def farewell(self) -> Iterator[ServerSentEvent]:
        """Yield the stream's last event, if its token ended it."""
        if self._refused is not None:
            yield ServerSentEvent(event=CLOSED, data={"code": self._refused.code})

    async def _admitted(self) -> bool:
        verifier: TokenVerifier = self._request.app.state.verifier
        try:
            await verifier.verify(bearer_token(self._request), origin_of(self._request))
        except Refusal as refused:
            self._refused = refused.problem
        return self._refused is None
