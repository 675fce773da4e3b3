# SPDX-License-Identifier: Apache-2.0
"""A seeded mutator of requests: bytes, JSON values, parameters and headers.

Pure: the same seed makes the same requests, so that whatever it found can be made
again. Every request carries a canary that no answer may hold.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

CANARY = "kqzcanary7"
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, 2**70, 1e308, 0.1, "", " ", "\x00"),
    *([], {}, [[]], {"": ""}, "a" * 300, "\u202e", "\ud7ff", "😀", "ﷺ" * 40),
    *("' OR 1=1 --", "<script>", "../../etc/passwd", "%00", "${jndi:x}", "=1+1"),
    *("0192f0c1-2222-7333-8444-555566667777", "2026-02-30", "9999-12-31T23:59:60Z"),
    f"{CANARY}@example.org",
    CANARY,
    {CANARY: CANARY},
    [CANARY] * 101,
)
HEADERS = (
    *("If-Match", "If-None-Match", "Idempotency-Key", "Keyturn-Purpose", "Accept"),
    *("Content-Type", "Content-Encoding", "Request-Id", "Range", "Expect", "Cookie"),
    *("X-Forwarded-For", "X-HTTP-Method-Override", "Last-Event-ID", "traceparent"),
)


@dataclass
class Request:
    """A request as bytes and pairs, ready to be spoilt."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def url(self) -> str:
        """Path and query; whatever is no URL byte is percent-encoded."""
        asked = "&".join(f"{quote(n)}={quote(v)}" for n, v in self.query)
        return f"{self.path}?{asked}" if asked else self.path


class Mutator:
    """Spoils requests."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def spoil(self, request: Request) -> Request:
        """Return a copy of `request` with one to four mutations."""
        made = copy.deepcopy(request)
        for _ in range(self._dice.choice((1, 1, 2, 4))):
            self._dice.choice(self._ways(made))(made)
        return made

    def choice(self, among: list[Any]) -> Any:
        """Return one of several, by the same dice."""
        return self._dice.choice(among)

    def _ways(self, request: Request) -> list[Callable[[Request], None]]:
        ways = [self._path, self._query, self._header]
        if request.body is not None:
            ways += [self._value, self._value, self._value, self._bytes, self._key]
        return ways

    def _text(self) -> str:
        one = self._dice.choice(NASTY)
        return one if isinstance(one, str) else json.dumps(one, default=str)

    def _path(self, request: Request) -> None:
        parts = request.path.split("/")
        at = self._dice.randrange(1, len(parts)) if len(parts) > 1 else 0
        parts[at] = quote(self._text()[:64], safe="") or "%20"
        request.path = "/".join(parts)

    def _query(self, request: Request) -> None:
        names = [name for name, _ in request.query] or ["limit", "cursor", CANARY]
        names += ["classes", "view", "from", "limit", "cursor"]
        request.query.append((self._dice.choice(names), self._text()[:200]))

    def _header(self, request: Request) -> None:
        text = "".join(c for c in self._text() if 32 <= ord(c) < 127)[:200]
        request.headers[self._dice.choice(HEADERS)] = text

    def _bytes(self, request: Request) -> None:
        body = bytearray(request.body or b"")
        for _ in range(self._dice.randrange(1, 6)):
            at = self._dice.randrange(len(body) + 1)
            match self._dice.randrange(4):
                case 0 if body:
                    body[at % len(body)] ^= 1 << self._dice.randrange(8)
                case 1:
                    del body[at : at + self._dice.randrange(1, 9)]
                case 2:
                    body[at:at] = self._dice.choice(
                        (b"\xff", b"{", b'"', b"\x00", b",")
                    )
                case _:
                    body[at:at] = body[at : at + 16]
        request.body = bytes(body)

    def _value(self, request: Request) -> None:
        """Replace one value of the JSON anywhere; leave what is no JSON alone."""
        document = _parsed(request.body)
        places = list(_places(document))
        if not places:
            return
        holder, key = self._dice.choice(places)
        holder[key] = copy.deepcopy(self._dice.choice(NASTY))
        request.body = _dumped(document)

    def _key(self, request: Request) -> None:
        """Add, double or remove one member of an object."""
        document = _parsed(request.body)
        holders = [h for h, k in _places(document) if isinstance(k, str)]
        if not holders:
            return
        holder = self._dice.choice(holders)
        name = self._dice.choice(list(holder))
        if self._dice.randrange(2):
            holder[self._text()[:40]] = holder[name]
        else:
            del holder[name]
        request.body = _dumped(document)


def _parsed(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError):
        return None


def _dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _places(node: Any) -> Any:
    """Yield (holder, key) of every value in a document."""
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, value in list(items):
            yield node, key
            yield from _places(value)
