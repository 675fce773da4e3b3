# SPDX-License-Identifier: Apache-2.0
"""A real transfer for tests: on disk or PostgreSQL, beside a fake vault over HTTP."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from nacl.signing import SigningKey

from contracts.custody.decision import FrozenDecision
from contracts.custody.officers import OfficerKey, Role
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    approval_bytes,
    release_bytes,
)
from contracts.custody.statement import Statement, statement_bytes
from contracts.dsse import keyid, sign_envelope
from contracts.scopes import Scope
from services.chassis.auth import (
    Principal,
    PrincipalKind,
    access_claims,
    sign_access_token,
)
from services.chassis.clock import rfc3339
from services.chassis.variables import Secret
from services.transfer.app import Base, create_app
from services.transfer.execution import Worker
from services.transfer.opening import init
from services.transfer.settings import TransferSettings
from tests.fakes.clock import SettableClock
from tests.fakes.custody_vault import CustodyVault

INSTALLATION = "0011223344556677"
SELLER, BUYER, REVIEWER, OUTSIDER = "north", "south", "lex", "east"

#: Person of each role: party, enrolled role.
PEOPLE: Mapping[str, tuple[str, str]] = {
    "SO": (SELLER, "owner"),
    "SC": (SELLER, "compliance"),
    "SR": (SELLER, "operator"),
    "BO": (BUYER, "owner"),
    "BC": (BUYER, "compliance"),
    "PR": (REVIEWER, "reviewer"),
    "XO": (OUTSIDER, "owner"),
    "SO2": (SELLER, "owner"),
    "MO": (SELLER, "monitor"),
}
SCOPE = {
    "classes": ["basic", "purchases"],
    "filters": [],
    "purposes": {"basic": ["customer_service"], "purchases": ["customer_service"]},
    "denied_purposes": {"basic": ["marketing"], "purchases": ["marketing"]},
}
NECESSITY = {
    name: {
        "service": "orders go on",
        "why": "to serve them",
        "alternative": "none found",
    }
    for name in SCOPE["classes"]
}


@dataclass
class Person:
    """An officer with a signing key and a token."""

    role: str
    party: str
    name: str
    enrolled_as: str
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def key(self) -> OfficerKey:
        public = bytes(SigningKey(self.seed).verify_key)
        role = Role(self.role[:2]) if self.role[:2] in set(Role) else Role.MONITOR
        return OfficerKey(keyid(public), self.party, role, self.name, "sign", public)


class House:
    """One installation's transfer at rest; `running` serves it."""

    installation = INSTALLATION

    def __init__(
        self,
        root: Path,
        database_url: Secret | None = None,
        clock: Any = None,
    ) -> None:
        self.clock: Any = clock or SettableClock()
        self.settings = TransferSettings(
            state_dir=root / "state",
            keys_dir=root / "keys",
            vault_url="http://vault.test",
            database_url=database_url,
            parallel=2,
            lease_seconds=30,
        )
        state, clients = self.settings.state_dir, self.settings.keys_dir / "clients"
        state.mkdir()
        clients.mkdir(parents=True)
        (state / "installation.json").write_text(
            json.dumps(
                {"installation": INSTALLATION, "created_at": "2026-01-01T00:00:00Z"}
            )
        )
        credentials = clients / "transfer.json"
        credentials.write_text(
            json.dumps({"client_id": "transfer", "client_secret": "s"})
        )
        credentials.chmod(0o600)
        self.vault = CustodyVault(INSTALLATION, self.clock.now)
        self.people: dict[str, Person] = {}
        for role, (party, enrolled_as) in PEOPLE.items():
            person = Person(role, party, f"p-{role.lower()}", enrolled_as)
            self.people[role] = person
            self.vault.officers.append(person.key)
            self.vault.roles[person.key.key_id] = enrolled_as
        init(self.settings)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        app = create_app(self.settings, clock=self.clock, http=self.vault.client())
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as http:
                yield Running(self, app, http)

    def token(self, role: str, **changed: Any) -> str:
        person = self.people[role]
        principal = Principal(
            kind=changed.get("kind", PrincipalKind.OFFICER),
            id=f"login-{person.name}",
            party=person.party,
            role=person.enrolled_as,
            person=person.name,
            scopes=changed.get("scopes", frozenset(Scope)),
        )
        claims = access_claims(
            principal,
            issuer=self.settings.issuer,
            audience=self.settings.audience,
            now=self.clock.now(),
            lifetime_seconds=3600,
            token_id=secrets.token_hex(8),
        )
        return sign_access_token(claims, self.vault.issuer)

    def headers(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(role)}"}

    async def decision(self, handover: str) -> FrozenDecision:
        return self.vault.custodies[handover].decision()

    def later(self, days: int = 30) -> str:
        return rfc3339(self.clock.now() + timedelta(days=days))


