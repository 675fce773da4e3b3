# SPDX-License-Identifier: Apache-2.0
"""`keyturn token`: log a client or an officer in at the vault.

A client shows its secret (RFC 6749 §4.4), a person signs an assertion with the login
key (RFC 7523). The signing key is never used here: it seals documents only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from joserfc import jwt
from joserfc.jwk import OKPKey

from contracts.officers import OfficerFile, OfficerFileMalformed, parse_file
from services.chassis.clock import Clock, SystemClock, uuid7
from services.chassis.key_files import KeyFileRefused, read_private
from services.cli.help_pages import as_it_stands
from services.cli.http import Api, FileUnusable, checked, errors_shown, json_of

TOKEN_PATH: Final = "/v1/token"  # noqa: S105 - a path
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 30
EPILOG: Final = as_it_stands(
    """
Example:
  TOKEN=$(keyturn token --client .keyturn-keys/clients/sparkle-crm.json)
  curl -H "Authorization: Bearer $TOKEN" "http://127.0.0.1:8401/v1/records?limit=10"
"""
)
EARLY_SECONDS: Final = 30  # a token is renewed so long before its end


class Login(httpx.Auth):
    """Gets a token before the first request and again before it ends."""

    def __init__(self, vault_url: str, clock: Clock) -> None:
        self._url = f"{vault_url.rstrip('/')}{TOKEN_PATH}"
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def form(self) -> dict[str, str]:
        """Return the fields of the token request, made anew each time."""
        raise NotImplementedError

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the token into a request; of all answers only a token's is read here.

        Raises:
            Refused: The vault refuses the login.
        """
        if self._is_due():
            answer = yield self._asking()
            answer.read()  # httpx would else read a stream to its end, too
            self.keep(json_of(checked(answer)))
        yield self._signed(request)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As `sync_auth_flow`."""
        if self._is_due():
            answer = yield self._asking()
            await answer.aread()
            self.keep(json_of(checked(answer)))
        yield self._signed(request)

    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._until

    def _asking(self) -> httpx.Request:
        return httpx.Request("POST", self._url, data=self.form())

    def _signed(self, request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def keep(self, granted: dict[str, Any]) -> None:
        """Remember a token as long as it is good."""
        self._token = str(granted["access_token"])
        lifetime = float(granted["expires_in"]) - EARLY_SECONDS
        self._until = self._clock.monotonic() + max(0.0, lifetime)


class ClientLogin(Login):
    """A system of a party, by its credentials."""

    def __init__(
        self, vault_url: str, client_id: str, client_secret: str, clock: Clock
    ) -> None:
        super().__init__(vault_url, clock)
        self._credentials = (client_id, client_secret)

    def form(self) -> dict[str, str]:
        """Return client id and secret."""
        client_id, client_secret = self._credentials
        return {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }


class OfficerLogin(Login):
    """A person, by the login key of the officer's file."""

    def __init__(self, vault_url: str, officer: OfficerFile, clock: Clock) -> None:
        super().__init__(vault_url, clock)
        self._officer = officer

    def form(self) -> dict[str, str]:
        """Return a fresh assertion."""
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(),
        }

    def _assertion(self) -> str:
        pair = self._officer.login
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": pair.key_id,
            "sub": pair.key_id,
            "aud": f"urn:keyturn:{self._officer.installation}:token",
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid7()),
        }
        key = OKPKey.import_key(
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": _base64url(pair.public_key),
                "d": _base64url(pair.seed),
            }
        )
        header = {"alg": "Ed25519", "typ": "JWT", "kid": pair.key_id}
        return jwt.encode(header, claims, key, algorithms=["Ed25519"])


def read_officer(path: Path) -> OfficerFile:
    """Return an officer of a key file.

    Raises:
        FileUnusable: It is missing, open to others, or no officer's key file.
    """
    try:
        return parse_file(read_private(path))
    except (KeyFileRefused, OfficerFileMalformed) as error:
        raise FileUnusable(f"officer file: {error}") from error


def client_login(vault_url: str, path: Path, clock: Clock) -> ClientLogin:
    """Return the login of a client's credentials file.

    Raises:
        FileUnusable: It is missing, open to others, or no credentials file.
    """
    try:
        found = json.loads(read_private(path))
        client_id, secret = str(found["client_id"]), str(found["client_secret"])
    except KeyFileRefused as error:
        raise FileUnusable(f"client file: {error}") from error
    except (ValueError, KeyError, TypeError):
        # `from None`: the cause would carry the text, and with it the secret.
        raise FileUnusable("the client file has no client_id and secret") from None
    return ClientLogin(vault_url, client_id, secret, clock)


def granted(vault: Api, login: Login, scope: str | None = None) -> dict[str, Any]:
    """Ask for a token; return the vault's answer.

    Raises:
        Refused: The vault refuses the login or the scope.
        Unreachable: The vault does not answer.
    """
    form = login.form() | ({} if scope is None else {"scope": scope})
    answer: dict[str, Any] = json_of(checked(vault.send("POST", TOKEN_PATH, data=form)))
    return answer


def token(
    client: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A client's credentials; or --officer."),
    ] = None,
    officer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An officer's key file; or --client."),
    ] = None,
    url: Annotated[
        str, typer.Option(metavar="URL", help="The vault.")
    ] = "http://127.0.0.1:8401",
    scope: Annotated[
        str | None,
        typer.Option(
            metavar="SCOPES", help="Only these of the granted scopes, space-separated."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the vault's whole answer, as JSON.")
    ] = False,
) -> None:
    """Print an access token for a client or an officer.

    It is good for some minutes, at all three services.
    """
    if (client is None) == (officer is None):
        raise typer.BadParameter("give --client FILE or --officer FILE")
    clock = SystemClock()
    with errors_shown(as_json=as_json):
        login: Login
        if officer is not None:
            login = OfficerLogin(url, read_officer(officer), clock)
        else:
            assert client is not None
            login = client_login(url, client, clock)
        answer = granted(Api(url), login, scope)
    typer.echo(json.dumps(answer) if as_json else answer["access_token"])


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
