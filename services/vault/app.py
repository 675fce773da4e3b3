# SPDX-License-Identifier: Apache-2.0
"""The vault as an application: everything is wired here, once.

`create_app` opens the databases and builds the rooms; the lifespan takes the slots,
opens the lanes, relays and follows, and closes in the reverse order.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI

from services.chassis import migrate, outbox_routes, party_heads_routes
from services.chassis.auth import KeySource, LocalKeys, RemoteKeys, TokenVerifier
from services.chassis.background import Background, stop_process
from services.chassis.clock import Clock, SystemClock, random_bytes, uuid7
from services.chassis.database import Database, DatabaseError
from services.chassis.idempotency import IdempotencyStore
from services.chassis.journal import Journal
from services.chassis.key_files import load_seed
from services.chassis.log_reader import open_log
from services.chassis.party_heads import PartyHeadSigner
from services.chassis.rollback import RollbackCheck
from services.chassis.serve import create_service_app
from services.chassis.settings import SettingsError
from services.chassis.slots import HeldSlot, hold_slot
from services.chassis.telemetry import Metrics
from services.chassis.transport import http_client
from services.chassis.upkeep import Upkeep, show_check
from services.chassis.variables import Mode
from services.vault.access import Access, Quota, load_policy
from services.vault.catalogue import Catalogues
from services.vault.catalogue.routes import router as catalogue_router
from services.vault.keys.keyring import Keyring
from services.vault.keys.sealing import NONCE_BYTES, Key, open_sealed, seal
from services.vault.mandate import Ground, Mandates, carried_packs
from services.vault.mandate.routes import router as mandate_router
from services.vault.measuring import measure_keys
from services.vault.opening import Opening, open_vault
from services.vault.parties import Parties
from services.vault.parties.issuer import TokenIssuer
from services.vault.parties.revoked import Revoked
from services.vault.parties.routes import router as parties_router
from services.vault.records import Aggregates, Reads, Records, Searches, Writing
from services.vault.records.aggregate_routes import router as aggregates_router
from services.vault.records.routes import router as records_router
from services.vault.schema import IDEMPOTENCY
from services.vault.settings import VaultSettings


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
    access: Access
    quota: Quota
    records: Records
    disclosures: Reads
    aggregates: Aggregates
    searches: Searches
    mandates: Mandates

    def databases(self) -> list[Database]:
        """Return every open database of this process."""
        return [self.reads.database, self.changes.database, self.keys]

    def signer(self, clock: Clock) -> PartyHeadSigner:
        """Return who signs how far the vault's lanes go for a party."""
        return PartyHeadSigner([self.changes, self.reads], clock)

    def routers(self) -> list[APIRouter]:
        """Return the routers of every room; the busiest is asked first."""
        return [
            records_router(
                self.records, self.disclosures, self.searches, self.idempotency
            ),
            aggregates_router(self.aggregates),
            parties_router(self.parties, self.issuer),
            catalogue_router(self.catalogues),
            mandate_router(self.mandates),
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
    migrate.prepare(opening.migrations(), settings)
    metrics = Metrics()
    rooms = build_rooms(opening, clock, metrics)
    run = _Run(opening, rooms, clock, metrics)
    app = create_service_app(
        settings=settings,
        routers=[*rooms.routers(), party_heads_routes.router(rooms.signer(clock))],
        lifespan=run.lifespan,
        verifier=TokenVerifier(
            issuer=settings.issuer,
            audience=settings.audience,
            keys=run.issuer_keys(),
            clock=clock,
            algorithms=settings.token_algorithms,
            bound_services=settings.tls_client_ca_file is not None,
            revocations=None
            if settings.external_issuer is not None
            else Revoked(rooms.parties, clock),
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


def openapi(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAPI document of an initialised installation's vault."""
    app = create_app(VaultSettings.from_environ(environ))
    rooms: Rooms = app.state.rooms
    try:
        return app.openapi()
    finally:
        for database in rooms.databases():
            database.close()


def build_rooms(opening: Opening, clock: Clock, metrics: Metrics) -> Rooms:
    """Open the databases and build the rooms over them; starts no lane yet."""
    settings = opening.settings
    changes = opening.changes(clock, f"{settings.worker}/changes", stop_process)
    reads = opening.reads(clock, f"{settings.worker}/reads", stop_process)
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
    parties = Parties(
        changes,
        issuer,
        installation=opening.installation,
        secrets_key=opening.database_keys["clients"].secret,
        clock=clock,
    )
    catalogues = Catalogues(
        changes, clock=clock, memory_seconds=settings.catalogue_seconds
    )
    idempotency = _idempotency(opening.database_keys["idempotency"])
    quota = Quota(reads, parties, clock)
    access = Access(
        parties,
        changes,
        reads,
        load_policy(),
        metrics,
        quota=quota,
        daily_records=settings.daily_records,
    )
    writing = Writing(
        changes,
        keyring,
        catalogues,
        access,
        clock=clock,
        new_id=lambda: str(uuid7()),
        random_bytes=random_bytes,
    )
    return Rooms(
        changes=changes,
        reads=reads,
        keys=keys,
        keyring=keyring,
        issuer=issuer,
        parties=parties,
        catalogues=catalogues,
        idempotency=idempotency,
        access=access,
        quota=quota,
        records=Records(changes, access, writing),
        disclosures=Reads(changes, keyring, catalogues, access),
        aggregates=Aggregates(
            changes, keyring, catalogues, access, smallest=settings.smallest_group
        ),
        searches=Searches(changes, keyring, catalogues, access),
        mandates=_mandates(opening, changes, keyring, catalogues, clock),
    )


def _mandates(
    opening: Opening,
    changes: Journal,
    keyring: Keyring,
    catalogues: Catalogues,
    clock: Clock,
) -> Mandates:
    return Mandates(
        Ground(
            changes=changes,
            keyring=keyring,
            catalogues=catalogues,
            clock=clock,
            installation=opening.installation,
            demonstration=opening.settings.demonstration,
            secrets_key=opening.database_keys["decisions"],
            backups=opening.settings.state_dir / "backups",
            new_id=lambda: str(uuid7()),
            random_bytes=random_bytes,
            packs=carried_packs(),
        )
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


class _Run:
    """One run of the application, from its start to its orderly end."""

    def __init__(
        self, opening: Opening, rooms: Rooms, clock: Clock, metrics: Metrics
    ) -> None:
        self._opening = opening
        self._settings = opening.settings
        self._rooms = rooms
        self._clock = clock
        self._metrics = metrics
        self._http: httpx.AsyncClient | None = None

    def issuer_keys(self) -> KeySource:
        """Return where the keys of accepted tokens come from."""
        if self._settings.external_issuer is None:
            return LocalKeys(self._rooms.issuer.key_set)
        self._http = http_client(self._settings)
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
            stack.callback(self._rooms.keyring.close)
            log = open_log(self._settings)
            stack.push_async_callback(log.close)
            journals = (self._rooms.changes, self._rooms.reads)
            for journal in journals:
                stack.callback(journal.database.close)
            await self._require_allow_lists()
            check = RollbackCheck.of(self._settings, journals, log)
            await check.before_start()
            for journal in journals:
                stack.callback(_close, journal)
                journal.start()
            if self._http is not None:
                stack.push_async_callback(self._http.aclose)
            background = Background()
            stack.push_async_callback(background.stop)
            upkeep = self._upkeep(check)
            show_check(self._metrics, check)
            background.start(
                [
                    *upkeep.work(),
                    *upkeep.measuring(),
                    measure_keys(self._metrics, self._rooms.keys),
                    self._rooms.mandates.watch(),
                    self._rooms.quota.sweep(),
                    check.run(stop_process),
                ]
            )
            stack.push_async_callback(self._rooms.mandates.close)
            await self._rooms.mandates.resume()
            yield

    async def _require_allow_lists(self) -> None:
        """Refuse production mode while a party's tokens may be used from anywhere.

        Raises:
            SettingsError: Names the parties and the command.
        """
        if self._settings.mode is not Mode.PRODUCTION:
            return
        missing = await self._rooms.parties.parties_without_allow_list()
        if missing:
            raise SettingsError(
                "KEYTURN_MODE",
                "production demands an allow-list of each party; for "
                f"{', '.join(missing)} run `python -m services.vault allow --party ID "
                "--network CIDR` (or --anywhere)",
            )

    def _upkeep(self, check: RollbackCheck) -> Upkeep:
        return Upkeep(
            self._settings,
            self._journals(),
            lambda: open_log(self._settings),
            clock=self._clock,
            metrics=self._metrics,
            keep_seconds=self._settings.outbox_keep_seconds,
            may_receipt=check.passed,
        )

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
            self._rooms.keyring.close()
            for database in self._rooms.databases():
                database.close()
            raise
        return held

    def _journals(self) -> dict[str, Journal]:
        """Return each journal with tables of its own: on PostgreSQL it is one."""
        if self._opening.embedded:
            return {"changes": self._rooms.changes, "reads": self._rooms.reads}
        return {"changes": self._rooms.changes}


def _close(journal: Journal) -> None:
    # A lane that was fenced, or whose database is gone, is ended by its successor.
    with contextlib.suppress(DatabaseError):
        journal.close()
