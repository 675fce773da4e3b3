# SPDX-License-Identifier: Apache-2.0
"""Audit as an application: everything is wired here, once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI

from contracts.events.topics import TOPICS
from contracts.log.checkpoint import Checkpoint
from contracts.log.tiles import tile_path
from services.audit.intake.operations import Intake
from services.audit.intake.party_heads import PartyHeadDesk
from services.audit.intake.sources import SourceClient, SourceKeys
from services.audit.log.files import CHECKPOINT, FileMissing, TileFiles
from services.audit.log.operations import Log
from services.audit.log.reading import LogReadings
from services.audit.log.routes import router as log_router
from services.audit.measuring import Measuring
from services.audit.opening import Opening, init, open_audit
from services.audit.search.export import Exports
from services.audit.search.operations import Searches
from services.audit.search.party_view import Heads
from services.audit.search.projection import Projection
from services.audit.search.routes import router as search_router
from services.audit.settings import AuditSettings
from services.chassis import installation, migrate, outbox_routes, party_heads_routes
from services.chassis.auth import (
    RemoteKeys,
    TokenSource,
    TokenVerifier,
    remote_revocations,
)
from services.chassis.background import Background, stop_process
from services.chassis.bus import BusUnavailable, Subscriber, ensure_topics
from services.chassis.clock import Clock, SystemClock
from services.chassis.database import DatabaseError
from services.chassis.follower import LogUnreachable
from services.chassis.key_files import private_directory, read_private
from services.chassis.party_heads import PartyHeadSigner
from services.chassis.serve import create_service_app
from services.chassis.slots import hold_slot
from services.chassis.telemetry import Metrics
from services.chassis.transport import client_context, http_client, kafka_security
from services.chassis.upkeep import Upkeep, broker_address
from services.chassis.variables import Secret

RETRY_SECONDS: Final = 1.0


class LocalLog:
    """A `LogReader` over the files that this process publishes itself."""

    def __init__(self, files: TileFiles) -> None:
        self._files = files

    async def checkpoint(self) -> bytes:
        """Return the signed note. Raises LogUnreachable."""
        return self._read(CHECKPOINT)

    async def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """Return `width` hashes of 32 bytes. Raises LogUnreachable."""
        return self._read(tile_path(level, index, width))

    def _read(self, path: str) -> bytes:
        try:
            return self._files.read(path)
        except FileMissing as exc:
            raise LogUnreachable("not published yet") from exc


def create_app(
    settings: AuditSettings,
    *,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
) -> FastAPI:
    """Return the audit service of an initialised installation.

    Args:
        settings: Checked settings.
        clock: Another clock, for tests.
        http: A client of the vault, for tests.

    Raises:
        SettingsError, KeyFileRefused, EngineRefused, SourcesMalformed: Audit cannot be
            opened; the message says how to mend it.
    """
    clock = clock or SystemClock()
    opening = open_audit(settings)
    migrate.prepare(opening.migrations(), settings)
    run = _Run(opening, clock, Metrics(), http or http_client(settings))
    app = create_service_app(
        settings=settings,
        routers=[
            log_router(run.log, public_log=settings.public_log),
            search_router(run.searches, run.exports),
            outbox_routes.router([run.journal]),
            party_heads_routes.router(run.signer),
        ],
        lifespan=run.lifespan,
        verifier=TokenVerifier(
            issuer=settings.issuer,
            audience=settings.audience,
            keys=RemoteKeys(run.http, settings.jwks_url, clock),
            clock=clock,
            algorithms=settings.token_algorithms,
            bound_services=settings.tls_client_ca_file is not None,
            revocations=remote_revocations(settings, run.http, lambda: run.auth, clock),
        ),
        checks={"log": run.writes},
        metrics=run.metrics,
        clock=clock,
    )
    app.state.log = run.log
    app.state.run = run
    app.state.search = run.search
    return app


class _Run:
    """One run of the application, from its start to its orderly end."""

    def __init__(
        self,
        opening: Opening,
        clock: Clock,
        metrics: Metrics,
        http: httpx.AsyncClient,
    ) -> None:
        self._opening = opening
        self._settings = opening.settings
        self._clock = clock
        self.metrics = metrics
        self.http = http
        self.journal = opening.journal(clock, stop_process)
        self.log = Log(self.journal, opening.files(), opening.signer)
        readings = LogReadings(self.log)
        self.search = opening.search(clock)
        self._projection = Projection(readings, self.search)
        self.searches = Searches(readings, self._projection)
        self.signer = PartyHeadSigner([self.journal], clock)
        companions = (installation.LOG_VKEY, installation.SOURCES)
        self.exports = Exports(
            readings,
            self._projection,
            {name: self._settings.state_dir / name for name in companions},
            self._ask_heads,
        )
        self._upkeep = Upkeep(
            opening.settings,
            {"log": self.journal},
            lambda: LocalLog(self.log.files),
            clock=clock,
            metrics=metrics,
            keep_seconds=opening.settings.outbox_keep_seconds,
        )
        self._measuring = Measuring(metrics, self.log, self._projection, clock)

    async def writes(self) -> None:
        """Check that the log's database takes a write."""
        await self.journal.write(lambda _tx: None)

    def close(self) -> None:
        """End the lane in good order and close the databases."""
        self._projection.database.close()
        # A lane that was fenced, or whose database is gone, is ended by its successor.
        with contextlib.suppress(DatabaseError):
            self.journal.close()

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Start what runs beside the requests; end it after the last of them."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.http.aclose)
            stack.push_async_callback(self._close_sources)
            await self._open(stack)
            background = Background()
            stack.push_async_callback(background.stop)
            background.start(
                [
                    *self._upkeep.work(),
                    *self._upkeep.measuring(),
                    self._intake(),
                    self._projection.run(),
                ]
            )
            yield

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        engines = self.journal.database.engines
        slot = hold_slot(engines, self._settings.state_dir, self.journal.slot)
        stack.callback(slot.release)
        stack.callback(self.close)
        stack.push_async_callback(self.log.close)
        await self.log.start()

    async def _close_sources(self) -> None:
        for source in self.__dict__.get("_sources", ()):  # where they were ever asked
            await source.close()

    async def _intake(self) -> None:
        """Take in what the sources send, once their keys are known."""
        settings = self._settings
        await self._topics()
        keys = SourceKeys.load(settings.state_dir / installation.SOURCES)
        topics = [topic for service, topic in TOPICS.items() if service != "audit"]
        intake = Intake(
            self.log,
            keys,
            Subscriber(
                lambda: broker_address(settings), topics, kafka_security(settings)
            ),
            self._sources,
        )
        watch = asyncio.create_task(self._measuring.run(intake))
        try:
            await intake.run()
        finally:
            watch.cancel()

    async def _topics(self) -> None:
        """Create the topics where the bus is a real one."""
        settings = self._settings
        while settings.kafka_servers is not None:
            try:
                await ensure_topics(
                    lambda: broker_address(settings),
                    list(TOPICS.values()),
                    settings.kafka_copies,
                    kafka_security(settings),
                )
            except BusUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    @cached_property
    def _sources(self) -> list[SourceClient]:
        settings = self._settings
        context = client_context(settings)
        return [
            SourceClient(name, url, self.auth, verify=context)
            for name, url in (
                ("vault", settings.vault_url),
                ("transfer", settings.transfer_url),
            )
        ]

    async def _ask_heads(self, party: str, seen: Checkpoint) -> Heads:
        desk = PartyHeadDesk(self._opening.installation, self._sources, self.signer)
        return await desk.ask(party, seen)

    @cached_property
    def auth(self) -> httpx.Auth:
        """Audit's own tokens; its credentials are read when first needed."""
        path = self._settings.keys_dir / "clients" / "audit.json"
        credentials = json.loads(read_private(path))
        return TokenSource(
            self.http,
            token_url=f"{self._settings.vault_url}/v1/token",
            client_id=credentials["client_id"],
            client_secret=Secret(credentials["client_secret"]),
            clock=self._clock,
        )


def openapi(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAPI document; needs no installation and leaves none behind."""
    settings = AuditSettings.from_environ(environ)
    with tempfile.TemporaryDirectory() as folder:
        state, keys = Path(folder) / "state", Path(folder) / "keys"
        private_directory(state)
        made = {"installation": settings.installation_id, "created_at": "2026"}
        (state / installation.INSTALLATION).write_text(json.dumps(made))
        settings = replace(settings, state_dir=state, keys_dir=keys, database_url=None)
        init(settings)
        app = create_app(settings)
        try:
            return app.openapi()
        finally:
            app.state.run.close()
