# SPDX-License-Identifier: Apache-2.0
"""A source and the log, joined as in an installation: journal, relay, broker, intake.

The source stands in for the vault: a chassis journal on a real database whose outbox
is served by the chassis' own routes behind a real access token.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy import MetaData

from contracts.events import vault as vault_events
from contracts.events.payload import EventDraft
from contracts.events.topics import TOPICS
from contracts.log.tiles import tile_path
from contracts.scopes import Scope
from services.audit.intake.operations import Intake
from services.audit.intake.sources import SourceClient, SourceKeys
from services.audit.log import store
from services.audit.log.files import TileFiles
from services.audit.log.operations import Log
from services.audit.schema import LOG, OWN_LANES, SEARCH
from services.chassis.auth import (
    LocalKeys,
    Principal,
    PrincipalKind,
    TokenVerifier,
    access_claims,
    sign_access_token,
)
from services.chassis.bus import Address, BusUnavailable, Publisher, Subscriber
from services.chassis.clock import SystemClock, random_alias
from services.chassis.engines import Engines, postgres_engines, sqlite_engines
from services.chassis.follower import Follower
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef, LaneTables, Source, define_tables
from services.chassis.outbox_routes import router as outbox_router
from services.chassis.relay import Relay
from services.chassis.serve import create_service_app
from services.chassis.settings import ServiceSettings
from tests.integration.audit.checking import (
    AUDIT_KEY,
    INSTALLATION,
    PUBLIC,
    SIGNER,
    VAULT_KEY,
    check_log,
    published_entries,
)
from tests.worlds import World, postgres_database

CLOCK = SystemClock()
AUDIENCE = f"urn:keyturn:{INSTALLATION}"
ISSUER = f"{AUDIENCE}:issuer"
TOKEN_KEY = OKPKey.generate_key("Ed25519", {"kid": "test"})
VERIFIER = TokenVerifier(
    issuer=ISSUER,
    audience=AUDIENCE,
    keys=LocalKeys(lambda: KeySet([TOKEN_KEY])),
    clock=CLOCK,
)


def token(party: str, *scopes: Scope, id_: str = "somebody") -> str:
    """Return a real access token of a client of `party`."""
    principal = Principal(
        PrincipalKind.CLIENT, id_, party, None, None, frozenset(scopes)
    )
    claims = access_claims(
        principal,
        issuer=ISSUER,
        audience=AUDIENCE,
        now=CLOCK.now(),
        lifetime_seconds=600,
        token_id=secrets.token_hex(8),
    )
    return sign_access_token(claims, TOKEN_KEY)


class Bearer(httpx.Auth):
    def __init__(self, text: str) -> None:
        self._text = text

    def auth_flow(self, request: httpx.Request):
        request.headers["Authorization"] = f"Bearer {self._text}"
        yield request


def read_event(party: str = "seller", record: str = "ab" * 16) -> EventDraft:
    return vault_events.RecordRead(
        client="crm",
        purpose="contract",
        record=record,
        classes=["basic"],
        view="full",
        policy="p1",
    ).draft(party)


class Store:
    """A fresh database of a kind, with its tables, opened as often as one likes."""

    def __init__(
        self, connect: Callable[[], Engines], *metadata: MetaData, path: Path | None
    ) -> None:
        self.connect = connect
        self.path = path
        engines = connect()
        for tables in metadata:
            tables.create_all(engines.writer)
        engines.dispose()


def stored(
    kind: str, folder: Path, stack: contextlib.ExitStack, *metadata: MetaData
) -> Store:
    if kind == "sqlite":
        path, key = folder / f"{secrets.token_hex(4)}.db", secrets.token_bytes(32)
        return Store(lambda: sqlite_engines(path, key), *metadata, path=path)
    url = stack.enter_context(postgres_database())
    assert url is not None
    return Store(lambda: postgres_engines(url), *metadata, path=None)


class Vault:
    """A source: its journal, its outbox routes, its relay and its follower."""

    def __init__(self, house: House, database: Store, tables: LaneTables) -> None:
        self.house = house
        self.database = database
        self.tables = tables
        self.written: list[EventRef] = []
        self.alarms: list[str] = []
        self.journal = self._open()
        self.reachable = True

    def _open(self) -> Journal:
        journal = Journal(
            self.database.connect(),
            self.tables,
            Source(INSTALLATION, "vault", VAULT_KEY),
            "vault-1/changes",
            clock=CLOCK,
            new_id=random_alias,
        )
        journal.start()
        self.app = create_service_app(
            settings=ServiceSettings(installation=INSTALLATION),
            routers=[outbox_router([journal])],
            verifier=VERIFIER,
        )
        return journal

    def restart(self) -> None:
        """Die without closing the lane, and come back."""
        self.journal.database.close()
        self.journal = self._open()

    async def write(self, count: int, draft: EventDraft | None = None) -> None:
        event = draft or read_event()
        self.written += await asyncio.gather(
            *(self.journal.append(event) for _ in range(count))
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.reachable:
            raise httpx.ConnectError("down")
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        return


class SwitchedTransport(httpx.AsyncBaseTransport):
    """Reaches whatever application the vault has now, or nothing."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._house.vault.handle_async_request(request)


