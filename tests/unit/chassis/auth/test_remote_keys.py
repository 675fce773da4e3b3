# SPDX-License-Identifier: Apache-2.0
"""An issuer's keys are fetched seldom, bounded, and outlive a short outage."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from joserfc.jwk import OKPKey

from contracts.problems import Refusal
from services.chassis.auth import (
    RemoteKeys,
)
from tests.fakes.clock import SettableClock
from tests.unit.chassis.auth.tokens import (
    KEY,
)


class Issuer:
    def __init__(self) -> None:
        self.keys = [KEY]
        self.calls = 0
        self.answer: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if self.answer is not None:
            return self.answer
        return httpx.Response(200, json={"keys": [k.as_dict(private=False) for k in self.keys]})  # fmt: skip


def remote(issuer: Any, clock: SettableClock) -> RemoteKeys:
    http = httpx.AsyncClient(transport=httpx.MockTransport(issuer))
    return RemoteKeys(http, "http://vault/v1/jwks", clock)


async def test_keys_are_fetched_once_and_again_when_old_or_unknown(
    clock: SettableClock,
) -> None:
    issuer = Issuer()
    keys = remote(issuer, clock)
    for _ in range(5):
        assert await keys.key("k1") is not None
    assert issuer.calls == 1
    clock.advance(301)
    await keys.key("k1")
    assert issuer.calls == 2
    clock.advance(11)
    issuer.keys.append(OKPKey.generate_key("Ed25519", parameters={"kid": "k2"}))
    assert await keys.key("k2") is not None
    assert issuer.calls == 3


async def test_made_up_key_names_cost_the_issuer_nothing(clock: SettableClock) -> None:
    issuer = Issuer()
    keys = remote(issuer, clock)
    for number in range(50):
        assert await keys.key(f"made-up-{number}") is None
    assert issuer.calls == 1


async def test_known_keys_outlive_the_issuer_for_an_hour(clock: SettableClock) -> None:
    issuer = Issuer()
    keys = remote(issuer, clock)
    await keys.key("k1")
    issuer.answer = httpx.Response(500)
    clock.advance(3599)
    assert await keys.key("k1") is not None
    clock.advance(12)
    with pytest.raises(Refusal) as caught:
        await keys.key("k1")
    assert caught.value.problem.code == "upstream-unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"location": "http://evil/jwks"}),
        httpx.Response(200, content=b"x" * 70_000),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b'{"keys":[{"kty":"??"}]}'),
        httpx.Response(200, content=b"{}"),
    ],
    ids=["redirect", "endless", "array", "unknown key", "empty"],
)
async def test_a_strange_key_document_gives_no_key(
    clock: SettableClock, answer: httpx.Response
) -> None:
    issuer = Issuer()
    issuer.answer = answer
    with pytest.raises(Refusal):
        await remote(issuer, clock).key("k1")
    assert issuer.calls == 1
