# SPDX-License-Identifier: Apache-2.0
"""Transfer as processes: the server and the worker, wired here, once each.

Both open the same database under slots of their own, relay and follow their events,
and close in the reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import httpx
from fastapi import FastAPI

from contracts.law.pack import RulePack, parse_pack
from services.chassis import (
    lifeline,
    migrate,
    outbox_routes,
    party_heads_routes,
    telemetry,
)
from services.chassis.auth import (
    RemoteKeys,
    TokenSource,
    TokenVerifier,
    remote_revocations,
)
from services.chassis.auth.guards import TOKEN_PATH
from services.chassis.background import Background, stop_process
from services.chassis.clock import (
    Clock,
    SystemClock,
    random_alias,
    uuid7,
)
from services.chassis.database import DatabaseError
from services.chassis.journal import Journal
from services.chassis.log_reader import open_log
from services.chassis.party_heads import PartyHeadSigner
from services.chassis.rollback import RollbackCheck
from services.chassis.serve import arm_crash_point, create_service_app
from services.chassis.slots import SlotTaken, hold_slot
from services.chassis.telemetry import Metrics
from services.chassis.transport import http_client
from services.chassis.upkeep import Upkeep, show_check
from services.transfer.execution import Executions, Worker, progress
from services.transfer.handovers.operations import Handovers
from services.transfer.handovers.readings import Readings
from services.transfer.handovers.routes import router as handovers_router
from services.transfer.measuring import measure_handovers
from services.transfer.opening import Opening, credentials, init, open_transfer
from services.transfer.settings import TransferSettings
from services.transfer.vault_client import VaultClient

UPKEEP_SLOT: Final = "transfer-upkeep"
TAKE_OVER_SECONDS: Final = 1.0
GIVE_WAY_SECONDS: Final = 60.0  # a worker cannot be scraped: a server goes before it


def create_app(
    settings: TransferSettings,
    *,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
) -> FastAPI:
    """Return the transfer service of an initialised installation.

    Args:
        settings: Checked settings.
        clock: Another clock, for tests.
        http: A client of the vault, for tests.

    Raises:
        SettingsError, KeyFileRefused, EngineRefused: Transfer cannot be opened; the
            message says how to mend it.
    """
    return _application(open_base(settings, settings.server, clock, http))


def openapi(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAPI document; initialises the state directory of `environ`."""
    settings = TransferSettings.from_environ(environ)
    init(settings)
    base = _base(open_transfer(settings), settings.server, SystemClock())
    try:
        return _application(base).openapi()
    finally:
        base.journal.database.close()


def _application(base: Base) -> FastAPI:
    settings = base.settings
    opening, journal, clock = base.opening, base.journal, base.clock
    handovers = Handovers(
        journal,
        base.vault,
        installation=opening.installation,
        pack=base.pack,
        demonstration=settings.demonstration,
        clock=clock,
        new_id=lambda: str(uuid7()),
        new_alias=random_alias,
        answers=opening.answers(),
        progress=progress,
    )
    readings = Readings(
        journal,
        installation=opening.installation,
        rules_not_built=[gate.id for gate in base.pack.gates_not_built],
        clock=clock,
        progress=progress,
    )
    app = create_service_app(
        settings=settings,
        routers=[
            handovers_router(handovers, readings),
            outbox_routes.router([journal]),
            party_heads_routes.router(PartyHeadSigner([journal], clock)),
        ],
        lifespan=base.lifespan,
        verifier=TokenVerifier(
            issuer=settings.issuer,
            audience=settings.audience,
            keys=RemoteKeys(base.http, settings.jwks_url, clock),
            clock=clock,
            algorithms=settings.token_algorithms,
            bound_services=settings.tls_client_ca_file is not None,
            revocations=remote_revocations(
                settings, base.http, lambda: base.auth, clock
            ),
        ),
        checks={"handovers": base.writes},
        metrics=base.metrics,
        clock=clock,
    )
    app.state.base = base
    return app


async def run_worker(settings: TransferSettings) -> None:
    """Work until SIGTERM or SIGINT; batches in flight are finished first.

    Raises:
        SettingsError: `crash_at` names no crash point, `lifeline` no open file.
    """
    arm_crash_point(settings)
    telemetry.configure("transfer-worker", settings.log_level.value)
    lifeline.hold(settings)
    base = open_base(settings, settings.worker)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with base.running(GIVE_WAY_SECONDS):
        telemetry.logger().info("worker.started", slot=base.journal.slot)
        await base.worker().run(stopping)
    telemetry.logger().info("worker.stopped")


