# SPDX-License-Identifier: Apache-2.0
"""The whole way with the real vault: two companies, seven people, real records."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.custody.decision import FrozenDecision
from contracts.officers import OfficerFile, OfficerRole
from services.chassis.clock import rfc3339
from services.chassis.variables import Secret
from services.transfer.app import create_app
from services.transfer.opening import init
from services.transfer.settings import TransferSettings
from tests.integration.transfer.house import Person, Running
from tests.integration.vault.house import House as VaultHouse
from tests.integration.vault.house import Vault, settings_in
from tests.integration.vault.records.shop import JANE, Shop, enrol, open_shop, person
from tests.worlds import DATABASES, postgres_database

ROLES = {
    "SO": ("seller", OfficerRole.OWNER),
    "SC": ("seller", OfficerRole.COMPLIANCE),
    "SR": ("seller", OfficerRole.OPERATOR),
    "BO": ("buyer", OfficerRole.OWNER),
    "BC": ("buyer", OfficerRole.COMPLIANCE),
    "PR": ("lex", OfficerRole.REVIEWER),
}


class RealHouse:
    """What `Running` needs of a house, with the real vault behind it."""

    def __init__(self, vault: Vault, officers: dict[str, OfficerFile]) -> None:
        self.at = vault
        self.clock = vault.house.clock
        self.installation = vault.house.installation
        self.officers = officers
        self.people = {
            role: Person(role, file.party, file.person, file.role.value, file.sign.seed)
            for role, file in officers.items()
        }
        self.tokens: dict[str, dict[str, str]] = {}

    async def log_in(self) -> None:
        for role, file in self.officers.items():
            self.tokens[role] = await self.at.as_officer(file)

    def headers(self, role: str) -> dict[str, str]:
        return self.tokens[role]

    async def decision(self, handover: str) -> FrozenDecision:
        answer = await self.at.http.get(
            f"/v1/custody/{handover}/decision", headers=self.tokens["SC"]
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        counts = {
            name: {
                outcome: {reason: group["count"] for reason, group in reasons.items()}
                for outcome, reasons in outcomes.items()
            }
            for name, outcomes in found["counts"].items()
        }
        return FrozenDecision(
            found["snapshot_id"], found["decision_root"], counts, found["as_of"]
        )

    def later(self, days: int = 30) -> str:
        return rfc3339(self.clock.now() + timedelta(days=days))


@pytest.fixture(params=DATABASES)
async def world(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    if request.param == "postgres":
        with (
            postgres_database() as records,
            postgres_database() as keys,
            postgres_database() as own,
        ):
            changed = {
                "database_url": Secret(str(records)),
                "keys_database_url": Secret(str(keys)),
            }
            async with opened(tmp_path, changed, Secret(str(own))) as made:
                yield made
        return
    async with opened(tmp_path, {}, None) as made:
        yield made


@contextlib.asynccontextmanager
async def opened(
    folder: Path, changed: dict[str, Secret], database: Secret | None
) -> AsyncIterator[tuple[Running, Shop]]:
    house = VaultHouse(settings_in(folder, **changed))
    house.init()
    enrol(house)
    house.party("lex")
    officers = {
        role: house.officer(party, f"p-{role.lower()}", enrolled)
        for role, (party, enrolled) in ROLES.items()
    }
    settings = TransferSettings(
        state_dir=house.settings.state_dir,
        keys_dir=house.settings.keys_dir,
        vault_url="http://127.0.0.1",
        audit_url="http://127.0.0.1:9",
        database_url=database,
        parallel=2,
    )
    init(settings)
    async with house.running() as vault:
        at_vault = httpx.AsyncClient(
            transport=httpx.ASGITransport(vault.app, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
        )
        app = create_app(settings, clock=house.clock, http=at_vault)
        real = RealHouse(vault, officers)
        await real.log_in()
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://localhost"
            ) as http,
        ):
            yield _Running(real, app, http), await open_shop(vault)


@dataclasses.dataclass
class _Running(Running):
    """Lets the vault's own background work end before a worker looks again."""

    async def work(self, rounds: int = 12) -> None:
        worker = self.worker()
        for _ in range(rounds):
            await worker.look()
            await self.house.at.rooms.mandates.settled()
            self.house.clock.advance(0.5)

    async def create(self, role: str = "SO", key: str = "k1", **changed: Any) -> Any:
        parties = {"seller": "seller", "buyer": "buyer", "reviewer": "lex"}
        return await super().create(role, key, **{**parties, **changed})


async def consent(running: Running, shop: Shop, record: str) -> None:
    body = {
        "kind": "separate",
        "recipient": "buyer",
        "classes": ["basic", "habits", "purchases"],
        "given_at": rfc3339(running.house.clock.now() - timedelta(days=1)),
    }
    answer = await shop.seller.send("PUT", f"/v1/records/{record}/consents", body)
    assert answer.status_code == 200, answer.text


async def test_a_customer_changes_hands_and_the_seller_reads_no_more(
    world: tuple[Running, Shop],
) -> None:
    running, shop = world
    jane = await shop.seller.create(JANE)
    await consent(running, shop, jane)
    silent = await shop.seller.create(person(7))

    handover = await running.to("seller_restricted")

    report = (await running.get(handover, "/report")).json()
    turned = report["turned_counts"]
    assert turned["basic"] == {"excluded": {"consent": 1}, "transfer": {"eligible": 1}}
    assert turned["purchases"] == {"transfer": {"eligible": 1}}
    assert turned["habits"] == {"excluded": {"out_of_scope": 1}}
    assert report["inventory"]["basic"]["inventory"] == 2
    assert (await running.view(handover))["transferred"] == 2
    found = await shop.buyer.send(
        "POST",
        "/v1/records/lookup",
        {
            "identifiers": [
                {"field": "email", "value": JANE["documents"]["basic"]["email"]}
            ]
        },
    )
    (new_id,) = found.json()["items"][0]["records"]
    read = await shop.buyer.read(new_id)
    assert read.json()["documents"]["basic"] == JANE["documents"]["basic"]
    assert (await shop.seller.read(jane)).status_code == 403
    assert (await shop.seller.read(silent)).status_code == 200


async def test_a_cancelled_handover_leaves_the_seller_as_it_was(
    world: tuple[Running, Shop],
) -> None:
    running, shop = world
    jane = await shop.seller.create(JANE)
    await consent(running, shop, jane)
    handover = await running.to("verify")
    assert (await running.post(handover, "cancel", "BC")).status_code == 200
    await running.work()
    assert (await running.view(handover))["state"] == "cancelled"
    assert (await shop.seller.read(jane)).status_code == 200


async def test_a_signer_revoked_after_the_release_moves_nothing(
    world: tuple[Running, Shop],
) -> None:
    running, shop = world
    jane = await shop.seller.create(JANE)
    await consent(running, shop, jane)
    handover = await running.to("await_release")
    for role in ("SC", "BC"):
        assert (await running.signed(handover, "release", role)).status_code == 200
    key = running.house.officers["BO"].sign.key_id
    headers = running.house.headers("BC")
    revoked = await running.house.at.http.post(
        f"/v1/officers/{key}:revoke", headers=headers
    )
    assert revoked.status_code == 200, revoked.text
    await running.work()
    view = await running.view(handover)
    assert (view["state"], view["fault"]) == ("await_release", "key-revoked")
    assert (await shop.seller.read(jane)).status_code == 200
