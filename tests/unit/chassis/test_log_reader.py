# SPDX-License-Identifier: Apache-2.0
"""Promise: whatever stands at the log's address can neither stop nor fill its reader."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.chassis import log_reader
from services.chassis.follower import LogUnreachable
from services.chassis.log_reader import HttpLog

LANE = "0a" * 16
GOOD: dict[str, Any] = {
    "lane": LANE,
    "seq": 3,
    "leaf_hash": "sha256:" + "00" * 32,
    "head": base64.b64encode(bytes(64)).decode(),
    "followers": ["0b" * 16],
}


class Endless(httpx.AsyncByteStream):
    """A body that does not end; counts what was taken of it."""

    def __init__(self, pause: float = 0.0) -> None:
        self.taken = 0
        self._pause = pause

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self._pause)
            self.taken += 1024
            yield bytes(1024)


def log(answer: httpx.Response) -> HttpLog:
    return HttpLog("http://log", httpx.MockTransport(lambda _request: answer))


async def test_a_lanes_end_is_read() -> None:
    end = await log(httpx.Response(200, json=GOOD)).lane_end("i", LANE)
    assert end is not None
    assert (end.head.seq, end.followers) == (3, ("0b" * 16,))


async def test_an_unknown_lane_is_none() -> None:
    assert await log(httpx.Response(404)).lane_end("i", LANE) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 4000,
        b"[]",
        b"null",
        b'{"seq": Infinity}',
        *(
            json.dumps({**GOOD, **wrong}).encode()
            for wrong in (
                {"lane": "0b" * 16},
                {"seq": 0},
                {"seq": True},
                {"seq": 1.5},
                {"seq": 2**70},
                {"seq": float("inf")},
                {"leaf_hash": "sha256:zz"},
                {"head": "not base64"},
                {"followers": "0b" * 16},
                {"followers": ["a\u0000b"]},
                {"followers": ["../v1/alerts"]},
                {"followers": [7]},
                {"followers": None},
            )
        ),
    ],
)
async def test_an_answer_that_is_none_is_a_log_that_is_away(body: bytes) -> None:
    with pytest.raises(LogUnreachable):
        await log(httpx.Response(200, content=body)).lane_end("i", LANE)


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_an_endless_answer_is_not_kept(status: int) -> None:
    body = Endless()
    with pytest.raises(LogUnreachable):
        await log(httpx.Response(status, stream=body)).checkpoint()
    assert body.taken <= 2 * log_reader.MAX_NOTE_BYTES


async def test_an_answer_by_drops_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_reader, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(LogUnreachable):
        await log(httpx.Response(200, stream=Endless(0.05))).lane_end("i", LANE)