@dataclass
class Running:
    """A served transfer, and everything people do with it."""

    house: Any
    app: Any
    http: httpx.AsyncClient

    @property
    def base(self) -> Base:
        base: Base = self.app.state.base
        return base

    def worker(self, name: str = "worker-1", lease: float = 30.0) -> Worker:
        from services.transfer.execution import Executions

        return Worker(
            Executions(self.base.journal, self.house.clock),
            self.base.vault,
            name=name,
            lease_seconds=lease,
            parallel=2,
        )

    async def work(self, rounds: int = 12) -> None:
        """Let a worker look, and time pass between its looks."""
        worker = self.worker()
        for _ in range(rounds):
            await worker.look()
            self.house.clock.advance(0.5)

    def headers(self, role: str) -> dict[str, str]:
        return self.house.headers(role)

    async def create(self, role: str = "SO", key: str = "k1", **changed: Any) -> Any:
        body = {
            "seller": SELLER,
            "buyer": BUYER,
            "reviewer": REVIEWER,
            "deal_type": "asset_sale",
            "path": "separate_consent",
            **changed,
        }
        return await self.http.post(
            "/v1/handovers",
            json=body,
            headers={**self.headers(role), "idempotency-key": key},
        )

    async def get(self, handover: str, tail: str = "", role: str = "SO") -> Any:
        return await self.http.get(
            f"/v1/handovers/{handover}{tail}", headers=self.headers(role)
        )

    async def view(self, handover: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.get(handover)).json()
        return found

    async def post(
        self, handover: str, event: str, role: str, **body: Any
    ) -> httpx.Response:
        return await self.http.post(
            f"/v1/handovers/{handover}:{event}",
            json=body,
            headers=self.headers(role),
        )

    async def sign(self, handover: str, event: str, role: str) -> dict[str, Any]:
        """Sign what the handover says is to be signed for an event."""
        view = await self.view(handover)
        wanted = next(w for w in view["to_sign"] if w["event"] == event)
        person = self.house.people[role]
        if wanted["payload_type"] == APPROVAL_TYPE:
            payload = self.approval(view, role)
        elif wanted["payload_type"] == RELEASE_TYPE:
            payload = await self.release(view)
        else:
            payload = statement_bytes(
                Statement(
                    installation=self.house.installation,
                    handover=handover,
                    kind=wanted["kind"],
                    role=person.role[:2],
                    person=person.name,
                    body={"classes": NECESSITY}
                    if wanted["kind"] == "necessity"
                    else wanted["body"],
                    subject=wanted["subject"],
                )
            )
        return envelope(payload, wanted["payload_type"], person)

    def approval(self, view: Mapping[str, Any], role: str, /, **changed: Any) -> bytes:
        person = self.house.people[role]
        members = {
            "installation": self.house.installation,
            "handover": view["id"],
            "plan_hash": view["plan_hash"],
            "role": person.role[:2],
            "person": person.name,
            "expires": self.house.later(),
            **changed,
        }
        return approval_bytes(Approval(**members))

    async def release(self, view: Mapping[str, Any], **changed: Any) -> bytes:
        decision = await self.house.decision(view["id"])
        members = {
            "installation": self.house.installation,
            "handover": view["id"],
            "plan_hash": view["plan_hash"],
            "snapshot_id": decision.snapshot_id,
            "decision_root": decision.decision_root,
            "counts": decision.counts,
            "as_of": decision.as_of,
            "expires": self.house.later(),
            "checkpoint": "a signed note",
            **changed,
        }
        return release_bytes(Release(**members))

    async def signed(self, handover: str, event: str, role: str) -> httpx.Response:
        document = await self.sign(handover, event, role)
        return await self.post(handover, event, role, document=document)

    def plan(self, **changed: Any) -> dict[str, Any]:
        return {
            "retention": {"basic": None, "purchases": None},
            "window_closes": {"basic": "2026-02-01", "purchases": "2026-02-01"},
            "contract_hash": "sha256:" + "c" * 64,
            "expires": self.house.later(60),
            **changed,
        }

    async def to(self, state: str) -> str:
        """Bring a new handover to a state on its whole way; return its id."""
        made = await self.create(key=secrets.token_hex(8))
        assert made.status_code == 201, made.text
        handover: str = made.json()["id"]
        for step in self.whole_way(handover):
            view = await self.view(handover)
            if view["state"] == state:
                return handover
            await step()
        assert (await self.view(handover))["state"] == state
        return handover

    def whole_way(self, handover: str) -> list[Any]:
        def plain(event: str, role: str, **body: Any) -> Any:
            async def step() -> None:
                _fine(await self.post(handover, event, role, **body))

            return step

        def signed(event: str, role: str) -> Any:
            async def step() -> None:
                _fine(await self.signed(handover, event, role))

            return step

        return [
            plain("submit", "SO"),
            signed("confirm", "SC"),
            plain("propose", "SR", scope=SCOPE),
            signed("agree", "SO"),
            signed("agree", "BO"),
            plain("ready", "SR", plan=self.plan()),
            signed("pass", "PR"),
            *(signed("approve", role) for role in ("SO", "SC", "BO", "BC")),
            plain("freeze", "SC"),
            self.work,
            plain("back_up", "SR"),
            self.work,
            signed("release", "SC"),
            signed("release", "BC"),
            self.work,
            signed("receive", "BC"),
            self.work,
            signed("pass", "PR"),
        ]


def envelope(payload: bytes, payload_type: str, person: Person) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        sign_envelope(payload, payload_type, person.seed)
    )
    return found


def _fine(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
