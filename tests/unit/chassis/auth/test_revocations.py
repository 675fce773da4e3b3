# SPDX-License-Identifier: Apache-2.0
"""A revoked holder's token ends within two seconds while the vault answers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from services.chassis.auth import RemoteRevocations, remote_revocations
from services.chassis.settings import ServiceSettings
from tests.fakes.clock import SettableClock
from tests.unit.chassis.auth.tokens import CRM, claims, refusal, token, verifier


class TheVault:
    """What the vault answers to whoever asks for its revocations."""

    def __init__(self) -> None:
        self.items: Any = []
        self.calls = 0
        self.answer: httpx.Response | None = None

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return self.answer or httpx.Response(200, json={"items": self.items})

    def revoke(self, clock: SettableClock, subject: str = CRM.id) -> None:
        at = int(clock.now().timestamp() * 1000)
        self.items.append({"subject": subject, "revoked_at": at})


def remote(vault: Any, clock: SettableClock) -> RemoteRevocations:
    http = httpx.AsyncClient(transport=httpx.MockTransport(vault))
    return RemoteRevocations(http, "http://vault/v1/revocations", lambda: None, clock)


async def test_a_token_ends_two_seconds_after_its_holder_was_revoked(
    clock: SettableClock,
) -> None:
    vault = TheVault()
    verify = verifier(clock, revocations=remote(vault, clock))
    mine = token(claims(clock))
    assert await verify.verify(mine) == CRM
    clock.advance(30)
    assert await verify.verify(mine) == CRM
    vault.revoke(clock, "another")
    vault.revoke(clock)
    clock.advance(2)
    assert await refusal(verify, mine) == "token-invalid"


async def test_a_token_of_a_key_that_came_later_is_good(clock: SettableClock) -> None:
    vault = TheVault()
    vault.revoke(clock)
    verify = verifier(clock, revocations=remote(vault, clock))
    at_once = token(claims(clock))
    clock.advance(3)
    assert await refusal(verify, at_once) == "token-invalid"
    assert await verify.verify(token(claims(clock))) == CRM


async def test_the_vault_is_asked_at_most_once_a_second(clock: SettableClock) -> None:
    vault = TheVault()
    revocations = remote(vault, clock)
    for _ in range(20):
        await revocations.revoked_at("crm")
        clock.advance(0.25)
    assert vault.calls == 5


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(403),
        httpx.Response(302, headers={"location": "http://evil/"}),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, json={"items": [{"subject": "crm"}]}),
        httpx.Response(200, json={"items": 7}),
        httpx.Response(200, content=b"{}"),
    ],
    ids=["away", "refuses", "redirect", "array", "half", "number", "empty"],
)
async def test_what_was_known_last_stands_while_the_vault_is_away(
    clock: SettableClock, answer: httpx.Response
) -> None:
    vault = TheVault()
    verify = verifier(clock, revocations=remote(vault, clock))
    good = token(claims(clock, CRM))
    vault.revoke(clock, "gone")
    assert await verify.verify(good) == CRM
    vault.answer = answer
    clock.advance(500)
    assert await verify.verify(good) == CRM
    revocations = verify._revocations
    assert revocations is not None
    assert await revocations.revoked_at("gone") is not None


async def test_a_vault_that_hangs_holds_one_request_for_a_second(
    clock: SettableClock,
) -> None:
    class Hangs(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(60)
            raise AssertionError

    http = httpx.AsyncClient(transport=Hangs())
    revocations = RemoteRevocations(http, "http://vault/", lambda: None, clock)
    async with asyncio.timeout(2):
        first = asyncio.create_task(revocations.revoked_at("crm"))
        await asyncio.sleep(0)
        async with asyncio.timeout(0.2):
            assert await revocations.revoked_at("crm") is None
        assert await first is None


def test_another_issuer_answers_for_its_own_tokens(clock: SettableClock) -> None:
    http = httpx.AsyncClient()
    own = ServiceSettings(installation="i")
    other = ServiceSettings(installation="i", external_issuer="https://id.example")
    assert remote_revocations(own, http, lambda: None, clock) is not None
    assert remote_revocations(other, http, lambda: None, clock) is None
