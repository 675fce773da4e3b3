# SPDX-License-Identifier: Apache-2.0
"""Promise: who is revoked at the vault is refused at transfer and audit in seconds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from contracts.officers import OfficerFile, OfficerRole
from contracts.scopes import Scope
from services.audit import app as audit
from services.audit import opening as audit_opening
from services.audit.settings import AuditSettings
from services.transfer import app as transfer
from services.transfer import opening as transfer_opening
from services.transfer.settings import TransferSettings
from tests.integration.vault.house import House, Vault


def to(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@contextlib.asynccontextmanager
async def both(vault: Vault) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Run transfer and audit of the same installation beside the vault."""
    settings = vault.house.settings
    common: dict[str, Any] = {
        "state_dir": settings.state_dir,
        "keys_dir": settings.keys_dir,
        # Requests reach the vault in this process; what intake asks finds nobody.
        "vault_url": "http://127.0.0.1:9",
        "transfer_url": "http://127.0.0.1:9",
        "audit_url": "http://127.0.0.1:9",
    }
    clock = vault.house.clock
    audit_opening.init(audit_settings := AuditSettings(**common))
    transfer_opening.init(transfer_settings := TransferSettings(**common))
    apps = {
        "/v1/handovers": transfer.create_app(
            transfer_settings, clock=clock, http=to(vault.app)
        ),
        "/v1/events": audit.create_app(audit_settings, clock=clock, http=to(vault.app)),
    }
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for path, app in apps.items():
            await stack.enter_async_context(app.router.lifespan_context(app))
            clients[path] = await stack.enter_async_context(to(app))
        yield clients


async def revoke(vault: Vault, by: OfficerFile, lost: OfficerFile) -> None:
    url = f"/v1/officers/{lost.login.key_id}:revoke"
    answer = await vault.http.post(url, headers=await vault.as_officer(by))
    assert answer.status_code == 200, answer.text


@pytest.mark.attack("T10")
async def test_a_revoked_officer_is_refused_everywhere_two_seconds_later(
    house: House,
) -> None:
    house.party("alpha")
    thief = house.officer("alpha", "so")
    keeper = house.officer("alpha", "sc", OfficerRole.COMPLIANCE)
    async with house.running() as vault, both(vault) as services:
        stolen, good = await vault.as_officer(thief), await vault.as_officer(keeper)

        async def statuses(headers: dict[str, str]) -> set[int]:
            return {
                (await http.get(path, headers=headers)).status_code
                for path, http in services.items()
            }

        assert await statuses(stolen) == {200}
        await revoke(vault, keeper, thief)
        house.clock.advance(2)
        assert await statuses(stolen) == {401}
        assert await statuses(good) == {200}


@pytest.mark.attack("T10")
async def test_a_revoked_client_is_refused_at_audit(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.AUDIT_EVENTS])
    async with house.running() as vault, both(vault) as services:
        headers, path = await vault.as_client("crm"), "/v1/events"
        http = services[path]
        assert (await http.get(path, headers=headers)).status_code == 200
        with house.enrolling() as on_host:
            on_host.revoke_client("crm")
        house.clock.advance(2)
        assert (await http.get(path, headers=headers)).status_code == 401


@pytest.mark.attack("T10")
async def test_the_services_alone_learn_whose_tokens_are_good_no_more(
    house: House,
) -> None:
    house.party("alpha")
    lost = house.officer("alpha", "so")
    keeper = house.officer("alpha", "sc", OfficerRole.COMPLIANCE)
    house.client("alpha", "crm", [Scope.OFFICERS_READ])
    async with house.running() as vault:

        async def listed(headers: dict[str, str]) -> Any:
            answer = await vault.http.get("/v1/revocations", headers=headers)
            return answer.json().get("items", answer.status_code)

        for service in ("transfer", "audit"):
            assert await listed(await vault.as_client(service)) == []
        await revoke(vault, keeper, lost)
        (item,) = await listed(await vault.as_client("audit"))
        assert item["subject"] == "alpha/so"
        assert item["revoked_at"] == int(house.clock.now().timestamp() * 1000)
        assert await listed(await vault.as_client("crm")) == 403
        assert await listed(await vault.as_officer(keeper)) == 403
        # No token of before lives any more, so there is nothing left to say.
        house.clock.advance(house.settings.token_seconds + 61)
        assert await listed(await vault.as_client("audit")) == []


@pytest.mark.attack("T10")
async def test_at_the_vault_a_revoked_token_opens_no_guarded_route(
    house: House,
) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ, Scope.OFFICERS_READ])
    thief = house.officer("alpha", "sc", OfficerRole.COMPLIANCE)
    keeper = house.officer("alpha", "so")
    routes = ("/v1/catalogue", "/v1/parties/alpha/officers")
    async with house.running() as vault:
        stolen = [await vault.as_client("crm"), await vault.as_officer(thief)]
        good = await vault.as_officer(keeper)

        async def statuses(headers: dict[str, str]) -> set[int]:
            return {
                (await vault.http.get(path, headers=headers)).status_code
                for path in routes
            }

        for headers in stolen:
            assert await statuses(headers) == {200}
        # The person has a second key file: it saves no token of the lost one.
        house.officer("alpha", "sc", OfficerRole.COMPLIANCE)
        await revoke(vault, keeper, thief)
        with house.enrolling() as on_host:
            on_host.revoke_client("crm")
        house.clock.advance(1)
        for headers in stolen:
            assert await statuses(headers) == {401}
        assert await statuses(good) == {200}
