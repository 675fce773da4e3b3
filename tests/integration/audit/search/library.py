# SPDX-License-Identifier: Apache-2.0
"""A real log with its search room, filled by hand, served with real tokens."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from joserfc.jwk import KeySet, OKPKey
from nacl.signing import SigningKey

from contracts.events.head import Head
from contracts.scopes import Scope
from services.audit.intake.party_heads import PartyHeadDesk
from services.audit.intake.sources import SourceClient
from services.audit.log.arrivals import Group, read
from services.audit.log.files import TileFiles
from services.audit.log.operations import Batch, Log
from services.audit.log.reading import LogReadings
from services.audit.log.routes import router as log_router
from services.audit.schema import LOG, OWN_LANES, SEARCH
from services.audit.search.export import Exports
from services.audit.search.operations import Searches
from services.audit.search.projection import Projection
from services.audit.search.routes import router as search_router
from services.chassis.auth import (
    LocalKeys,
    Principal,
    PrincipalKind,
    TokenVerifier,
    access_claims,
    sign_access_token,
)
from services.chassis.clock import Clock, SystemClock, random_alias
from services.chassis.database import Database
from services.chassis.engines import Engines
from services.chassis.journal import Journal
from services.chassis.lanes import Source
from services.chassis.party_heads import PartyHeadSigner
from services.chassis.serve import create_service_app
from services.chassis.settings import ServiceSettings
from tests.fakes.evidence import SIGNER, SOURCE_KEYS, Lane
from tests.worlds import database

CLOCK = SystemClock()
INSTALLATION = "demo"  # as `tests.fakes.evidence` names it
AUDIT_KEY = SigningKey(b"\x03" * 32)
TOKEN_KEY = OKPKey.generate_key("Ed25519", {"kid": "test"})
SETTINGS = ServiceSettings(installation=INSTALLATION)
READ = (Scope.AUDIT_EVENTS, Scope.AUDIT_READ, Scope.AUDIT_EXPORT)


def bearer(
    party: str,
    *scopes: Scope,
    id_: str = "crm",
    kind: PrincipalKind = PrincipalKind.CLIENT,
) -> dict[str, str]:
    """Return the header of a real access token."""
    officer = kind is PrincipalKind.OFFICER
    principal = Principal(
        kind,
        id_,
        party,
        "owner" if officer else None,
        "p1" if officer else None,
        frozenset(scopes or READ),
    )
    claims = access_claims(
        principal,
        issuer=SETTINGS.issuer,
        audience=SETTINGS.audience,
        now=CLOCK.now(),
        lifetime_seconds=600,
        token_id=secrets.token_hex(8),
    )
    token = sign_access_token(claims, TOKEN_KEY)
    return {"Authorization": f"Bearer {token}"}


def verifier(clock: Clock = CLOCK, **options: Any) -> TokenVerifier:
    """Return who verifies the tokens of `bearer`."""
    return TokenVerifier(
        issuer=SETTINGS.issuer,
        audience=SETTINGS.audience,
        keys=LocalKeys(lambda: KeySet([TOKEN_KEY])),
        clock=clock,
        **options,
    )


class Library:
    """The log, its projection and its routes."""

    def __init__(self, log: Engines, search: Engines, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(
            log,
            OWN_LANES,
            Source(INSTALLATION, "audit", AUDIT_KEY),
            "audit-1/log",
            clock=CLOCK,
            new_id=random_alias,
        )
        self.log = Log(self.journal, TileFiles(folder / "log"), SIGNER)
        self.readings = LogReadings(self.log)
        self.database = Database(search, clock=CLOCK)
        self.sources: list[SourceClient] = []  # asked for party heads, beside audit
        self.projection = Projection(self.readings, self.database)
        self.app = self._app()
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1"
        )

    def _app(self) -> FastAPI:
        companions = {name: self.folder / name for name in ("log.vkey", "sources.json")}
        searches = Searches(self.readings, self.projection)
        own = PartyHeadSigner([self.journal], CLOCK)
        desk = PartyHeadDesk(INSTALLATION, self.sources, own)
        exports = Exports(self.readings, self.projection, companions, desk.ask)
        return create_service_app(
            settings=SETTINGS,
            routers=[
                log_router(self.log, public_log=True),
                search_router(searches, exports),
            ],
            verifier=verifier(),
            clock=CLOCK,
        )

    async def add(self, lane: Lane, raws: Sequence[bytes]) -> None:
        """Integrate events as intake would hand them over."""
        events = tuple(read(raw) for raw in raws)
        service = lane.source.rsplit(":", 1)[1]
        head = Head(INSTALLATION, lane.id, events[-1].seq, events[-1].leaf)
        signature = head.sign(SOURCE_KEYS[service])
        await self.log.integrate(Batch([Group(lane.id, service, events, signature)]))

    async def get(self, path: str, who: str = "seller", **query: str) -> httpx.Response:
        return await self.http.get(path, params=query, headers=bearer(who))

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve over a real socket, which streams need; gives the base URL."""
        config = uvicorn.Config(self.app, port=0, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            self.app.state.stopping.set()
            server.should_exit = True
            await task


def companions(folder: Path) -> None:
    """Write the public files that go with an export."""
    import base64
    import json

    keys = {**SOURCE_KEYS, "audit": AUDIT_KEY}
    sources = [
        {
            "service": name,
            "public_key": base64.b64encode(bytes(key.verify_key)).decode(),
        }
        for name, key in keys.items()
    ]
    document = {"installation": INSTALLATION, "sources": sources}
    (folder / "sources.json").write_text(json.dumps(document))
    (folder / "log.vkey").write_text(SIGNER.vkey + "\n")


@contextlib.asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Library]:
    """Give an empty library on fresh databases of a kind."""
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(database(kind, folder))
        search = stack.enter_context(database(kind, folder))
        LOG.create_all(log.writer)
        SEARCH.create_all(search.writer)
        companions(folder)
        made = Library(log, search, folder)
        await made.log.start()
        following = asyncio.create_task(made.projection.run())
        try:
            yield made
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await made.http.aclose()
            made.database.close()
            made.journal.close()
