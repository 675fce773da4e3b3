# SPDX-License-Identifier: Apache-2.0
"""Reads the published log over HTTP, bounded in time and size.

The log is not trusted: whatever it answers that is no answer is a log that does not
answer. It can neither stop its reader nor fill its memory.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from typing import Any, Final

import httpx

from contracts.events.head import Head
from contracts.log.tiles import tile_path
from services.chassis.fetching import AnswerTooLong, fetch
from services.chassis.follower import LogUnreachable
from services.chassis.rollback import LaneEnd
from services.chassis.settings import ServiceSettings
from services.chassis.transport import client_context

TIMEOUT_SECONDS: Final = 5.0  # of a whole answer
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_LANE_BYTES: Final = 16 * 1024
MAX_SEQ: Final = 2**63 - 1
_LANE: Final = re.compile(r"[0-9a-f]{32}")


def open_log(settings: ServiceSettings) -> HttpLog:
    """Return a reader of audit's log, as a process of these settings reads it."""
    return HttpLog(settings.audit_url, verify=client_context(settings))


class HttpLog:
    """A `LogReader` over the C2SP paths of an audit service or any mirror.

    And `LogEnds`, of an audit service alone.
    """

    def __init__(
        self,
        base_url: str,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            transport=transport,
            verify=verify,
        )

    async def checkpoint(self) -> bytes:
        """Return the signed note at /checkpoint. Raises LogUnreachable."""
        return await self._get("/checkpoint", MAX_NOTE_BYTES)

    async def hash_tile(self, level: int, index: int, width: int) -> bytes:
        """Return `width` hashes of 32 bytes. Raises LogUnreachable.

        A partial tile may have grown full since its checkpoint: the full tile's
        prefix is the same bytes.
        """
        try:
            return await self._get(f"/{tile_path(level, index, width)}", width * 32)
        except LogUnreachable:
            full = await self._get(f"/{tile_path(level, index)}", 256 * 32)
            return full[: width * 32]

    async def lane_end(self, installation: str, lane: str) -> LaneEnd | None:
        """Return how far the log holds a lane; None if not at all.

        Raises LogUnreachable, also where the answer is no lane's end.
        """
        answer = await self._answer(f"/v1/lanes/{lane}", MAX_LANE_BYTES)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise LogUnreachable("the log does not say where a lane ends")
        try:
            return _lane_end(installation, lane, json.loads(answer.content))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise LogUnreachable("the log says no lane's end") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, limit: int) -> bytes:
        answer = await self._answer(path, limit)
        if answer.status_code != httpx.codes.OK:
            raise LogUnreachable("the log has no such file")
        return answer.content

    async def _answer(self, path: str, limit: int) -> httpx.Response:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                request = self._client.build_request("GET", path)
                return await fetch(self._client, request, limit)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, AnswerTooLong) as exc:
            raise LogUnreachable("the log does not answer") from exc


def _lane_end(installation: str, lane: str, said: Any) -> LaneEnd:
    """Return what an answer says.

    Raises:
        ValueError, KeyError, TypeError: It says something else.
    """
    seq, followers = said["seq"], said["followers"]
    if type(seq) is not int or not 0 < seq <= MAX_SEQ or said["lane"] != lane:
        raise ValueError
    if not all(_LANE.fullmatch(follower) for follower in followers):
        raise ValueError
    leaf = bytes.fromhex(str(said["leaf_hash"]).removeprefix("sha256:"))
    signature = base64.b64decode(said["head"], validate=True)
    return LaneEnd(Head(installation, lane, seq, leaf), signature, tuple(followers))
