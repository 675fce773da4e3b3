# SPDX-License-Identifier: Apache-2.0
"""Two real sources beside a real log: what they commit, intake carries into it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from sqlalchemy import MetaData

from contracts.events import vault as vault_events
from contracts.events.payload import EventDraft
from contracts.scopes import Scope
from services.audit.intake.operations import Intake
from services.audit.intake.sources import SourceClient, SourceKeys
from services.audit.log import store
from services.chassis.bus import BusUnavailable, Subscriber
from services.chassis.clock import random_alias
from services.chassis.engines import Engines
from services.chassis.journal import Journal
from services.chassis.lanes import Source, define_tables
from services.chassis.outbox_routes import router as outbox_router
from services.chassis.party_heads import PartyHeadSigner
from services.chassis.party_heads_routes import router as party_heads_router
from services.chassis.serve import create_service_app
from tests.fakes.evidence import SOURCE_KEYS
from tests.integration.audit.search.library import (
    CLOCK,
    INSTALLATION,
    SETTINGS,
    Library,
    bearer,
    verifier,
)
from tests.worlds import database


class Bearer(httpx.Auth):
    def auth_flow(self, request: httpx.Request):
        request.headers.update(bearer("platform", Scope.OUTBOX_READ, id_="audit"))
        yield request


class Desk(httpx.AsyncBaseTransport):
    """A source: a journal, served over its own routes; it can be made unreachable."""

    def __init__(self, service: str, engines: Engines) -> None:
        self.service = service
        self.reachable = True
        self._engines = engines
        lanes = MetaData()
        self.tables = define_tables(lanes)
        lanes.create_all(engines.writer)
        self.journal = self._open()
        self.client = SourceClient(service, "http://127.0.0.1", Bearer(), self)

    def _open(self) -> Journal:
        source = Source(INSTALLATION, self.service, SOURCE_KEYS[self.service])
        journal = Journal(
            self._engines,
            self.tables,
            source,
            f"{self.service}-1/changes",
            clock=CLOCK,
            new_id=random_alias,
        )
        journal.start()
        self.app = create_service_app(
            settings=SETTINGS,
            routers=[
                outbox_router([journal]),
                party_heads_router(PartyHeadSigner([journal], CLOCK)),
            ],
            verifier=verifier(),
            clock=CLOCK,
        )
        return journal

    def restart(self) -> None:
        """End the lane in good order, and begin another."""
        self.journal.close()
        self.journal = self._open()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.reachable:
            raise httpx.ConnectError("down")
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
        return await transport.handle_async_request(request)

    async def get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1"
        ) as client:
            return await client.get(path, headers=headers)

    async def write(self, count: int, *parties: str) -> None:
        await asyncio.gather(
            *(self.journal.append(draft(*parties)) for _ in range(count))
        )


def draft(*parties: str) -> EventDraft:
    one = vault_events.RecordRead(
        client="crm",
        purpose="contract",
        record="ab" * 16,
        classes=["basic"],
        view="full",
        policy="p1",
    ).draft(parties[0])
    return EventDraft(one.type, one.classification, parties, one.data)


class House:
    """A vault, a transfer and the log that takes in what both commit."""

    def __init__(self, library: Library, vault: Desk, transfer: Desk) -> None:
        self.library, self.vault, self.transfer = library, vault, transfer

    async def settled(self) -> None:
        """Wait until every committed event is a published, findable leaf."""
        async with asyncio.timeout(20):
            while not await self._is_settled():  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)

    async def _is_settled(self) -> bool:
        read = self.library.log.journal.database.read
        held = {row.lane: row.seq for row in await read(store.positions)}
        heads = [
            signed.head
            for desk in (self.vault, self.transfer)
            for signed in await desk.client.heads(INSTALLATION)
        ]
        whole = all(held.get(head.lane, 0) >= head.seq for head in heads)
        return (
            whole and self.library.projection.size >= (await read(store.tree_row)).size
        )


def no_broker() -> str:
    raise BusUnavailable("there is none")


@contextlib.asynccontextmanager
async def opened(kind: str, folder: Path, library: Library) -> AsyncIterator[House]:
    """Give a house in which intake runs, without any bus."""
    with contextlib.ExitStack() as stack:
        desks = {}
        for service in ("vault", "transfer"):
            engines = stack.enter_context(database(kind, folder))
            desks[service] = Desk(service, engines)
            library.sources.append(desks[service].client)
        keys = {name: [key.verify_key] for name, key in SOURCE_KEYS.items()}
        intake = Intake(
            library.log,
            SourceKeys(INSTALLATION, keys),
            Subscriber(no_broker, []),
            list(library.sources),
        )
        task = asyncio.create_task(intake.run())
        try:
            yield House(library, **desks)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for desk in desks.values():
                await desk.client.close()
                desk.journal.close()
