# SPDX-License-Identifier: Apache-2.0
"""Where the services are and how they are reached: addresses, TLS, time limits.

Certificates are always verified, redirects never followed, and a secret never leaves
over plain HTTP for another machine.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx

from keyturn_client.calls import Call, Service
from keyturn_client.errors import Unreachable
from keyturn_client.login import TOKEN_PATH, BearerAuth, Login
from keyturn_client.retrying import Retries

CONNECT_SECONDS: Final = 10.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to trust and who one is, besides the defaults.

    Attributes:
        authorities: PEM file of the authorities to trust instead of the system's.
        certificate: PEM file of a client certificate and its chain.
        key: PEM file of its key; None if it is in the same file.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context, of TLS 1.2 or newer. Raises OSError, ssl.SSLError."""
        made = ssl.create_default_context(cafile=self.authorities)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            made.load_cert_chain(self.certificate, self.key)
        return made


@dataclass(frozen=True, slots=True)
class House:
    """An installation as a client reaches it.

    Attributes:
        vault: Address of the vault, which also gives the tokens.
        transfer: Address of transfer; None if it is not called.
        audit: Address of audit; None if it is not called.
        purpose: Default purpose of this client's calls; None leaves it to the default
            that the vault knows.
        tls: Whom to trust.
        retries: How patient to be.
        timeout: Seconds of silence after which one try is given up.
        plain_http: Allow plain HTTP to other machines, where something else encrypts.

    Raises:
        ValueError: An address is none, or would send secrets in the clear.
    """

    vault: str
    transfer: str | None = None
    audit: str | None = None
    purpose: str | None = None
    tls: Tls = field(default_factory=Tls)
    retries: Retries = field(default_factory=Retries)
    timeout: float = 30.0
    plain_http: bool = False

    def __post_init__(self) -> None:
        for address in self.origins.values():
            url = httpx.URL(address)
            if url.scheme not in {"https", "http"} or not url.host or url.userinfo:
                raise ValueError("a service's address is https://host:port")
            if url.scheme == "http" and not self._may_be_plain(url.host):
                raise ValueError("plain HTTP to another machine would show secrets")

    def _may_be_plain(self, host: str) -> bool:
        return self.plain_http or host in _LOOPBACK

    @property
    def origins(self) -> Mapping[Service, str]:
        """Address of each service that has one, without a slash at its end."""
        given = {
            Service.VAULT: self.vault,
            Service.TRANSFER: self.transfer,
            Service.AUDIT: self.audit,
        }
        kept = {name: url.rstrip("/") for name, url in given.items() if url is not None}
        return MappingProxyType(kept)

    def origin(self, call: Call[Any]) -> str:
        """Return the address for a call. Raises ValueError: it has none."""
        found = self.origins.get(call.service)
        if found is None:
            raise ValueError(f"this client was given no address of {call.service}")
        return found

    def options(self, login: Login | None) -> dict[str, Any]:
        """Return the options of an httpx client; without a login, nothing is signed."""
        auth = None if login is None else BearerAuth(self.vault.rstrip("/"), login)
        purpose = {} if self.purpose is None else {"Keyturn-Purpose": self.purpose}
        return {
            "auth": auth,
            "headers": purpose,
            "verify": self.tls.context(),
            "timeout": httpx.Timeout(self.timeout, connect=CONNECT_SECONDS),
            "follow_redirects": False,
            "trust_env": False,  # no proxy and no .netrc that nobody named here
        }


def unreachable(call: Call[Any], error: httpx.RequestError) -> Unreachable:
    """Return the error of a call that got no answer."""
    try:
        before = error.request.url.path == TOKEN_PATH
    except RuntimeError:  # httpx: the request was never made
        before = True
    never = before or isinstance(error, _NEVER_SENT)
    message = f"{call.service} does not answer ({type(error).__name__})"
    return Unreachable(message, maybe_done=not never)
