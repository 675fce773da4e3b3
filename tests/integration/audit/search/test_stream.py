# SPDX-License-Identifier: Apache-2.0
"""A monitor follows the log live, in order, each event once, also across reconnects."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx

from tests.fakes.clock import SettableClock
from tests.fakes.evidence import Lane
from tests.integration.audit.search.library import CLOCK, Library, bearer, verifier
from tests.integration.audit.search.test_search import reading


async def sent(lines: AsyncIterator[str]) -> tuple[int, str, str]:
    """Return the next event of a stream: id, type, data."""
    fields: dict[str, str] = {}
    async for line in lines:
        if not line and "data" in fields:
            return int(fields["id"]), fields["event"], fields["data"]
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            fields[name] = value
    raise AssertionError("the stream ended")


async def take(
    library: Library, count: int, party: str = "seller", **headers: str
) -> list[tuple[int, str, str]]:
    """Follow until `count` events came."""
    async with (
        library.served() as url,
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", "/v1/stream", headers={**bearer(party), **headers}) as got,
    ):
        assert got.status_code == 200
        lines = got.aiter_lines()
        return [await sent(lines) for _ in range(count)]


async def test_events_come_as_they_are_published_byte_for_byte(
    library: Library,
) -> None:
    vault = Lane("a")
    await library.add(vault, [vault.open()])
    async with (
        library.served() as url,
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", "/v1/stream", headers=bearer("seller")) as stream,
    ):
        lines = stream.aiter_lines()
        got = [await sent(lines)]  # its own trace: from here on it follows
        raws = [vault.write(reading().draft("seller")) for _ in range(2)]
        foreign = vault.write(reading().draft("buyer"))
        await library.add(vault, [*raws, foreign])
        got += [await sent(lines), await sent(lines)]
    assert got[0][1] == "org.keyturn.log.searched.v1"
    assert [data.encode() for _id, _type, data in got[1:]] == raws
    assert [index for index, _type, _data in got] == sorted({g[0] for g in got})


async def test_a_reconnect_goes_on_after_the_last_event(library: Library) -> None:
    vault = Lane("a")
    raws = [vault.open()]
    raws += [vault.write(reading().draft("seller")) for _ in range(450)]
    await library.add(vault, raws)
    first = await take(library, 300, **{"Last-Event-ID": "0"})
    rest = await take(library, 150, **{"Last-Event-ID": str(first[-1][0])})
    assert [data.encode() for _id, _type, data in first + rest] == raws[1:]


async def test_the_installations_own_people_follow_everybody(library: Library) -> None:
    vault = Lane("a")
    raws = [vault.open(), vault.write(reading().draft("buyer"))]
    await library.add(vault, raws)
    got = await take(library, 3, "platform", **{"Last-Event-ID": "0"})
    assert [data.encode() for _id, _type, data in got[:2]] == raws


async def test_a_stream_ends_when_the_service_stops(library: Library) -> None:
    async with (
        asyncio.timeout(5),
        library.served() as url,
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", "/v1/stream", headers=bearer("seller")) as got,
    ):
        library.app.state.stopping.set()
        async for _line in got.aiter_lines():
            pass


async def test_a_malformed_position_is_refused(library: Library) -> None:
    headers = {**bearer("seller"), "Last-Event-ID": "x"}
    answer = await library.http.get("/v1/stream", headers=headers)
    assert answer.status_code == 422


async def to_its_end(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines if not line.startswith((":", "retry"))]


async def test_a_stream_ends_with_its_token_and_a_new_one_goes_on(
    library: Library,
) -> None:
    vault = Lane("a")
    await library.add(vault, [vault.open()])
    clock = SettableClock(CLOCK.now())
    library.app.state.verifier = verifier(clock)
    async with (
        asyncio.timeout(10),
        library.served() as url,
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", "/v1/stream", headers=bearer("seller")) as got,
    ):
        lines = got.aiter_lines()
        last, _type, _data = await sent(lines)
        clock.advance(601)
        end = await to_its_end(lines)
        assert end == ["event: closed", 'data: {"code": "token-expired"}', ""]
    missed = vault.write(reading().draft("seller"))
    await library.add(vault, [missed])
    library.app.state.stopping.clear()
    library.app.state.verifier = verifier()
    (found,) = await take(library, 1, **{"Last-Event-ID": str(last)})
    assert found[2].encode() == missed


async def test_a_busy_stream_ends_with_its_token_too(library: Library) -> None:
    vault = Lane("a")
    raws = [vault.open()]
    raws += [vault.write(reading().draft("seller")) for _ in range(450)]
    await library.add(vault, raws)
    looks = 0

    class Waning(SettableClock):
        def now(self) -> datetime:
            nonlocal looks
            looks += 1
            return super().now() + timedelta(seconds=601 if looks > 100 else 0)

    library.app.state.verifier = verifier(Waning(CLOCK.now()))
    headers = {**bearer("seller"), "Last-Event-ID": "0"}
    async with (
        asyncio.timeout(10),
        library.served() as url,
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", "/v1/stream", headers=headers) as got,
    ):
        lines = await to_its_end(got.aiter_lines())
    assert 'data: {"code": "token-expired"}' in lines
    assert sum(line.startswith("id: ") for line in lines) < 100


async def test_a_stream_ends_when_its_caller_is_revoked(library: Library) -> None:
    moments: dict[str, float] = {}

    class Revocations:
        async def revoked_at(self, subject: str) -> float | None:
            return moments.get(subject)

    library.app.state.verifier = verifier(revocations=Revocations())
    async with (
        asyncio.timeout(10),
        library.served() as url,
        httpx.AsyncClient(base_url=url, timeout=10) as http,
        http.stream("GET", "/v1/stream", headers=bearer("seller")) as got,
    ):
        lines = got.aiter_lines()
        await sent(lines)
        moments["crm"] = CLOCK.now().timestamp()
        assert 'data: {"code": "token-invalid"}' in await to_its_end(lines)
