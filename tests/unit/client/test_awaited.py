# SPDX-License-Identifier: Apache-2.0
"""Promise: the awaited client keeps what the blocking one promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from keyturn_client import AsyncKeyturn, ClientLogin
from keyturn_client.errors import Denied, Stale, Unreachable
from tests.unit.client.house import (
    RECORD,
    SECRET,
    Played,
    Script,
    house,
    problem,
    scripted,
    transport,
    written,
)

BROKEN = httpx.ReadError("broken")


@asynccontextmanager
async def playing(
    script: Script,
) -> AsyncIterator[tuple[AsyncKeyturn, Played]]:
    played = Played()

    async def sleep(seconds: float) -> None:
        played.slept.append(seconds)

    login = ClientLogin.of("crm", SECRET)
    mock = transport(played, script)
    async with AsyncKeyturn(house(), login, transport=mock, sleep=sleep) as keyturn:
        yield keyturn, played


async def test_a_key_is_kept_over_every_try() -> None:
    script = scripted(BROKEN, problem(503, "busy"), written())
    async with playing(script) as (keyturn, played):
        assert (await keyturn.records.create({})).status == 201
    assert len({r.headers["Idempotency-Key"] for r in played.requests}) == 1
    assert len(played.requests) == 3


async def test_a_patch_that_may_have_been_done_never_goes_again() -> None:
    async with playing(scripted(BROKEN)) as (keyturn, played):
        with pytest.raises(Unreachable):
            await keyturn.records.patch(RECORD, {}, etag="1")
    assert len(played.requests) == 1


async def test_a_token_is_renewed_once() -> None:
    old = problem(401, "token-expired")
    async with playing(scripted(written(), old, written())) as (keyturn, played):
        await keyturn.records.create({})
        await keyturn.records.create({})
    assert len(played.tokens) == 2


async def test_an_edit_reads_anew() -> None:
    seen = [
        httpx.Response(200, json={"n": n}, headers={"ETag": f'"{n}"'}) for n in (1, 2)
    ]
    script = scripted(seen[0], problem(412, "etag-stale"), seen[1], written())
    async with playing(script) as (keyturn, played):
        await keyturn.records.edit(RECORD, lambda _: {"tags": ["x"]})
    assert played.requests[-1].headers["If-Match"] == '"2"'
    lost = [a for one in seen * 3 for a in (one, problem(412, "etag-stale"))][:10]
    async with playing(scripted(*lost)) as (keyturn, _):
        with pytest.raises(Stale):
            await keyturn.records.edit(RECORD, lambda _: {"tags": ["x"]})


async def test_a_stream_comes_back() -> None:
    def sse(n: int) -> httpx.Response:
        return httpx.Response(200, text=f"id: {n}\nevent: a\ndata: {{}}\n\n")

    script = scripted(sse(1), BROKEN, sse(2), problem(403, "scope-missing"))
    found: list[int] = []
    async with playing(script) as (keyturn, played):
        with pytest.raises(Denied):
            found += [event.index async for event in keyturn.log.follow(0)]
    assert [r.headers.get("Last-Event-ID") for r in played.requests] == [
        None,
        "1",
        "1",
        "2",
    ]
    assert all(pause > 0 for pause in played.slept[1:])