def open_base(
    settings: TransferSettings,
    process: str,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
) -> Base:
    """Open what server and worker both stand on; starts no lane yet."""
    clock = clock or SystemClock()
    opening = open_transfer(settings)
    migrate.prepare(opening.migrations(), settings)
    client_id, secret = credentials(settings)
    http = http or http_client(settings, base_url=settings.vault_url)
    auth = TokenSource(
        http,
        token_url=settings.vault_url + TOKEN_PATH,
        client_id=client_id,
        client_secret=secret,
        clock=clock,
    )
    return _base(opening, process, clock, http, auth)


def _base(
    opening: Opening,
    process: str,
    clock: Clock,
    http: httpx.AsyncClient | None = None,
    auth: httpx.Auth | None = None,
) -> Base:
    http = http or http_client(opening.settings, base_url=opening.settings.vault_url)
    return Base(
        opening=opening,
        journal=opening.journal(clock, f"{process}/handover", stop_process),
        vault=VaultClient(http, auth),
        http=http,
        auth=auth,
        clock=clock,
        metrics=Metrics(),
        pack=shipped_pack(),
    )


def shipped_pack() -> RulePack:
    """Return the rule pack that plans are built under."""
    return parse_pack(files("contracts.law.packs").joinpath("line-1.json").read_bytes())


@dataclass(frozen=True)
class Base:
    """One process of transfer, from its start to its orderly end."""

    opening: Opening
    journal: Journal
    vault: VaultClient
    http: httpx.AsyncClient
    auth: httpx.Auth | None
    clock: Clock
    metrics: Metrics
    pack: RulePack

    @property
    def settings(self) -> TransferSettings:
        """The process's settings."""
        return self.opening.settings

    def worker(self) -> Worker:
        """Return the worker of this process."""
        return Worker(
            Executions(self.journal, self.clock),
            self.vault,
            name=self.settings.worker,
            lease_seconds=self.settings.lease_seconds,
            parallel=self.settings.parallel,
        )

    async def writes(self) -> None:
        """Check that the database takes a write."""
        await self.journal.write(lambda _tx: None)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """As `running`, for an application."""
        async with self.running():
            yield

    @contextlib.asynccontextmanager
    async def running(self, give_way: float | None = None) -> AsyncIterator[None]:
        """Start what runs beside the work; end it after the last of it.

        Args:
            give_way: After so many seconds of upkeep another process may have it.
        """
        async with contextlib.AsyncExitStack() as stack:
            # Closed in the reverse order: tasks, then the lane, and the slot last.
            engines = self.journal.database.engines
            slot = hold_slot(engines, self.settings.state_dir, self.journal.slot)
            stack.callback(slot.release)
            stack.callback(self.journal.database.close)
            log = open_log(self.settings)
            stack.push_async_callback(log.close)
            check = RollbackCheck.of(self.settings, [self.journal], log)
            await check.before_start()
            stack.callback(_close, self.journal)
            self.journal.start()
            stack.push_async_callback(self.http.aclose)
            background = Background()
            stack.push_async_callback(background.stop)
            upkeep = self._upkeep(check)
            show_check(self.metrics, check)
            background.start(
                [
                    self._keep(upkeep, give_way),
                    check.run(stop_process),
                    *upkeep.measuring(),
                    measure_handovers(self.metrics, self.journal, self.clock),
                ]
            )
            yield

    async def _keep(self, upkeep: Upkeep, give_way: float | None) -> None:
        """Relay and follow, while no other process of this database does.

        All processes write one outbox, so one of them is enough to empty it; when it
        dies, its slot is free and another takes over.
        """
        engines = self.journal.database.engines
        while True:
            try:
                slot = hold_slot(engines, self.settings.state_dir, UPKEEP_SLOT)
            except SlotTaken:
                await asyncio.sleep(TAKE_OVER_SECONDS)
                continue
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(give_way), asyncio.TaskGroup() as group:
                        for work in upkeep.work():
                            group.create_task(work)
            finally:
                slot.release()
            await asyncio.sleep(2 * TAKE_OVER_SECONDS)

    def _upkeep(self, check: RollbackCheck) -> Upkeep:
        return Upkeep(
            self.settings,
            {"handover": self.journal},
            lambda: open_log(self.settings),
            clock=self.clock,
            metrics=self.metrics,
            keep_seconds=self.settings.outbox_keep_seconds,
            may_receipt=check.passed,
        )


def _close(journal: Journal) -> None:
    # A lane that was fenced, or whose database is gone, is ended by its successor.
    with contextlib.suppress(DatabaseError):
        journal.close()
