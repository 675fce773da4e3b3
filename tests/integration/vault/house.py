# SPDX-License-Identifier: Apache-2.0
"""A real vault for tests: initialised on disk or PostgreSQL, served in this process."""

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import OKPKey

from contracts.events import envelope
from contracts.events.envelope import Event
from contracts.officers import KeyPair, OfficerFile, OfficerRole
from contracts.purposes import Purpose
from contracts.scopes import Scope
from services.chassis import outbox
from services.chassis.clock import milliseconds
from services.vault import host
from services.vault.app import Rooms, create_app
from services.vault.parties.assertions import ASSERTION_TYPE, audience
from services.vault.parties.enrolment import Enrolment
from services.vault.settings import VaultSettings
from tests.fakes.clock import SettableClock


def assertion(pair: KeyPair, installation: str, now: int, **changed: Any) -> str:
    """Sign a login assertion; `changed` alters claims (None removes one)."""
    header = {"alg": "Ed25519", "typ": "JWT", **changed.pop("header", {})}
    claims = {
        "iss": pair.key_id,
        "sub": pair.key_id,
        "aud": audience(installation),
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_hex(16),
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(header, claims, _jwk(pair), algorithms=[header["alg"]])


def _jwk(pair: KeyPair) -> OKPKey:
    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return OKPKey.import_key(
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": text(pair.public_key),
            "d": text(pair.seed),
        }
    )


@dataclass
class House:
    """An installation's vault at rest; `running` serves it."""

    settings: VaultSettings
    clock: SettableClock = field(default_factory=SettableClock)
    secrets: dict[str, str] = field(default_factory=dict)

    def init(self) -> host.Prepared:
        return host.init(self.settings, self.clock)

    @contextlib.contextmanager
    def enrolling(self) -> Iterator[Enrolment]:
        with host.enrolment(self.settings, self.clock) as opened:
            yield opened

    def party(self, party: str, region: str = "DE") -> None:
        with self.enrolling() as on_host:
            on_host.party(party, f"{party} GmbH", region, "Europe/Berlin")

    def client(
        self,
        party: str,
        client: str,
        scopes: Iterable[Scope],
        purposes: Iterable[Purpose] = (),
        default_purpose: Purpose | None = None,
    ) -> None:
        with self.enrolling() as on_host:
            done = on_host.client(
                client, party, frozenset(scopes), frozenset(purposes), default_purpose
            )
        self.secrets[client] = done.secret

    def officer(
        self, party: str, person: str, role: OfficerRole = OfficerRole.OWNER
    ) -> OfficerFile:
        made = OfficerFile(
            installation=self.installation,
            party=party,
            person=person,
            role=role,
            login=KeyPair(secrets.token_bytes(32)),
            sign=KeyPair(secrets.token_bytes(32)),
        )
        with self.enrolling() as on_host:
            on_host.officer(
                party,
                person,
                role,
                login=made.login.public_key,
                sign=made.sign.public_key,
            )
        return made

    @property
    def installation(self) -> str:
        return self.settings.installation_id

    def service_secret(self, client: str) -> str:
        path = self.settings.keys_dir / "clients" / f"{client}.json"
        return str(json.loads(path.read_text())["client_secret"])

    @contextlib.asynccontextmanager
    async def running(self, worker: str = "vault-1") -> AsyncIterator["Vault"]:
        app = create_app(replace(self.settings, worker=worker), clock=self.clock)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as http:
                yield Vault(self, app, http)


@dataclass
class Vault:
    """A running vault."""

    house: House
    app: FastAPI
    http: httpx.AsyncClient

    @property
    def rooms(self) -> Rooms:
        rooms: Rooms = self.app.state.rooms
        return rooms

    async def client_token(self, client: str, scope: str | None = None) -> str:
        secret = self.house.secrets.get(client) or self.house.service_secret(client)
        form = {"grant_type": "client_credentials"} | (
            {"scope": scope} if scope else {}
        )
        answer = await self.http.post(
            "/v1/token", data=form, auth=httpx.BasicAuth(client, secret)
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def as_client(self, client: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.client_token(client)}"}

    async def login(self, token: str, **form: str) -> httpx.Response:
        return await self.http.post(
            "/v1/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": token,
                **form,
            },
        )

    async def as_officer(self, officer: OfficerFile) -> dict[str, str]:
        answer = await self.login(self.assert_for(officer.login))
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def assert_for(self, pair: KeyPair, **changed: Any) -> str:
        now = milliseconds(self.house.clock.now()) // 1000
        return assertion(pair, self.house.installation, now, **changed)

    async def events(self, type_: str = "") -> list[Event]:
        """Every event in the outboxes, lane by lane, of types containing `type_`."""
        found: list[Event] = []
        journals = [self.rooms.changes, self.rooms.reads]
        for journal in {id(j.tables): j for j in journals}.values():
            for head in await journal.read(
                lambda c, t=journal.tables: outbox.heads(c, t)
            ):
                rows = await journal.read(
                    lambda c, t=journal.tables, lane=head.lane: outbox.rows_from(
                        c, t, lane, 1
                    )
                )
                found.extend(envelope.parse(row.event) for row in rows)
        return [event for event in found if type_ in event.type]


def settings_in(folder: Path, **changed: Any) -> VaultSettings:
    """Return the settings of a vault whose files are all in `folder`."""
    return VaultSettings(
        state_dir=folder / "state",
        keys_dir=folder / "keys",
        audit_url="http://127.0.0.1:9",
        **changed,
    )
