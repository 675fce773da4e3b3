# SPDX-License-Identifier: Apache-2.0
"""One sale at a running vault: its people, their signatures, and transfer's calls."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from contracts.custody.decision import parse_summary
from contracts.custody.plan import Plan, canonical_bytes, plan_hash
from contracts.custody.signing import (
    APPROVAL_TYPE,
    RELEASE_TYPE,
    Approval,
    Release,
    approval_bytes,
    release_bytes,
)
from contracts.dsse import sign_envelope
from contracts.events.envelope import canonical_json
from contracts.officers import KeyPair, OfficerFile, OfficerRole
from contracts.purposes import GIVEN, Purpose
from services.chassis.clock import rfc3339, uuid7
from services.vault.mandate.operations import Mandates
from services.vault.parties.enrolment import Enrolment
from tests.integration.vault.house import House, Vault
from tests.integration.vault.records.shop import CLASSES as FORMS
from tests.integration.vault.records.shop import FIELDS, SCOPES, Crm, Shop

ROOT = Path(__file__).parents[4]
PACK = (ROOT / "contracts" / "law" / "packs" / "line-1.json").read_bytes()
CLASSES = ["basic", "habits", "purchases"]
CHECKPOINT = "log.example/1\n1\nAAAA\n\n— log.example/1 BBBB\n"


PEOPLE = [
    ("SO", ("seller", "so", OfficerRole.OWNER)),
    ("SC", ("seller", "sc", OfficerRole.COMPLIANCE)),
    ("BO", ("buyer", "bo", OfficerRole.OWNER)),
    ("BC", ("buyer", "bc", OfficerRole.COMPLIANCE)),
    ("second", ("seller", "owner-two", OfficerRole.OWNER)),
    ("operator", ("seller", "sr", OfficerRole.OPERATOR)),
    ("stranger", ("stranger", "so", OfficerRole.OWNER)),
]


@dataclass(frozen=True)
class People:
    """The officers of both companies by role, and some who have no say."""

    SO: OfficerFile
    SC: OfficerFile
    BO: OfficerFile
    BC: OfficerFile
    second: OfficerFile
    operator: OfficerFile
    stranger: OfficerFile

    def but(self, **changed: OfficerFile) -> "People":
        return replace(self, **changed)


def enrol_all(house: House) -> People:
    """Enrol both companies, their CRMs and officers, in one visit to the host."""
    with house.enrolling() as on_host:
        for party, client in (("seller", "crm"), ("buyer", "erp")):
            on_host.party(party, f"{party} GmbH", "DE", "Europe/Berlin")
            done = on_host.client(
                client,
                party,
                frozenset(SCOPES),
                frozenset(GIVEN),
                Purpose.CUSTOMER_SERVICE,
            )
            house.secrets[client] = done.secret
        on_host.party("stranger", "stranger GmbH", "DE", "Europe/Berlin")
        return People(**{name: _officer(house, on_host, *who) for name, who in PEOPLE})


def _officer(
    house: House, on_host: Enrolment, party: str, person: str, role: OfficerRole
) -> OfficerFile:
    made = OfficerFile(
        installation=house.installation,
        party=party,
        person=person,
        role=role,
        login=KeyPair(secrets.token_bytes(32)),
        sign=KeyPair(secrets.token_bytes(32)),
    )
    on_host.officer(
        party,
        person,
        role,
        login=made.login.public_key,
        sign=made.sign.public_key,
    )
    return made


@dataclass
class Deal:
    """A handover from `seller` to `buyer`, driven as transfer drives it."""

    shop: Shop
    people: People
    transfer: Crm
    handover: str = field(default_factory=lambda: str(uuid7()))
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def vault(self) -> Vault:
        return self.shop.vault

    @property
    def room(self) -> Mandates:
        return self.vault.rooms.mandates

    @property
    def plan(self) -> Plan:
        now = self.vault.house.clock.now()
        members: dict[str, Any] = {
            "installation": self.vault.house.installation,
            "handover": self.handover,
            "deal_type": "asset_sale",
            "path": "separate_consent",
            "rule_pack_hash": "sha256:" + hashlib.sha256(PACK).hexdigest(),
            "seller": "seller",
            "buyer": "buyer",
            "classes": CLASSES,
            "filters": [],
            "purposes": {c: ["customer_service", "order_fulfilment"] for c in CLASSES},
            "denied_purposes": {c: ["marketing", "profiling"] for c in CLASSES},
            "retention": dict.fromkeys(CLASSES),
            "window_closes": dict.fromkeys(CLASSES, "2020-01-01"),
            "contract_hash": "sha256:" + "ab" * 32,
            "expires": self._planned_end(now),
            "profile": "standard",
            **self.changed,
        }
        return Plan.model_validate(members)

    def _planned_end(self, now: Any) -> str:
        # Fixed at the first look, so that the plan's bytes stay the same.
        if "expires" not in self.changed:
            self.changed["expires"] = rfc3339(now + timedelta(days=30))
        return str(self.changed["expires"])

    def approval(
        self, role: str, officer: OfficerFile | None = None, **changed: Any
    ) -> Any:
        who = officer or getattr(self.people, role)
        seed = changed.pop("seed", who.sign.seed)
        document = {
            "installation": self.plan.installation,
            "handover": self.handover,
            "plan_hash": plan_hash(canonical_bytes(self.plan)),
            "role": role,
            "person": who.person,
            "expires": self.plan.expires,
            **changed,
        }
        payload = approval_bytes(Approval.model_validate(document))
        return json.loads(sign_envelope(payload, APPROVAL_TYPE, seed))

    def approvals(self, **replaced: Any) -> list[Any]:
        roles = ("SO", "SC", "BO", "BC")
        return [replaced.get(role) or self.approval(role) for role in roles]

    async def release(
        self, role: str, officer: OfficerFile | None = None, **changed: Any
    ) -> Any:
        who = officer or getattr(self.people, role)
        seed = changed.pop("seed", who.sign.seed)
        decision = (await self.get("/decision")).json()
        summary = parse_summary(canonical_json(decision["counts"]))
        document = {
            "installation": self.plan.installation,
            "handover": self.handover,
            "plan_hash": plan_hash(canonical_bytes(self.plan)),
            "snapshot_id": decision["snapshot_id"],
            "decision_root": decision["decision_root"],
            "counts": summary.counts(),
            "as_of": decision["as_of"],
            "expires": self.plan.expires,
            "checkpoint": CHECKPOINT,
            **changed,
        }
        payload = release_bytes(Release.model_validate(document))
        return json.loads(sign_envelope(payload, RELEASE_TYPE, seed))

    async def releases(self, **replaced: Any) -> list[Any]:
        return [replaced.get(r) or await self.release(r) for r in ("SC", "BC")]

    # --- transfer's calls ------------------------------------------------------------

    @property
    def path(self) -> str:
        return f"/v1/custody/{self.handover}"

    async def get(self, path: str = "", crm: Crm | None = None) -> httpx.Response:
        return await (crm or self.transfer).send("GET", self.path + path)

    async def lodge(self, raw: bytes | None = None) -> httpx.Response:
        return await self.vault.http.put(
            f"{self.path}/plan",
            content=canonical_bytes(self.plan) if raw is None else raw,
            headers={
                **self.transfer.headers,
                "content-type": "application/vnd.keyturn.plan.v1+json",
            },
        )

    async def freeze(self, approvals: list[Any] | None = None) -> httpx.Response:
        answer = await self.transfer.send(
            "POST",
            f"{self.path}/snapshot",
            {"approvals": approvals or self.approvals()},
        )
        await self.room.settled()
        return answer

    async def mandate(
        self, approvals: list[Any] | None = None, releases: list[Any] | None = None
    ) -> httpx.Response:
        body = {
            "approvals": approvals or self.approvals(),
            "releases": releases or await self.releases(),
        }
        return await self.transfer.send("PUT", f"{self.path}/mandate", body)

    async def batches(self) -> list[dict[str, Any]]:
        answer = await self.get("/batches")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def execute(self, batch: dict[str, Any], digest: str = "") -> httpx.Response:
        return await self.transfer.send(
            "POST",
            f"{self.path}/batches/{batch['n']}",
            {"digest": digest or batch["digest"]},
        )

    async def verify(self, batch: dict[str, Any]) -> httpx.Response:
        return await self.transfer.send(
            "POST", f"{self.path}/batches/{batch['n']}:verify"
        )

    async def turn(self) -> httpx.Response:
        return await self.transfer.send("POST", f"{self.path}:turn")

    async def end(self, verb: str = "cancel") -> httpx.Response:
        answer = await self.transfer.send("POST", f"{self.path}:{verb}")
        await self.room.settled()
        return answer

    # --- ways through ----------------------------------------------------------------

    async def decided(self) -> "Deal":
        lodged = await self.lodge()
        assert lodged.status_code in {200, 201}, lodged.text
        frozen = await self.freeze()
        assert frozen.status_code == 202, frozen.text
        assert (await self.status())["state"] == "decided"
        return self

    async def mandated(self) -> "Deal":
        await self.decided()
        answer = await self.mandate()
        assert answer.status_code == 200, answer.text
        return self

    async def executed(self) -> "Deal":
        await self.mandated()
        for batch in await self.batches():
            answer = await self.execute(batch)
            assert answer.status_code == 200, answer.text
        return self

    async def verified(self) -> "Deal":
        await self.executed()
        for batch in await self.batches():
            answer = await self.verify(batch)
            assert answer.status_code == 200, answer.text
        return self

    async def turned(self) -> "Deal":
        await self.verified()
        answer = await self.turn()
        assert answer.status_code == 200, answer.text
        return self

    async def status(self) -> dict[str, Any]:
        answer = await self.get()
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def consent(
        self, record: str, classes: list[str] | None = None, **changed: Any
    ) -> None:
        body = {
            "kind": "separate",
            "recipient": "buyer",
            "classes": classes or CLASSES,
            "given_at": rfc3339(self.vault.house.clock.now() - timedelta(days=1)),
            **changed,
        }
        answer = await self.shop.seller.send(
            "PUT", f"/v1/records/{record}/consents", body
        )
        assert answer.status_code == 200, answer.text

    async def object(self, record: str) -> None:
        body = {"objected_at": rfc3339(self.vault.house.clock.now())}
        answer = await self.shop.seller.send(
            "PUT", f"/v1/records/{record}/objections", body
        )
        assert answer.status_code == 200, answer.text

    def another(self) -> "Deal":
        return Deal(self.shop, self.people, self.transfer)


async def open_deal(vault: Vault, people: People) -> Deal:
    """Return a deal at a running vault whose catalogues are filled."""
    transfer = Crm(vault, await vault.as_client("transfer"))
    shop = Shop(
        vault,
        seller := Crm(vault, await vault.as_client("crm")),
        buyer := Crm(vault, await vault.as_client("erp")),
        narrow=seller,
    )
    for crm in (seller, buyer):
        for name, form in FORMS.items():
            path = f"/v1/catalogue/classes/{name}"
            answer = await crm.send("PUT", path, {"form": form})
            assert answer.status_code == 200, answer.text
        for name, values in FIELDS.items():
            answer = await crm.send("PUT", f"/v1/catalogue/fields/{name}", values)
            assert answer.status_code == 200, answer.text
    return Deal(shop, people, transfer)
