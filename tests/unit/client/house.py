# SPDX-License-Identifier: Apache-2.0
"""A client whose services are a function, and that does not really wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from keyturn_client import ClientLogin, House, Keyturn

Script = Callable[[httpx.Request], httpx.Response]
SECRET = "kt-secret-nobody-may-see"
TOKEN = "kt-token-nobody-may-see"
RECORD = "01a20e53-8c39-727a-a046-8322921d77d9"


def house(**members: Any) -> House:
    others = {"transfer": "http://127.0.0.1:2", "audit": "http://127.0.0.1:3"}
    return House("http://127.0.0.1:1", **{**others, **members})


@dataclass
class Played:
    """What was sent, without the token requests, and what was waited for."""

    requests: list[httpx.Request] = field(default_factory=list)
    tokens: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    expires_in: int = 600


def transport(played: Played, script: Script) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            played.tokens.append(request)
            number = len(played.tokens)
            granted = {
                "access_token": f"{TOKEN}-{number}",
                "expires_in": played.expires_in,
            }
            return httpx.Response(200, json=granted)
        # A copy: the client's request is one object that each try signs anew.
        played.requests.append(
            httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.content,
            )
        )
        return script(request)

    return httpx.MockTransport(handle)


@contextmanager
def playing(
    script: Script, played: Played | None = None, **members: Any
) -> Iterator[tuple[Keyturn, Played]]:
    played = played or Played()
    login = ClientLogin.of("crm", SECRET)
    with Keyturn(
        house(**members),
        login,
        transport=transport(played, script),
        sleep=played.slept.append,
    ) as keyturn:
        yield keyturn, played


def scripted(*answers: httpx.Response | Exception) -> Script:
    """Answer with each in turn; one more request fails the test."""
    left = list(answers)

    def script(request: httpx.Request) -> httpx.Response:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return script


def problem(status: int, code: str, **members: Any) -> httpx.Response:
    headers = members.pop("headers", {})
    body = {"type": "/", "title": "No", "status": status, "detail": "No.", "code": code}
    return httpx.Response(
        status,
        json={**body, "request_id": "r", **members},
        headers={"content-type": "application/problem+json", **headers},
    )


def written() -> httpx.Response:
    return httpx.Response(201, json={"id": RECORD, "etag": "1", "created": True})
