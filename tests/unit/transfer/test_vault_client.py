# SPDX-License-Identifier: Apache-2.0
"""The vault's answers become values or typed errors; nothing of them is echoed."""

from collections.abc import Callable

import httpx
import pytest

from services.transfer import vault_client
from services.transfer.errors import VaultMalformed, VaultRefused, VaultUnavailable
from services.transfer.vault_client import VaultClient

HANDOVER = "01890000-0000-7000-8000-000000000000"


def client(answer: Callable[[httpx.Request], httpx.Response]) -> VaultClient:
    http = httpx.AsyncClient(
        transport=httpx.MockTransport(answer), base_url="http://vault.test"
    )
    return VaultClient(http, None)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_later_is_no_refusal(status: int) -> None:
    vault = client(lambda _r: httpx.Response(status, json={"code": "busy"}))
    with pytest.raises(VaultUnavailable):
        await vault.turn(HANDOVER)


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout])
async def test_no_answer_is_unavailable(kind: type[httpx.TransportError]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise kind("no")

    with pytest.raises(VaultUnavailable):
        await client(fail).custody(HANDOVER)


async def test_a_problem_is_a_refusal_with_its_code_and_reason() -> None:
    body = {"code": "turn-refused", "reason": "unverified", "detail": "Ada Lovelace"}
    vault = client(lambda _r: httpx.Response(409, json=body))
    with pytest.raises(VaultRefused) as caught:
        await vault.turn(HANDOVER)
    assert (caught.value.code, caught.value.status) == ("turn-refused", 409)
    assert caught.value.reason == "unverified"
    assert "Ada" not in str(caught.value) + str(caught.value.extra)


async def test_an_alarm_of_the_vault_is_no_absence() -> None:
    vault = client(lambda _r: httpx.Response(500, json={"code": "internal"}))
    with pytest.raises(VaultRefused) as caught:
        await vault.turn(HANDOVER)
    assert caught.value.code == "internal"


async def test_a_code_that_is_no_code_is_not_repeated() -> None:
    vault = client(lambda _r: httpx.Response(409, json={"code": "Ada Lovelace <x>"}))
    with pytest.raises(VaultRefused) as caught:
        await vault.turn(HANDOVER)
    assert caught.value.code == "unknown"


async def test_an_unknown_handover_is_none_and_no_error() -> None:
    vault = client(lambda _r: httpx.Response(404, json={"code": "not-found"}))
    assert await vault.custody(HANDOVER) is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"turned_at": "now"}),
        httpx.Response(302, headers={"location": "http://elsewhere.test"}),
    ],
    ids=["html", "list", "member-missing", "redirect"],
)
async def test_another_form_is_malformed(answer: httpx.Response) -> None:
    with pytest.raises(VaultMalformed):
        await client(lambda _r: answer).turn(HANDOVER)


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_client, "MAX_ANSWER_BYTES", 1000)
    vault = client(lambda _r: httpx.Response(200, content=b"x" * 1001))
    with pytest.raises(VaultMalformed):
        await vault.turn(HANDOVER)


async def test_every_call_says_its_purpose_and_follows_every_page() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        cursor = request.url.params.get("cursor")
        item = {"n": 2 if cursor else 1, "folios": 1, "digest": "sha256:" + "a" * 64}
        more = None if cursor else "next"
        return httpx.Response(200, json={"items": [item], "next_cursor": more})

    pages = [page async for page in client(answer).batches(HANDOVER)]
    assert [item.n for page in pages for item in page] == [1, 2]
    assert {request.headers["keyturn-purpose"] for request in seen} == {"handover"}
