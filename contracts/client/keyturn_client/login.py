# SPDX-License-Identifier: Apache-2.0
"""Who calls: credentials of a system or a person, and the tokens they are given.

A token is renewed before it ends, and once more when a service no longer takes it.
No secret has a `repr`, and none is ever put into an address.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from contracts.officers import OfficerFile, OfficerFileMalformed, parse_file
from keyturn_client import clock
from keyturn_client.calls import check, json_of
from keyturn_client.errors import AnswerMalformed, CredentialsUnusable

TOKEN_PATH: Final = "/v1/token"  # noqa: S105 - a path
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 30
EARLY_SECONDS: Final = 30.0  # a token is renewed so long before its end
_MAX_FILE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that is shown to nobody."""

    text: str

    def __repr__(self) -> str:
        return "***"


class Login(Protocol):
    """What a token is asked for with."""

    def form(self) -> dict[str, str]:
        """Return the fields of a token request, made anew each time."""
        ...


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """A system of a party, by its credentials (RFC 6749 §4.4).

    Attributes:
        scope: Only these of the client's scopes, space-separated; None for all.
    """

    client_id: str
    client_secret: Secret
    scope: str | None = None

    @classmethod
    def of(cls, client_id: str, client_secret: str) -> ClientLogin:
        """Return the login of an id and its secret."""
        return cls(client_id, Secret(client_secret))

    @classmethod
    def from_file(cls, path: Path | str) -> ClientLogin:
        """Return the login of a credentials file, as enrolment writes it.

        Raises:
            CredentialsUnusable: It is missing, readable by others, or no such file.
        """
        raw = _private(Path(path))
        try:
            found = json.loads(raw)
            return cls.of(str(found["client_id"]), str(found["client_secret"]))
        except (ValueError, KeyError, TypeError):
            # `from None`: the cause would carry the text, and with it the secret.
            message = "the credentials file has no client_id and client_secret"
            raise CredentialsUnusable(message) from None

    def form(self) -> dict[str, str]:
        """Return client id and secret."""
        asked = {} if self.scope is None else {"scope": self.scope}
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret.text,
            **asked,
        }


@dataclass(frozen=True, slots=True)
class OfficerLogin:
    """A person of a party, by the login key of the officer's file (RFC 7523).

    The file's other key, which signs documents, is never used here.
    """

    officer: OfficerFile

    @classmethod
    def from_file(cls, path: Path | str) -> OfficerLogin:
        """Return the login of an officer's key file.

        Raises:
            CredentialsUnusable: It is missing, readable by others, or no such file.
        """
        try:
            return cls(parse_file(_private(Path(path))))
        except OfficerFileMalformed:
            raise CredentialsUnusable("the officer's key file is damaged") from None

    def form(self) -> dict[str, str]:
        """Return a fresh assertion, good for a short time and once."""
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(),
        }

    def _assertion(self) -> str:
        pair, now = self.officer.login, clock.epoch_seconds()
        header = {"alg": "Ed25519", "typ": "JWT", "kid": pair.key_id}
        claims = {
            "iss": pair.key_id,
            "sub": pair.key_id,
            "aud": f"urn:keyturn:{self.officer.installation}:token",
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": clock.new_key(),
        }
        signed = f"{_part(header)}.{_part(claims)}"
        signature = pair.signing_key().sign(signed.encode()).signature
        return f"{signed}.{_base64url(signature)}"


def _part(members: dict[str, Any]) -> str:
    return _base64url(json.dumps(members, separators=(",", ":")).encode())


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _private(path: Path) -> bytes:
    """Return a file that is its owner's alone. Raises CredentialsUnusable."""
    try:
        with path.open("rb") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise CredentialsUnusable("others may read the file: chmod 600")
            return opened.read(_MAX_FILE_BYTES)
    except OSError:
        raise CredentialsUnusable("the file cannot be read") from None


class BearerAuth(httpx.Auth):
    """Puts a token into each request, and gets one where it needs one."""

    def __init__(self, vault: str, login: Login) -> None:
        self._url = f"{vault}{TOKEN_PATH}"
        self._login = login
        self._token = Secret("")
        self._until = 0.0

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Follow the flow. Only a token's answer is read here, never a stream."""
        flow = self.auth_flow(request)
        step = next(flow)
        while True:
            answer = yield step
            if step is not request:
                answer.read()
            try:
                step = flow.send(answer)
            except StopIteration:
                return

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Follow the flow. Only a token's answer is read here, never a stream."""
        flow = self.auth_flow(request)
        step = next(flow)
        while True:
            answer = yield step
            if step is not request:
                await answer.aread()
            try:
                step = flow.send(answer)
            except StopIteration:
                return

    def auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield what is to be sent.

        Raises:
            Refused: The vault gives no token.
        """
        fresh = clock.monotonic() >= self._until
        if fresh:
            yield from self._renew()
        self._sign(request)
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED and not fresh:
            # A 401 is said before anything is done: the request may go again.
            yield from self._renew()
            self._sign(request)
            yield request

    def _sign(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self._token.text}"

    def _renew(self) -> Generator[httpx.Request, httpx.Response, None]:
        answer = yield httpx.Request("POST", self._url, data=self._login.form())
        check(answer)
        granted = json_of(answer)
        try:
            self._token = Secret(str(granted["access_token"]))
            lifetime = float(granted["expires_in"]) - EARLY_SECONDS
        except (KeyError, TypeError, ValueError):
            raise AnswerMalformed("the vault's answer is no token") from None
        self._until = clock.monotonic() + max(0.0, lifetime)
