# SPDX-License-Identifier: Apache-2.0
"""Sends calls without blocking the loop; the twin of `blocking`, line for line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import httpx
import stamina

from keyturn_client.batches import Item, results, slices
from keyturn_client.calls import Answer, Call, answer_of, check
from keyturn_client.connecting import House, unreachable
from keyturn_client.conversation import Conversation, Pause
from keyturn_client.errors import KeyturnError
from keyturn_client.following import IDLE, Following
from keyturn_client.login import Login
from keyturn_client.models.vault import BatchItemIn
from keyturn_client.paging import Paging
from keyturn_client.sse import ServerSentEvent
from keyturn_client.vault import batch_records

T = TypeVar("T")
A = ParamSpec("A")


class AsyncSender:
    """Sends calls over one pool of connections; of one event loop."""

    def __init__(
        self,
        house: House,
        login: Login | None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._house = house
        self._http = httpx.AsyncClient(transport=transport, **house.options(login))
        self._sleep = sleep

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> Answer[T]:
        """Send a call, again where that helps and cannot harm.

        Raises:
            Refused: The service refuses; the class says how.
            Unreachable: It does not answer.
            AnswerMalformed: It answers something else than its contract says.
        """
        request = call.request(self._http, self._house.origin(call))
        async for attempt in stamina.retry_context(**self._house.retries.stamina(call)):
            with attempt:
                try:
                    return answer_of(call, await self._http.send(request))
                except httpx.RequestError as error:
                    raise unreachable(call, error) from error
        raise AssertionError("the last try returns or raises")

    async def hold(self, steps: Conversation[T]) -> T:
        """Hold a conversation to its end and return what it comes to."""
        go_on: Callable[[], Call[Any] | Pause] = partial(next, steps)
        try:
            while True:
                go_on = await self._taken(steps, go_on())
        except StopIteration as end:
            found: T = end.value
            return found

    async def _taken(
        self, steps: Conversation[Any], step: Call[Any] | Pause
    ) -> Callable[[], Call[Any] | Pause]:
        """Do a step; return what tells the conversation how it went."""
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return partial(next, steps)
        try:
            return partial(steps.send, await self.send(step))
        except KeyturnError as error:
            return partial(steps.throw, error)

    async def pages(
        self, call: Callable[[str | None], Call[T]]
    ) -> AsyncIterator[Answer[T]]:
        """Yield one page after the other."""
        paging = Paging(call)
        while paging.more:
            yield paging.take(await self.send(paging.next()))

    async def batches(
        self, items: Iterable[BatchItemIn], *, all_or_none: bool, purpose: str | None
    ) -> AsyncIterator[Item]:
        """Send items in batches; yield what became of each, in order."""
        for batch in slices(items, all_or_none=all_or_none):
            answer = await self.send(batch_records(batch, purpose=purpose))
            for item in results(batch, answer.body):
                yield item

    async def follow(
        self, call: Callable[[str], Call[Any]], *, ends: bool
    ) -> AsyncIterator[ServerSentEvent]:
        """Yield the events of a stream, over as many connections as it takes."""
        following = Following(call, ends=ends, retries=self._house.retries)
        pause: float | None = 0.0
        while pause is not None:
            await self._sleep(pause)
            failed: KeyturnError | None = None
            try:
                async with self._stream(following.begin()) as pieces:
                    async for piece in pieces:
                        for event in following.feed(piece):
                            yield event
            except KeyturnError as error:
                failed = error
            pause = following.pause(failed)

    @asynccontextmanager
    async def _stream(self, call: Call[Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        request = call.request(self._http, self._house.origin(call), IDLE)
        try:
            answer = await self._http.send(request, stream=True)
            try:
                if not answer.is_success:
                    await answer.aread()
                    check(answer)
                yield answer.aiter_bytes()
            finally:
                await answer.aclose()
        except httpx.RequestError as error:
            raise unreachable(call, error) from error


class AsyncBound(Protocol):
    """A room of the client, which sends through `sender`."""

    sender: AsyncSender


def sent(
    make: Callable[A, Call[T]],
) -> Callable[Concatenate[Any, A], Coroutine[Any, Any, Answer[T]]]:
    """Return the method that sends what `make` makes."""

    @wraps(make)
    async def method(
        room: AsyncBound, /, *args: A.args, **kwargs: A.kwargs
    ) -> Answer[T]:
        return await room.sender.send(make(*args, **kwargs))

    return method
