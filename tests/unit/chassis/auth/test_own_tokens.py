# SPDX-License-Identifier: Apache-2.0
"""A service keeps its own token, renews it in time, and reports a refusal."""

from __future__ import annotations

import json

import httpx
import pytest

from contracts.problems import Refusal
from services.chassis.auth import (
    TokenSource,
)
from services.chassis.variables import Secret
from tests.fakes.clock import SettableClock


class TokenEndpoint:
    def __init__(self) -> None:
        self.issued = 0
        self.refuse = False
        self.revoked: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            assert request.headers["authorization"].startswith("Basic ")
            assert request.content == b"grant_type=client_credentials"
            if self.refuse:
                return httpx.Response(401, json={"error": "invalid_client"})
            self.issued += 1
            return httpx.Response(
                200, json={"access_token": f"t{self.issued}", "expires_in": 600}
            )
        shown = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(401 if shown in self.revoked else 200, text=shown)


def caller(endpoint: TokenEndpoint, clock: SettableClock) -> httpx.AsyncClient:
    plain = httpx.AsyncClient(transport=httpx.MockTransport(endpoint))
    source = TokenSource(
        plain,
        token_url="http://vault/v1/token",
        client_id="transfer",
        client_secret=Secret("s3cr3t-s3cr3t-s3cr3t"),
        clock=clock,
    )
    return httpx.AsyncClient(transport=httpx.MockTransport(endpoint), auth=source)


async def test_own_token_is_kept_and_renewed_before_its_end(
    clock: SettableClock,
) -> None:
    endpoint = TokenEndpoint()
    http = caller(endpoint, clock)
    assert [(await http.get("http://vault/x")).text for _ in range(3)] == ["t1"] * 3
    clock.advance(571)
    assert (await http.get("http://vault/x")).text == "t2"


async def test_a_refused_token_is_renewed_once(clock: SettableClock) -> None:
    endpoint = TokenEndpoint()
    http = caller(endpoint, clock)
    endpoint.revoked = {"t1"}
    assert (await http.get("http://vault/x")).text == "t2"
    endpoint.revoked = {"t2", "t3"}
    assert (await http.get("http://vault/x")).status_code == 401
    assert endpoint.issued == 3


async def test_a_refusing_issuer_is_a_typed_error(clock: SettableClock) -> None:
    endpoint = TokenEndpoint()
    endpoint.refuse = True
    with pytest.raises(Refusal) as caught:
        await caller(endpoint, clock).get("http://vault/x")
    assert caught.value.problem.code == "upstream-unavailable"
    assert "s3cr3t" not in json.dumps(caught.value.extra) + str(caught.value)
