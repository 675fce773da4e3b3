# SPDX-License-Identifier: Apache-2.0
"""The vault as an application: everything is wired here, once.

`create_app` opens the databases and builds the rooms; the lifespan takes the slots,
opens the lanes, relays and follows, and closes in the reverse order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import httpx
from fastapi import APIRouter, FastAPI

from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from services.chassis import outbox, outbox_routes, telemetry
from services.chassis.auth import KeySource, LocalKeys, RemoteKeys, TokenVerifier
from services.chassis.bus import BusUnavailable, Publisher
from services.chassis.clock import Clock, SystemClock, milliseconds, random_bytes, uuid7
from services.chassis.database import Database, DatabaseError
from services.chassis.follower import Follower
from services.chassis.idempotency import IdempotencyStore
from services.chassis.journal import Journal
from services.chassis.key_files import load_seed
from services.chassis.log_reader import HttpLog
from services.chassis.relay import Relay
from services.chassis.serve import create_service_app
from services.chassis.slots import HeldSlot, hold_slot
from services.chassis.telemetry import Metrics
from services.vault.catalogue import Catalogues
from services.vault.catalogue.routes import router as catalogue_router
from services.vault.keys.keyring import Keyring
from services.vault.keys.sealing import NONCE_BYTES, Key, open_sealed, seal
from services.vault.opening import Opening, open_vault
from services.vault.parties import Parties
from services.vault.parties.issuer import TokenIssuer
from services.vault.parties.routes import router as parties_router
from services.vault.schema import IDEMPOTENCY
from services.vault.settings import VaultSettings

WATCH_SECONDS: Final = 2.0
WAIT_FOR_LOG_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Rooms:
    """The rooms of one process, and what they stand on.

    Attributes:
        changes: Journal of changes; the records' database.
        reads: Journal of reads.
        keys: The key database.
        idempotency: Answers to repeated requests, in the records' database.
    """

    changes: Journal
    reads: Journal
    keys: Database
    keyring: Keyring
    issuer: TokenIssuer
    parties: Parties
    catalogues: Catalogues
    idempotency: IdempotencyStore

    def databases(self) -> list[Database]:
        """Return every open database of this process."""
        return [self.reads.database, self.changes.database, self.keys]

    def routers(self) -> list[APIRouter]:
        """Return the routers of every room, in the order of the documentation.

        The records, custody, access and mandate rooms add theirs here.
        """
        return [
            parties_router(self.parties, self.issuer),
            catalogue_router(self.catalogues),
            outbox_routes.router([self.changes, self.reads]),
        ]


def create_app(settings: VaultSettings, *, clock: Clock | None = None) -> FastAPI:
    """Return the vault of an initialised installation.

    Raises:
        SettingsError, RootKeyError, KeysNotReady, KeyFileRefused, EngineRefused:
            The vault cannot be opened; the message says how to mend it.
    """
    clock = clock or SystemClock()
    opening = open_vault(settings)
    rooms = build_rooms(opening, clock)
    metrics = Metrics()
    run = _Run(opening, rooms, clock, metrics)
    app = create_service_app(
        settings=settings,
        routers=rooms.routers(),
        lifespan=run.lifespan,
        verifier=TokenVerifier(
            issuer=settings.issuer,
            audience=settings.audience,
            keys=run.issuer_keys(),
            clock=clock,
            algorithms=settings.token_algorithms,
        ),
        checks={
            "changes": lambda: _writes(rooms.changes.database),
            "reads": lambda: _writes(rooms.reads.database),
            "keys": lambda: _writes(rooms.keys),
        },
        metrics=metrics,
        clock=clock,
    )
    app.state.rooms = rooms
    return app


def build_rooms(opening: Opening, clock: Clock) -> Rooms:
    """Open the databases and build the rooms over them; starts no lane yet."""
    settings = opening.settings
    changes = opening.changes(clock, f"{settings.worker}/changes", _stop_process)
    reads = opening.reads(clock, f"{settings.worker}/reads", _stop_process)
    keys = opening.keys(clock)
    keyring = opening.keyring(keys, changes)
    keyring.check_root()
    issuer = TokenIssuer(
        load_seed(settings.keys_dir / "issuer.key", "issuer"),
        issuer=f"urn:keyturn:{opening.installation}:issuer",
        audience=settings.audience,
        seconds=settings.token_seconds,
        clock=clock,
        new_id=lambda: str(uuid7()),
    )
    return Rooms(
        changes=changes,
        reads=reads,
        keys=keys,
        keyring=keyring,
        issuer=issuer,
        parties=Parties(
            changes,
            issuer,
            installation=opening.installation,
            secrets_key=opening.database_keys["clients"].secret,
            clock=clock,
        ),
        catalogues=Catalogues(
            changes, clock=clock, memory_seconds=settings.catalogue_seconds
        ),
        idempotency=_idempotency(opening.database_keys["idempotency"]),
    )


def _idempotency(key: Key) -> IdempotencyStore:
    return IdempotencyStore(
        IDEMPOTENCY,
        secret=key.secret,
        seal=lambda context, raw: seal(key, raw, context, random_bytes(NONCE_BYTES)),
        unseal=lambda context, sealed: open_sealed(key, sealed, context),
    )


async def _writes(database: Database) -> None:
    await database.write(lambda _tx: None)


def _stop_process(why: str) -> None:
    """Ask this process to end: another writer took its lane, or the disk failed."""
    telemetry.logger().error("vault.stopping", reason=why.replace(" ", "-"))
    os.kill(os.getpid(), signal.SIGTERM)


class _Run:
    """One run of the application, from its start to its orderly end."""

    def __init__(
        self, opening: Opening, rooms: Rooms, clock: Clock, metrics: Metrics
    ) -> None:
        self._opening = opening
        self._settings = opening.settings
        self._rooms = rooms
        self._clock = clock
        self._http: httpx.AsyncClient | None = None
        self._outbox_age = metrics.outbox_age
        self._outbox_events = metrics.outbox_events
        self._relay_up = metrics.gauge(
            "relay_up", "Whether the bus took the last events.", "journal"
        )
        self._follower_alarm = metrics.gauge(
            "follower_alarm", "Whether the published log contradicts itself.", "journal"
        )

    def issuer_keys(self) -> KeySource:
        """Return where the keys of accepted tokens come from."""
        if self._settings.external_issuer is None:
            return LocalKeys(self._rooms.issuer.key_set)
        self._http = httpx.AsyncClient()
        return RemoteKeys(self._http, self._settings.jwks_url, self._clock)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Start what runs beside the requests; end it after the last of them."""
        async with contextlib.AsyncExitStack() as stack:
            # Closed in the reverse order: tasks, then the journals' lanes, then keys,
            # and the slots last, when nothing of this process can write any more.
            for slot in self._hold_slots():
                stack.callback(slot.release)
            stack.callback(self._rooms.keys.close)
            for journal in (self._rooms.changes, self._rooms.reads):
                stack.callback(_close, journal)
                journal.start()
            if self._http is not None:
                stack.push_async_callback(self._http.aclose)
            tasks = [asyncio.create_task(work) for work in self._work(self._journals())]
            stack.push_async_callback(_cancel, tasks)
            yield

    def _hold_slots(self) -> list[HeldSlot]:
        engines = self._rooms.changes.database.engines
        held: list[HeldSlot] = []
        try:
            for journal in (self._rooms.changes, self._rooms.reads):
                slot = hold_slot(engines, self._settings.state_dir, journal.slot)
                held.append(slot)
        except Exception:
            for slot in held:
                slot.release()
            # Nothing was written yet, and without its slot this process must not.
            for database in self._rooms.databases():
                database.close()
            raise
        return held

    def _journals(self) -> dict[str, Journal]:
        """Return each journal with tables of its own: on PostgreSQL it is one."""
        if self._opening.embedded:
            return {"changes": self._rooms.changes, "reads": self._rooms.reads}
        return {"changes": self._rooms.changes}

    def _work(self, journals: dict[str, Journal]) -> list[Coroutine[Any, Any, None]]:
        work: list[Coroutine[Any, Any, None]] = []
        for name, journal in journals.items():
            work.append(self._relay(name, journal))
            work.append(self._follow(name, journal))
            work.append(self._watch(name, journal))
        return work

    async def _relay(self, name: str, journal: Journal) -> None:
        up = self._relay_up.labels(name)
        relay = Relay(
            journal,
            Publisher(self._broker),
            on_state=lambda state: up.set(float(state == "relaying")),
        )
        await relay.run()

    def _broker(self) -> str:
        """Return the broker's address, read again at each rebuild of a client."""
        if self._settings.kafka_servers is not None:
            return self._settings.kafka_servers
        path = self._settings.state_dir / "broker.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["bootstrap"])
        except (OSError, ValueError, KeyError, TypeError):
            raise BusUnavailable("broker.json is not there yet") from None

    async def _follow(self, name: str, journal: Journal) -> None:
        verifier = await self._log_verifier()
        alarm = self._follower_alarm.labels(name)
        log = HttpLog(self._settings.audit_url)
        follower = Follower(
            journal,
            log,
            verifier,
            clock=self._clock,
            horizon_seconds=self._settings.outbox_keep_seconds,
            on_alarm=lambda code: telemetry.logger().error(
                "follower.alarm", journal=name, code=code
            ),
        )
        alarm.set_function(lambda: float(follower.alarm is not None))
        try:
            await follower.run()
        finally:
            await log.close()

    async def _log_verifier(self) -> NoteVerifier:
        """Return the log's public key; audit's `init` writes its file."""
        path = self._settings.state_dir / "log.vkey"
        while True:
            with contextlib.suppress(OSError, LogError, ValueError):
                return NoteVerifier.from_vkey(path.read_text(encoding="utf-8").strip())
            await asyncio.sleep(WAIT_FOR_LOG_SECONDS)

    async def _watch(self, name: str, journal: Journal) -> None:
        """Measure what waits to be found in the log. Never a matter of readiness."""
        age, rows = self._outbox_age.labels(name), self._outbox_events.labels(name)
        while True:
            with contextlib.suppress(DatabaseError):
                found = await journal.read(
                    lambda c: outbox.stats(
                        c, journal.tables, milliseconds(self._clock.now())
                    )
                )
                age.set(found.oldest_seconds)
                rows.set(found.rows)
            await asyncio.sleep(WATCH_SECONDS)


def _close(journal: Journal) -> None:
    # A lane that was fenced, or whose database is gone, is ended by its successor.
    with contextlib.suppress(DatabaseError):
        journal.close()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            telemetry.logger().error("vault.task_failed", **telemetry.describe(outcome))
