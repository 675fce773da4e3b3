# SPDX-License-Identifier: Apache-2.0
"""The sources: whose key signs whose heads, and their outboxes over HTTP.

Keys are configured (`sources.json`), never learned from the wire, and each is bound to
one service: transfer's key can sign no vault event.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from nacl.signing import VerifyKey

from contracts import base64text
from contracts.events.head import Head
from contracts.events.party_heads import PartyHeadsMalformed, SignedPartyHeads
from contracts.log.checkpoint import Checkpoint
from contracts.problems import Refusal
from services.audit.errors import SourcesMalformed

TIMEOUT_SECONDS: Final = 5.0
PAGE_EVENTS: Final = 500  # asked for at once; the answer runs on to the next head
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_DIGEST: Final = "sha256:"


class SourceUnavailable(Exception):  # noqa: N818 - a state, not a mistake
    """A source did not answer, or not as its contract says."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A lane's end as its source serves it."""

    head: Head
    signature: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """One outbox row as its source serves it."""

    event: bytes
    seq: int
    signature: bytes | None


class SourceKeys:
    """The verification keys of all sources; a service may have several."""

    def __init__(self, installation: str, keys: Mapping[str, list[VerifyKey]]) -> None:
        self.installation = installation
        self._keys = dict(keys)

    @classmethod
    def load(cls, path: Path) -> SourceKeys:
        """Read `sources.json`.

        Raises:
            SourcesMalformed: Missing, or not what `init` wrote.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            keys: dict[str, list[VerifyKey]] = {}
            for item in document["sources"]:
                raw = base64text.decode(item["public_key"])
                keys.setdefault(item["service"], []).append(VerifyKey(raw))
            return cls(document["installation"], keys)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise SourcesMalformed(
                f"{path.name} is missing or malformed: run `init` of each service"
            ) from exc

    def verify(self, service: str, head: Head, signature: bytes) -> bool:
        """Whether a key of `service` signed this head of this installation."""
        if head.installation != self.installation:
            return False
        return any(head.verifies(signature, key) for key in self._keys.get(service, ()))


class SourceClient:
    """One source's outbox routes."""

    def __init__(
        self,
        service: str,
        url: str,
        auth: httpx.Auth | None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.service = service
        self._client = httpx.AsyncClient(
            base_url=url,
            auth=auth,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            transport=transport,
            verify=verify,
        )

    async def heads(self, installation: str) -> list[SignedHead]:
        """Return the signed head of every lane. Raises SourceUnavailable."""
        document = await self._get("/v1/outbox/heads", {})
        try:
            return [
                SignedHead(
                    Head(
                        installation,
                        item["lane"],
                        item["seq"],
                        _hash(item["leaf_hash"]),
                    ),
                    base64text.decode(item["head"]),
                )
                for item in document["items"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise SourceUnavailable("the source's heads are malformed") from exc

    async def events(self, lane: str, first: int, last: int) -> list[Sent]:
        """Return events `first`..`last` of a lane, extended to the next head.

        At most `PAGE_EVENTS` and what follows to the head: ask again from there.

        Raises:
            SourceUnavailable: No answer, or a malformed one.
        """
        end = min(last, first + PAGE_EVENTS - 1)
        query = {"lane": lane, "from": str(first), "to": str(end)}
        document = await self._get("/v1/outbox", query)
        try:
            return [
                Sent(
                    base64text.decode(item["event"]),
                    item["seq"],
                    base64text.decode(item["head"]) if item["head"] else None,
                )
                for item in document["events"]
            ]
        except (KeyError, TypeError, ValueError) as exc:
            raise SourceUnavailable("the source's events are malformed") from exc

    async def party_heads(
        self, installation: str, party: str, seen: Checkpoint
    ) -> SignedPartyHeads:
        """Return the source's statement on a party, made after `seen` was published.

        Its signature is for whoever reads the export; audit vouches for no source.

        Raises:
            SourceUnavailable: No answer, or a statement on something else.
        """
        root = f"{_DIGEST}{seen.root.hex()}"
        query = {"party": party, "size": str(seen.size), "root": root}
        document = await self._get("/v1/outbox/party-heads", query)
        try:
            signed = SignedPartyHeads.from_json(json.dumps(document).encode())
        except PartyHeadsMalformed as exc:
            raise SourceUnavailable("the source's party heads are malformed") from exc
        heads = signed.heads
        said = (heads.installation, heads.service, heads.party, heads.size, heads.root)
        if said != (installation, self.service, party, seen.size, seen.root):
            raise SourceUnavailable("the source's party heads are of something else")
        return signed

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, query: Mapping[str, str]) -> Any:
        body = bytearray()
        try:
            async with self._client.stream("GET", path, params=query) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise SourceUnavailable("the source refuses")
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_ANSWER_BYTES:
                        raise SourceUnavailable("the source's answer has no end")
        except (httpx.HTTPError, Refusal) as exc:
            # Refusal: the issuer gave no token, so the source was not even asked.
            raise SourceUnavailable("the source does not answer") from exc
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise SourceUnavailable("the source's answer is no JSON") from exc


def _hash(text: str) -> bytes:
    """Read `sha256:<hex>`; raises ValueError and, for another type, AttributeError."""
    return bytes.fromhex(text.removeprefix(_DIGEST))
