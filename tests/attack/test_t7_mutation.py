# SPDX-License-Identifier: Apache-2.0
"""T7: mutated requests, given to the applications in this process without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from tests.attack.figures import figure
from tests.attack.mutating import CANARY, Mutator, Request
from tests.contract.operations import FORM, Operation, operations, rows
from tests.contract.site import TILL, Site, opened

pytestmark = pytest.mark.attack("T7")
REQUESTS = figure(1_500, 150_000, 5_000_000)
SLICE = 500
SEED = 20260101
NOWHERE = {"200", "400", "404", "405", "431"}  # 200: a page of the documents


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with opened("sqlite", tmp_path_factory.mktemp("mutated")) as running:
        yield running


def _right(site: Site, operation: Operation) -> Request:
    """Return the request that the operation's row describes."""
    row = rows()[operation.name]
    headers = row.values(site, row.headers)
    content = row.every_member(site)
    body = None
    if operation.media_type == FORM:
        body = "&".join(f"{k}={v}" for k, v in content.items()).encode()
    elif isinstance(content, bytes):
        body = content
    elif content is not None:
        body = json.dumps(content).encode()
    if body is not None:
        headers.setdefault("Content-Type", str(operation.media_type))
    return Request(
        operation.method,
        operation.address(row.values(site, row.path)),
        list(row.values(site, row.query).items()),
        headers,
        body,
    )


@dataclass(frozen=True)
class Answer:
    """What an application answered, and the address it took the request for."""

    status: int
    headers: dict[str, str]
    octets: bytes
    route: str


async def _ask(app: Any, request: Request, token: str) -> Answer:
    """Call an application as a server would."""
    path, _, query = request.url.partition("?")
    headers = {"authorization": f"Bearer {token}", "host": "127.0.0.1"}
    headers |= {name.lower(): value for name, value in request.headers.items()}
    headers["content-length"] = str(len(request.body or b""))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    messages: list[dict[str, Any]] = []
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            await asyncio.sleep(3600)
        given = True
        return {"type": "http.request", "body": request.body or b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    async with asyncio.timeout(20):
        await app(scope, receive, send)
    head = next(m for m in messages if m["type"] == "http.response.start")
    found = {n.decode().lower(): v.decode("latin-1") for n, v in head["headers"]}
    octets = b"".join(m.get("body", b"") for m in messages)
    route = getattr(scope.get("route"), "path", "").replace(":path}", "}")
    return Answer(head["status"], found, octets, route)


def _wrong(operation: Operation | None, answer: Answer) -> str:
    """Return what is wrong with an answer of an operation; empty for nothing.

    None is an address that is none: a spoilt path may also reach another operation.
    """
    if answer.status >= 500 and answer.status != 503:
        return f"{answer.status}"
    if answer.status >= 400:
        if answer.headers["content-type"] != "application/problem+json":
            return f"{answer.status} is no problem+json"
        if CANARY.encode() in answer.octets or CANARY in str(answer.headers):
            return f"{answer.status} echoes the canary"
    documented = NOWHERE if operation is None else {*operation.item["responses"]}
    if str(answer.status) not in documented:
        return f"{answer.status} is undocumented"
    return ""


def test_t7_mutated_requests_are_answered_as_documented(own_site: Site) -> None:
    site = own_site
    mutator = Mutator(SEED)
    every = [o for o in operations(site) if "event-stream" not in str(o.item)]
    known = {(o.service, o.method, o.path): o for o in operations(site)}
    right = {o.name: _right(site, o) for o in every}
    found: dict[str, str] = {}
    statuses: dict[int, int] = {}

    async def some(asked: list[tuple[Operation, Request, str]]) -> None:
        for operation, request, who in asked:
            answer = await _ask(site.apps[operation.service], request, site.token(who))
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            place = (operation.service, request.method, answer.route)
            if wrong := _wrong(known.get(place), answer):
                key = f"{' '.join(place)}: {wrong}"
                found.setdefault(key, f"{request!r} -> {answer.octets[:200]!r}"[:900])

    for _slice in range(0, REQUESTS, SLICE):
        asked = []
        for _ in range(SLICE):
            operation = mutator.choice(every)
            request = mutator.spoil(right[operation.name])
            who = rows()[operation.name].right or TILL
            asked.append((operation, request, who))
        site.run(some(asked), seconds=600)
        site.log.seek(0)
        assert CANARY not in site.log.getvalue()
        site.log.truncate()
    assert not found, json.dumps(found, indent=1)
    # It reaches further than the door: most of it is refused for what it says.
    assert {200, 400, 404, 422} <= statuses.keys(), statuses
    assert sum(statuses.values()) >= REQUESTS


def test_t7_the_mutator_makes_the_same_requests_again() -> None:
    request = Request("POST", "/v1/records", body=b'{"external_id": "C-1"}')
    one, other = Mutator(7), Mutator(7)
    made = [repr(one.spoil(request)) for _ in range(200)]
    assert made == [repr(other.spoil(request)) for _ in range(200)]
    assert len(set(made)) > 100


def test_t7_what_is_found_is_told() -> None:
    """The judge can fail: each fault of an answer is one that it names."""
    operation = Operation(
        "vault", "GET", "/v1/x", {}, {"responses": {"200": {}, "400": {}, "503": {}}}
    )
    problem = {"content-type": "application/problem+json"}

    def judged(status: int, headers: dict[str, str], octets: bytes = b"") -> str:
        return _wrong(operation, Answer(status, headers, octets, "/v1/x"))

    assert judged(500, problem)
    assert judged(400, {"content-type": "text/html"})
    assert judged(400, problem, CANARY.encode())
    assert judged(422, problem)
    assert _wrong(None, Answer(422, problem, b"", ""))
    assert not judged(503, problem)
    assert not judged(400, problem)
    assert not judged(200, {}, CANARY.encode())
