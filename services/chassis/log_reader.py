# SPDX-License-Identifier: Apache-2.0
"""Reads the published log over HTTP, bounded in time and size."""

from __future__ import annotations

from typing import Final

import httpx

from contracts.log.tiles import tile_path
from services.chassis.follower import LogUnreachable

TIMEOUT_SECONDS: Final = 5.0
MAX_NOTE_BYTES: Final = 64 * 1024


class HttpLog:
    """A `LogReader` over the C2SP paths of an audit service or any mirror."""

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

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, limit: int) -> bytes:
        try:
            answer = await self._client.get(path)
        except httpx.HTTPError as exc:
            raise LogUnreachable("the log does not answer") from exc
        if answer.status_code != 200 or len(answer.content) > limit:
            raise LogUnreachable("the log has no such file")
        return answer.content
