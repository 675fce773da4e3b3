# SPDX-License-Identifier: Apache-2.0
"""Reads the published log over HTTP, bounded in time and size."""

from __future__ import annotations

import base64
import json
from typing import Final

import httpx

from contracts.events.head import Head
from contracts.log.tiles import tile_path
from services.chassis.follower import LogUnreachable
from services.chassis.rollback import LaneEnd

TIMEOUT_SECONDS: Final = 5.0
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_LANE_BYTES: Final = 4 * 1024


class HttpLog:
    """A `LogReader` over the C2SP paths of an audit service or any mirror.

    And `LogEnds`, of an audit service alone.
    """

    def __init__(self, base_url: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=TIMEOUT_SECONDS, follow_redirects=False
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
        answer = await self._answer(f"/v1/lanes/{lane}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK or len(answer.content) > MAX_LANE_BYTES:
            raise LogUnreachable("the log does not say where a lane ends")
        try:
            said = json.loads(answer.content)
            leaf = bytes.fromhex(said["leaf_hash"].removeprefix("sha256:"))
            head = Head(installation, lane, int(said["seq"]), leaf)
            signature = base64.b64decode(said["head"], validate=True)
            return LaneEnd(head, signature, str(said["successor"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LogUnreachable("the log says no lane's end") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, limit: int) -> bytes:
        answer = await self._answer(path)
        if answer.status_code != httpx.codes.OK or len(answer.content) > limit:
            raise LogUnreachable("the log has no such file")
        return answer.content

    async def _answer(self, path: str) -> httpx.Response:
        try:
            return await self._client.get(path)
        except httpx.HTTPError as exc:
            raise LogUnreachable("the log does not answer") from exc
