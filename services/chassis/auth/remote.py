# SPDX-License-Identifier: Apache-2.0
"""What authentication fetches: the issuer's keys, who was revoked, own tokens.

Every answer is bounded in size and time, and no redirect is followed, so that no call
can be led to another host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from contracts import problems
from contracts.problems import Refusal
from services.chassis import telemetry
from services.chassis.auth.tokens import pick
from services.chassis.clock import Clock
from services.chassis.fetching import fetch
from services.chassis.settings import ServiceSettings
from services.chassis.variables import Secret

JWKS_FRESH_SECONDS = 300
JWKS_STALE_SECONDS = 3600
JWKS_PAUSE_SECONDS = 10
MAX_REMOTE_BYTES = 65_536
REMOTE_TIMEOUT_SECONDS = 3.0
REVOCATIONS_PATH = "/v1/revocations"
REVOCATIONS_FRESH_SECONDS = 1.0
REVOCATIONS_TIMEOUT_SECONDS = 1.0  # with the above: known within two seconds
MAX_REVOCATIONS_BYTES = 4 * 1024 * 1024  # more than 10,000 revocations


class RemoteKeys:
    """The keys behind a JWKS URL, cached.

    Fetched at most every 10 s, so that made-up `kid`s cost the issuer nothing. When
    the issuer is away, keys stay good for an hour.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, clock: Clock) -> None:
        self._http = http
        self._url = url
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._tried = -float("inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None) -> Key | None:
        """Return the key named `kid`, asking the issuer when it is not known."""
        found = None if self._keys is None else pick(self._keys, kid)
        age = self._clock.monotonic() - self._fetched
        if found is None or age > JWKS_FRESH_SECONDS:
            await self._refresh()
            found = None if self._keys is None else pick(self._keys, kid)
        age = self._clock.monotonic() - self._fetched
        if self._keys is None or age > JWKS_STALE_SECONDS:
            raise Refusal(problems.UPSTREAM_UNAVAILABLE)
        return found

    async def _refresh(self) -> None:
        async with self._lock:
            now = self._clock.monotonic()
            # A service that starts before its issuer must not wait ten seconds.
            pause = 1 if self._keys is None else JWKS_PAUSE_SECONDS
            if now - self._tried < pause:
                return
            self._tried = now
            try:
                request = self._http.build_request(
                    "GET", self._url, timeout=REMOTE_TIMEOUT_SECONDS
                )
                document = await _fetch_json(self._http, request)
                self._keys = KeySet.import_key_set({"keys": document["keys"]})
                self._fetched = now
            except (httpx.HTTPError, ValueError, TypeError, KeyError, JoseError) as e:
                telemetry.logger().warning("jwks.unavailable", **telemetry.describe(e))


class RemoteRevocations:
    """Whom the vault revoked lately, asked for when a request needs to know.

    The answer is at most two seconds old while the vault answers. When it does not,
    what was known last stands, and a token ends when it expires.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        auth: Callable[[], httpx.Auth | None],
        clock: Clock,
    ) -> None:
        """Keep the vault's address; `auth` is called when it is first needed."""
        self._http = http
        self._url = url
        self._auth = auth
        self._clock = clock
        self._moments: dict[str, float] = {}
        self._tried = -float("inf")
        self._silent = False

    async def revoked_at(self, subject: str) -> float | None:
        """Return when a client or officer was last revoked, None if not lately."""
        now = self._clock.monotonic()
        if now - self._tried >= REVOCATIONS_FRESH_SECONDS:
            # Before the call: who comes while it is under way does not wait for it.
            self._tried = now
            await self._refresh()
        return self._moments.get(subject)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(REVOCATIONS_TIMEOUT_SECONDS):
                request = self._http.build_request("GET", self._url)
                document = await _fetch_json(
                    self._http, request, self._auth(), MAX_REVOCATIONS_BYTES
                )
            self._moments = {
                str(item["subject"]): int(item["revoked_at"]) / 1000
                for item in document["items"]
            }
            self._silent = False
        except (
            httpx.HTTPError,
            Refusal,
            TimeoutError,
            ValueError,
            TypeError,
            KeyError,
        ) as error:
            if not self._silent:
                telemetry.logger().warning(
                    "revocations.unavailable", **telemetry.describe(error)
                )
            self._silent = True


def remote_revocations(
    settings: ServiceSettings,
    http: httpx.AsyncClient,
    auth: Callable[[], httpx.Auth | None],
    clock: Clock,
) -> RemoteRevocations | None:
    """Return the vault's revocations; None where another issuer answers for tokens."""
    if settings.external_issuer is not None:
        return None
    url = f"{settings.vault_url}{REVOCATIONS_PATH}"
    return RemoteRevocations(http, url, auth, clock)


async def _fetch_json(
    http: httpx.AsyncClient,
    request: httpx.Request,
    auth: httpx.Auth | None = None,
    most: int = MAX_REMOTE_BYTES,
) -> dict[str, Any]:
    """Return a JSON object of bounded size; no redirect is followed.

    Raises:
        httpx.HTTPError: The other side cannot be reached or answers no 200.
        ValueError: The answer is too long or no JSON object.
    """
    answer = await fetch(http, request, most, auth)
    if answer.status_code != httpx.codes.OK:
        raise httpx.HTTPStatusError("no 200", request=request, response=answer)
    document = json.loads(answer.content)
    if not isinstance(document, dict):
        raise TypeError
    return document


class TokenSource(httpx.Auth):
    """This service's own access token, as an httpx auth: fetched, kept, renewed.

    One fetch at a time. A token is renewed 30 s before its end, and once when the
    other side answers 401.
    """

    RENEW_SECONDS = 30

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        token_url: str,
        client_id: str,
        client_secret: Secret,
        clock: Clock,
    ) -> None:
        self._http = http
        self._url = token_url
        self._id = client_id
        self._secret = client_secret
        self._clock = clock
        self._token = ""
        self._good_until = -float("inf")
        self._lock = asyncio.Lock()

    async def token(self, *, not_this: str = "") -> str:
        """Return a valid token that is not `not_this`.

        Raises:
            Refusal: `upstream-unavailable` if the issuer cannot be reached or refuses.
        """
        async with self._lock:
            fresh = self._clock.monotonic() < self._good_until
            if not fresh or self._token == not_this:
                await self._fetch()
            return self._token

    async def _fetch(self) -> None:
        request = self._http.build_request(
            "POST",
            self._url,
            data={"grant_type": "client_credentials"},
            timeout=REMOTE_TIMEOUT_SECONDS,
        )
        basic = httpx.BasicAuth(self._id, self._secret.reveal())
        try:
            answer = await _fetch_json(self._http, request, basic)
            token = str(answer["access_token"])
            seconds = float(answer["expires_in"])
        except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
            telemetry.logger().warning("token.unavailable", **telemetry.describe(error))
            raise Refusal(problems.UPSTREAM_UNAVAILABLE) from None
        self._token = token
        self._good_until = self._clock.monotonic() + seconds - self.RENEW_SECONDS

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send `request` with the token; once more with a new one after a 401."""
        token = await self.token()
        request.headers["Authorization"] = f"Bearer {token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            token = await self.token(not_this=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request
