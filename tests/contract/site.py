# SPDX-License-Identifier: Apache-2.0
"""A whole installation in this process: vault, transfer and audit, really initialised.

The applications run on an event loop of their own thread, so that tests (Hypothesis
among them) call them one after the other; tokens are signed by the vault's issuer.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import structlog
from fastapi import FastAPI

from contracts.custody.plan import canonical_bytes
from contracts.officers import OfficerFile, OfficerRole
from contracts.purposes import GIVEN, Purpose
from contracts.scopes import Scope
from services.audit import app as audit
from services.audit import opening as audit_opening
from services.audit.settings import AuditSettings
from services.chassis import telemetry
from services.chassis.auth import Principal, PrincipalKind
from services.chassis.variables import Secret
from services.transfer import app as transfer
from services.transfer import opening as transfer_opening
from services.transfer.settings import TransferSettings
from services.vault.parties.members import officer_id
from services.vault.parties.roles import INSTALLATION_ONLY, scopes_of
from tests.integration.vault.house import House, Vault, settings_in
from tests.integration.vault.mandate.deal import Deal, enrol_all, open_deal
from tests.integration.vault.records.shop import CLASSES, FIELDS, JANE, person
from tests.worlds import postgres_database

T = TypeVar("T")
NOWHERE = "http://127.0.0.1:9"
CORNER, TILL = "corner", "till"
OUTSIDE, OUTSIDER = "stranger", "outsider"


@dataclass
class Site:
    """The running installation and what is in it.

    Attributes:
        values: Ids of things that exist, for addresses and bodies.
        log: Everything the three services logged.
    """

    vault: Vault
    deal: Deal
    apps: dict[str, FastAPI]
    clients: dict[str, httpx.AsyncClient]
    loop: asyncio.AbstractEventLoop
    principals: dict[str, Principal] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    log: io.StringIO = field(default_factory=io.StringIO)

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def call(
        self,
        service: str,
        method: str,
        url: str,
        who: str | None = None,
        headers: Mapping[str, Any] | list[tuple[Any, Any]] = (),  # type: ignore[assignment]
        **options: Any,
    ) -> httpx.Response:
        """Send a request as a principal; an endless answer is read for a while only."""
        sent = list(headers.items() if isinstance(headers, Mapping) else headers)
        if who is not None:
            sent.append(("authorization", f"Bearer {self.token(who)}"))
        request = self.clients[service].build_request(
            method, url, headers=sent, **options
        )
        return self.run(self.clients[service].send(request))

    def token(self, who: str) -> str:
        """Return a token of a principal; the clock stands, so one does for all calls."""
        if who not in self.tokens:
            issued = self.vault.rooms.issuer.issue(self.principals[who])
            self.tokens[who] = issued.text
        return self.tokens[who]

    def principal(self, who: str, scopes: frozenset[Scope] | None = None) -> str:
        """Return the name of a principal that is `who` with other scopes."""
        if scopes is None:
            return who
        found = self.principals[who]
        name = f"{who} with {len(scopes)} scopes {hash(scopes)}"
        self.principals[name] = Principal(
            found.kind, found.id, found.party, found.role, found.person, scopes
        )
        return name

    @property
    def journals(self) -> dict[str, Any]:
        """Every journal of the installation, by name."""
        rooms = self.vault.rooms
        return {
            "changes": rooms.changes,
            "reads": rooms.reads,
            "handovers": self.apps["transfer"].state.base.journal,
            "log": self.apps["audit"].state.log.journal,
        }

    @property
    def databases(self) -> dict[str, Any]:
        """Every database of the installation, by name."""
        return {
            **{name: journal.database for name, journal in self.journals.items()},
            "keys": self.vault.rooms.keys,
            "search": self.apps["audit"].state.search,
        }


@contextlib.contextmanager
def opened(kind: str, folder: Path) -> Iterator[Site]:
    """Give a running site on a database of `kind`, its deal mandated."""
    with contextlib.ExitStack() as stack:
        urls: list[Secret | None] = [None] * 4
        if kind == "postgres":
            urls = [Secret(str(stack.enter_context(postgres_database()))) for _ in urls]
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        stack.callback(loop.close)
        stack.callback(thread.join)
        stack.callback(loop.call_soon_threadsafe, loop.stop)
        stream = io.StringIO()
        stack.enter_context(_logging_to(stream))
        running = _running(folder, urls, loop, stream)

        async def leave() -> None:
            with contextlib.suppress(StopAsyncIteration):
                await anext(running)

        def run(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result(60)

        site = run(_first(running))
        stack.callback(lambda: run(leave()))
        yield site


async def _first(running: AsyncIterator[Site]) -> Site:
    return await anext(running)


@contextlib.contextmanager
def _logging_to(stream: io.StringIO) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    telemetry.configure("site", "debug", stream)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


async def _running(
    folder: Path,
    urls: list[Secret | None],
    loop: asyncio.AbstractEventLoop,
    stream: io.StringIO,
) -> AsyncIterator[Site]:
    house = House(settings_in(folder, database_url=urls[0], keys_database_url=urls[1]))
    house.init()
    people = enrol_all(house)
    monitor = house.officer("seller", "mo", OfficerRole.MONITOR)
    house.party(CORNER)
    given = frozenset(Scope) - INSTALLATION_ONLY
    for party, client in ((CORNER, TILL), (OUTSIDE, OUTSIDER)):
        house.client(party, client, given, GIVEN, Purpose.CUSTOMER_SERVICE)
    # A client that must name its purpose each time.
    house.client(CORNER, "purposeless", given, GIVEN, None)
    common: dict[str, Any] = {
        "state_dir": house.settings.state_dir,
        "keys_dir": house.settings.keys_dir,
        "vault_url": "http://127.0.0.1",
        "audit_url": NOWHERE,  # what nobody relays stays in the outboxes
    }
    audit_settings = AuditSettings(
        **{**common, "vault_url": NOWHERE, "transfer_url": NOWHERE},
        external_jwks_url="http://127.0.0.1/v1/jwks",
        external_issuer=f"urn:keyturn:{house.installation}:issuer",
        database_url=urls[2],
    )
    transfer_settings = TransferSettings(**common, database_url=urls[3])
    audit_opening.init(audit_settings)
    transfer_opening.init(transfer_settings)
    async with contextlib.AsyncExitStack() as stack:
        vault = await stack.enter_async_context(house.running())
        apps = {
            "vault": vault.app,
            "transfer": transfer.create_app(
                transfer_settings, clock=house.clock, http=_to(vault.app)
            ),
            "audit": audit.create_app(
                audit_settings, clock=house.clock, http=_to(vault.app)
            ),
        }
        clients = {"vault": vault.http}
        for name in ("transfer", "audit"):
            await stack.enter_async_context(
                apps[name].router.lifespan_context(apps[name])
            )
            clients[name] = await stack.enter_async_context(_to(apps[name]))
        deal = await open_deal(vault, people)
        site = Site(vault, deal, apps, clients, loop, log=stream)
        _name_principals(site, monitor)
        await _fill(site)
        for app in apps.values():
            app.state.stopping.set()  # streams end after what there is
        yield site


def _to(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def _name_principals(site: Site, monitor: OfficerFile) -> None:
    clients = (
        (TILL, CORNER),
        ("purposeless", CORNER),
        (OUTSIDER, OUTSIDE),
        ("crm", "seller"),
        ("transfer", "platform"),
        ("audit", "platform"),
    )
    for client, party in clients:
        site.principals[client] = Principal(
            PrincipalKind.CLIENT, client, party, None, None, frozenset(Scope)
        )
    outsider = site.principals[OUTSIDER]
    ours = frozenset({Scope.AUDIT_MONITOR})  # the installation's own people's
    site.principals[OUTSIDER] = Principal(
        outsider.kind, OUTSIDER, OUTSIDE, None, None, outsider.scopes - ours
    )
    people = site.deal.people
    for name, file in {
        "SO": people.SO,
        "SC": people.SC,
        "BO": people.BO,
        "BC": people.BC,
        "XO": people.stranger,
        "MO": monitor,
    }.items():
        for suffix, scopes in (
            ("", scopes_of(file.role, file.party)),
            ("+", frozenset(Scope)),
        ):
            site.principals[name + suffix] = Principal(
                PrincipalKind.OFFICER,
                officer_id(file.party, file.person),
                file.party,
                file.role.value,
                file.person,
                scopes,
            )


async def _fill(site: Site) -> None:
    """Put a deal under mandate, a corner shop's record, a draft handover in place."""
    deal, values = site.deal, site.values
    sold = await deal.shop.seller.create(JANE)
    await deal.consent(sold)
    await deal.mandated()
    (batch, *_) = await deal.batches()
    values |= {
        "sold": sold,
        "custody": deal.handover,
        "digest": batch["digest"],
        "plan": canonical_bytes(deal.plan),
        "approvals": deal.approvals(),
        "releases": await deal.releases(),
        "spare_key": deal.people.second.login.key_id,
    }
    for name, form in CLASSES.items():
        path = f"/v1/catalogue/classes/{name}"
        for client in (TILL, OUTSIDER):
            await _ask(site, "vault", client, "PUT", path, {"form": form})
    for name, fields in FIELDS.items():
        path = f"/v1/catalogue/fields/{name}"
        await _ask(site, "vault", TILL, "PUT", path, fields)
    for name, number in (("record", 1), ("erasable", 2)):
        made = await _ask(site, "vault", TILL, "POST", "/v1/records", person(number))
        values[name], values[f"{name}_etag"] = made.json()["id"], made.headers["etag"]
    # One of every class, so that each has its key before anything hostile comes.
    whole = {
        **JANE,
        "external_id": "C-3",
        "documents": {"habits": {"favourite": "Tee"}},
    }
    await _ask(site, "vault", TILL, "POST", "/v1/records", whole)
    pairs = await _ask(site, "vault", TILL, "POST", "/v1/aliases:resolve", {"records": [values["record"]]})  # fmt: skip
    values["alias"] = pairs.json()["items"][0]["alias"]
    made = await _ask(
        site,
        "transfer",
        "SO",
        "POST",
        "/v1/handovers",
        {
            "seller": "seller",
            "buyer": "buyer",
            "deal_type": "asset_sale",
            "path": "separate_consent",
        },
        **{"idempotency-key": "first"},
    )
    values["handover"] = made.json()["id"]
    searched = await _ask(site, "audit", "crm", "GET", "/v1/events")
    lane, _, seq = searched.headers["audit-event"].partition("/")
    values |= {"lane": lane, "seq": seq}
    read = f"/v1/events/{lane}/{seq}"
    async with asyncio.timeout(20):
        while True:
            found = await site.clients["audit"].get(
                read, headers={"authorization": f"Bearer {site.token('crm')}"}
            )
            if found.status_code == 200:
                return
            await asyncio.sleep(0.05)


async def _ask(
    site: Site,
    service: str,
    who: str,
    method: str,
    path: str,
    body: Any = None,
    **headers: str,
) -> httpx.Response:
    answer = await site.clients[service].request(
        method,
        path,
        headers={"authorization": f"Bearer {site.token(who)}", **headers},
        **({} if body is None else {"json": body}),
    )
    assert answer.is_success, (path, answer.text)
    return answer