class House:
    """An installation: one vault, one audit, a broker somewhere."""

    def __init__(self, folder: Path, world: World, address: Address) -> None:
        self.folder = folder
        self.address = address
        self._stack = contextlib.ExitStack()
        lanes = MetaData()
        tables = define_tables(lanes)
        vault = stored(world.database, folder, self._stack, lanes)
        self.vault = Vault(self, vault, tables)
        self.store = stored(world.database, folder, self._stack, LOG, SEARCH)
        self.search_store = (
            self.store
            if world.database == "postgres"
            else stored(world.database, folder, self._stack, SEARCH)
        )
        self.files = TileFiles(folder / "log")
        self._tasks: list[asyncio.Task[Any]] = []
        self._opened: list[Journal] = []
        self.log = self.open_log()
        self.intake: Intake | None = None

    # --- audit -------------------------------------------------------------------

    def open_log(self) -> Log:
        journal = Journal(
            self.store.connect(),
            OWN_LANES,
            Source(INSTALLATION, "audit", AUDIT_KEY),
            "audit-1/log",
            clock=CLOCK,
            new_id=random_alias,
        )
        self._opened.append(journal)
        return Log(journal, self.files, SIGNER)

    async def start(self, *, relay: bool = True, intake: bool = True) -> None:
        await self.log.start()
        if relay:
            self.task(Relay(self.vault.journal, Publisher(self.address)).run())
        if intake:
            self.start_intake()

    def start_intake(self) -> asyncio.Task[Any]:
        keys = SourceKeys(INSTALLATION, {name: [key] for name, key in PUBLIC.items()})
        source = SourceClient(
            "vault",
            "http://127.0.0.1",
            Bearer(token("platform", Scope.OUTBOX_READ)),
            SwitchedTransport(self),
        )
        topics = [topic for service, topic in TOPICS.items() if service != "audit"]
        subscriber = Subscriber(self.address, topics)
        self.intake = Intake(self.log, keys, subscriber, [source])
        return self.task(self.intake.run())

    def follower(self) -> Follower:
        return Follower(
            self.vault.journal,
            LocalLogFiles(self.files),
            SIGNER.verifier,
            clock=CLOCK,
            horizon_seconds=0,
            on_alarm=self.vault.alarms.append,
        )

    def task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        """End what runs; a task that had failed says so here."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self.log.close()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def restart_audit(self) -> None:
        """Stop audit without closing its lane, and start it again."""
        await self.stop()
        self.log.journal.database.close()
        self.log = self.open_log()

    async def aclose(self) -> None:
        try:
            await self.stop()
        finally:
            for journal in [self.vault.journal, *self._opened]:
                with contextlib.suppress(Exception):
                    journal.database.close()
            self._stack.close()

    # --- what tests wait for and check ---------------------------------------------

    def integrated(self) -> dict[str, int]:
        rows = self.log.journal.database.read_now(store.positions)
        return {row.lane: row.seq for row in rows}

    async def until(self, told: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not told():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

    async def until_integrated(self, seconds: float = 20) -> None:
        """Wait until each lane's written events are leaves under the checkpoint."""
        wanted: dict[str, int] = {}
        for ref in self.vault.written:
            wanted[ref.lane] = max(wanted.get(ref.lane, 0), ref.seq)

        def told() -> bool:
            held = self.integrated()
            return all(held.get(lane, 0) >= seq for lane, seq in wanted.items())

        await self.until(told, seconds)
        committed = self.log.journal.database.read_now(store.tree_row).size
        await self.until(lambda: self.log.size >= committed)

    def alerts(self) -> list[tuple[str, str, int]]:
        rows = self.log.journal.database.read_now(lambda c: store.alerts(c, 100))
        return sorted((row.code, row.lane, row.seq) for row in rows)

    def leaves(self) -> list[bytes]:
        """Every entry, read from the published bundles alone."""
        return published_entries(self.files.folder)

    async def check_log(self, *expected_findings: str) -> list[bytes]:
        """Verify the published log offline as a stranger would; return its entries."""
        read = self.log.journal.database.read_now
        await self.until(  # what is committed is about to be published
            lambda: self.files.checkpoint() == read(store.tree_row).checkpoint
        )
        return check_log(
            self.folder,
            self.files.folder,
            self.log.journal.database.read_now(store.positions),
            self.vault.written,
            expected_findings,
        )


class LocalLogFiles:
    """A `LogReader` over files."""

    def __init__(self, files: TileFiles) -> None:
        self._files = files

    async def checkpoint(self) -> bytes:
        note = self._files.checkpoint()
        assert note is not None
        return note

    async def hash_tile(self, level: int, index: int, width: int) -> bytes:
        return self._files.read(tile_path(level, index, width))


@contextlib.asynccontextmanager
async def opened(folder: Path, world: World, address: Address) -> AsyncIterator[House]:
    house = House(folder, world, address)
    try:
        yield house
    finally:
        await house.aclose()


def no_broker() -> str:
    raise BusUnavailable("there is none")
