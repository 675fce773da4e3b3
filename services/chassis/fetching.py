# SPDX-License-Identifier: Apache-2.0
"""Fetches over HTTP what another host answers, within a bound of bytes.

Other hosts are not trusted with this one's memory: the bound holds while the answer
is read, and no redirect is followed.
"""

from __future__ import annotations

import httpx


class AnswerTooLong(ValueError):  # noqa: N818 - it says what happened
    """The answer has more bytes than asked for; the rest was not read."""


async def fetch(
    http: httpx.AsyncClient,
    request: httpx.Request,
    most: int,
    auth: httpx.Auth | None = None,
) -> httpx.Response:
    """Return an answer of at most `most` bytes after decoding.

    Raises:
        httpx.HTTPError: The other side cannot be reached.
        AnswerTooLong: It answers more.
    """
    answer = await http.send(request, stream=True, auth=auth, follow_redirects=False)
    try:
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > most:
                raise AnswerTooLong
    finally:
        await answer.aclose()
    return httpx.Response(answer.status_code, content=body, request=request)
