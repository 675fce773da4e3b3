# SPDX-License-Identifier: Apache-2.0
"""Configuration: one frozen object per process, read once, passed in.

Each service subclasses `ServiceSettings` and adds fields with `read` metadata. A field
`port` of the service `vault` is read from `KEYTURN_VAULT_PORT`, else `KEYTURN_PORT`;
a secret may stand in a file instead, named by the same variable with `_FILE` behind it.
A mistake stops the start and names the variable and the fix, never the value.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from services.chassis.variables import (
    BOOL,
    CRASH,
    DESCRIPTOR,
    LEVEL,
    LOOPBACK,
    MIN_SECRET_CHARACTERS,
    PATH,
    PORT,
    SECRET,
    TEXT,
    URL,
    WORDS,
    LogLevel,
    Mode,
    Secret,
    is_loopback,
    one_of,
    read,
)

PREFIX = "KEYTURN_"
FILED = "_FILE"
MAX_SECRET_BYTES = 4_096


class SettingsError(ValueError):
    """A setting is missing or wrong; the process must not start.

    Attributes:
        variable: Name of the environment variable.
        fix: What to set it to, in words.
    """

    def __init__(self, variable: str, fix: str) -> None:
        super().__init__(f"{variable}: {fix}")
        self.variable = variable
        self.fix = fix


def _content(variable: str, path: Path) -> str:
    """Return the text of a secret's file, without the line end that editors add."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SECRET_BYTES + 1).decode().rstrip("\r\n")
    except (OSError, ValueError):
        raise SettingsError(variable, "must name a file that can be read") from None
    if not 0 < len(text) <= MAX_SECRET_BYTES:
        raise SettingsError(variable, "must name a file with one secret in it")
    return text


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What every service needs to know. Defaults are those of the embedded mode.

    Attributes:
        mode: `embedded` (one host, defaults) or `production` (must prove itself).
        state_dir: Databases, log and locks.
        keys_dir: Keys; never inside `state_dir`.
        host: Address to listen on.
        port: TCP port to listen on.
        allowed_hosts: Accepted `Host` names without port.
        trusted_proxies: Addresses whose forwarding headers are believed.
        tls_certificate: PEM certificate chain; with `tls_key` it turns TLS on.
        tls_key: PEM private key of the certificate.
        tls_ca_file: PEM of the authority whose servers this process trusts; None is
            what the system trusts.
        tls_client_ca_file: PEM of the authority of callers' certificates. With it
            a token that was asked for with a certificate works with that one only,
            and the services' own tokens work in no other way.
        database_url: `postgresql+psycopg://...`; None is embedded SQLite.
        kafka_servers: `host:port,...`; None reads `broker.json` in `state_dir`.
        kafka_security: `PLAINTEXT`, `SSL` or `SASL_SSL`.
        kafka_ca_file: PEM of the authority that signed the brokers' certificates.
        kafka_username: SASL/SCRAM user name.
        kafka_password: SASL/SCRAM password.
        installation: The installation's id; None reads `installation.json`.
        external_issuer: Issuer of an OIDC provider; None is the vault's own issuer.
        token_algorithms: Signature algorithms accepted in access tokens.
        external_jwks_url: Where an external issuer's keys are.
        vault_url: Base URL of the vault.
        transfer_url: Base URL of transfer.
        audit_url: Base URL of audit.
        demonstration: Accept what only a demonstration may, such as `as_of` in a plan.
        accept_rollback: `<lane>@<seq>:<lane>@<seq>,...`: what a start after a
            restore accepts as lost; the refusal names it.
        crash_at: `label[:hits]`, where tests of crashes have it die by SIGKILL.
        lifeline: Descriptor at whose end the process ends (`chassis.lifeline`).
        docs: Serve /docs and /openapi.json also in production mode.
        log_level: Lowest level that is written to stderr.
    """

    SERVICE: ClassVar[str] = ""
    ABOUT: ClassVar[str] = ""

    mode: Mode = field(
        default=Mode.EMBEDDED, metadata=read(Mode, "`embedded` or `production`")
    )
    state_dir: Path = field(default=Path(".keyturn"), metadata=PATH)
    keys_dir: Path = field(default=Path(".keyturn-keys"), metadata=PATH)
    host: str = field(default="127.0.0.1", metadata=TEXT)
    port: int = field(default=8400, metadata=PORT)
    allowed_hosts: tuple[str, ...] = field(default=(), metadata=WORDS)
    trusted_proxies: tuple[str, ...] = field(default=(), metadata=WORDS)
    tls_certificate: Path | None = field(default=None, metadata=PATH)
    tls_key: Path | None = field(default=None, metadata=PATH)
    tls_ca_file: Path | None = field(default=None, metadata=PATH)
    tls_client_ca_file: Path | None = field(default=None, metadata=PATH)
    database_url: Secret | None = field(default=None, metadata=SECRET)
    kafka_servers: str | None = field(default=None, metadata=TEXT)
    kafka_security: str = field(
        default="PLAINTEXT", metadata=one_of("PLAINTEXT", "SSL", "SASL_SSL")
    )
    kafka_ca_file: Path | None = field(default=None, metadata=PATH)
    kafka_username: str | None = field(default=None, metadata=TEXT)
    kafka_password: Secret | None = field(default=None, metadata=SECRET)
    installation: str | None = field(default=None, metadata=TEXT)
    external_issuer: str | None = field(default=None, metadata=TEXT)
    external_jwks_url: str | None = field(default=None, metadata=URL)
    token_algorithms: tuple[str, ...] = field(default=("Ed25519",), metadata=WORDS)
    vault_url: str = field(default="http://127.0.0.1:8401", metadata=URL)
    transfer_url: str = field(default="http://127.0.0.1:8402", metadata=URL)
    audit_url: str = field(default="http://127.0.0.1:8403", metadata=URL)
    demonstration: bool = field(default=False, metadata=BOOL)
    accept_rollback: tuple[str, ...] = field(default=(), metadata=WORDS)
    crash_at: tuple[str, int] | None = field(default=None, metadata=CRASH)
    lifeline: int | None = field(default=None, metadata=DESCRIPTOR)
    docs: bool = field(default=False, metadata=BOOL)
    log_level: LogLevel = field(default=LogLevel.INFO, metadata=LEVEL)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read, parse and check the settings of this process.

        Raises:
            SettingsError: A variable is missing or wrong; names it and the fix.
        """
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            name, text = cls._lookup(environ, item.name)
            if text is None:
                continue
            try:
                values[item.name] = item.metadata["parse"](text)
            except (ValueError, KeyError):
                # `from None`: the cause would quote the value, maybe a secret.
                raise SettingsError(name, f"must be {item.metadata['fix']}") from None
        settings = cls(**values)
        settings.check()
        return settings

    @classmethod
    def _lookup(cls, environ: Mapping[str, str], name: str) -> tuple[str, str | None]:
        shared = PREFIX + name.upper()
        for variable in (cls.variable(name), shared):
            filed = variable + FILED
            if name in cls._secrets() and filed in environ:
                if variable in environ:
                    raise SettingsError(filed, f"unset it, or unset {variable}")
                return filed, _content(filed, Path(environ[filed]))
            if variable in environ:
                return variable, environ[variable]
        return shared, None

    @classmethod
    def _secrets(cls) -> frozenset[str]:
        """Names of the fields that hold a secret, which may stand in a file."""
        fields = dataclasses.fields(cls)
        return frozenset(f.name for f in fields if f.metadata["parse"] is Secret)

    @classmethod
    def variable(cls, name: str) -> str:
        """Return the variable that sets the field `name` for this service only."""
        service = f"{cls.SERVICE.upper()}_" if cls.SERVICE else ""
        return PREFIX + service + name.upper()

    def check(self) -> None:
        """Check what only several fields together show. Subclasses extend it.

        Raises:
            SettingsError: Names the variable and the fix.
        """
        self._check_paths()
        self._check_tokens()
        self._check_kafka()
        if self.crash_at is not None and not self.demonstration:
            raise SettingsError("KEYTURN_CRASH_AT", "is for demonstrations only; unset")
        if self.mode is Mode.PRODUCTION:
            self._check_production()
            self._check_transport()
            self._check_secrets()

    def _check_paths(self) -> None:
        state, keys = self.state_dir.absolute(), self.keys_dir.absolute()
        if keys == state or state in keys.parents:
            raise SettingsError(
                "KEYTURN_KEYS_DIR",
                "must not be inside KEYTURN_STATE_DIR: a backup of the state would "
                "then contain the keys that open it",
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("KEYTURN_TLS_KEY", "set both certificate and key")
        if self.tls_client_ca_file is not None and self.tls_certificate is None:
            raise SettingsError(
                "KEYTURN_TLS_CLIENT_CA_FILE",
                "callers show certificates to a service that serves TLS itself: set "
                "KEYTURN_TLS_CERTIFICATE and KEYTURN_TLS_KEY, or unset it",
            )

    def _check_kafka(self) -> None:
        login = (self.kafka_username, self.kafka_password)
        if self.kafka_security == "SASL_SSL" and None in login:
            raise SettingsError(
                "KEYTURN_KAFKA_PASSWORD",
                "SASL_SSL needs KEYTURN_KAFKA_USERNAME and KEYTURN_KAFKA_PASSWORD",
            )
        if self.kafka_security != "SASL_SSL" and login != (None, None):
            raise SettingsError(
                "KEYTURN_KAFKA_SECURITY", "must be SASL_SSL where a user name is set"
            )

    def _check_tokens(self) -> None:
        algorithms = set(self.token_algorithms)
        if not algorithms or not algorithms <= {"Ed25519", "ES256", "RS256"}:
            raise SettingsError(
                "KEYTURN_TOKEN_ALGORITHMS", "only Ed25519, ES256 and RS256 are accepted"
            )
        if self.external_issuer is None and algorithms != {"Ed25519"}:
            raise SettingsError(
                "KEYTURN_TOKEN_ALGORITHMS", "Keyturn's own issuer signs with Ed25519"
            )
        if (self.external_issuer is None) != (self.external_jwks_url is None):
            raise SettingsError(
                "KEYTURN_EXTERNAL_JWKS_URL", "set it together with the external issuer"
            )

    def _check_production(self) -> None:
        required = {
            "database_url": self.database_url,
            "kafka_servers": self.kafka_servers,
            "installation": self.installation,
            "allowed_hosts": self.allowed_hosts,
        }
        for name, value in required.items():
            if not value:
                raise SettingsError(
                    self.variable(name), "has no default in production mode; set it"
                )
        if self.demonstration:
            raise SettingsError(
                "KEYTURN_DEMONSTRATION", "is refused in production mode; unset it"
            )
        if "*" in self.allowed_hosts:
            raise SettingsError("KEYTURN_ALLOWED_HOSTS", "name the hosts one by one")

    def _check_transport(self) -> None:
        if not (is_loopback(self.host) or self.tls_certificate or self.trusted_proxies):
            raise SettingsError(
                "KEYTURN_TLS_CERTIFICATE",
                "TLS is required outside loopback: set certificate and key, or name "
                "the proxy that ends TLS in KEYTURN_TRUSTED_PROXIES",
            )
        if self.tls_certificate is not None and self.tls_client_ca_file is None:
            raise SettingsError(
                self.variable("tls_client_ca_file"),
                "the services know each other by their certificates: name the "
                "authority that signs them",
            )
        for name in ("vault_url", "transfer_url", "audit_url", "external_jwks_url"):
            address = getattr(self, name)
            if address and not (address.startswith("https://") or is_loopback(address)):
                raise SettingsError(
                    self.variable(name), "must be https outside loopback"
                )
        if self.kafka_security not in {"SSL", "SASL_SSL"}:
            raise SettingsError(
                "KEYTURN_KAFKA_SECURITY", "must be SSL or SASL_SSL in production mode"
            )

    def _check_secrets(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, Secret):
                continue
            if item.name == "database_url":
                value = Secret(urlsplit(value.reveal()).password or "")
            if value.looks_like_a_sample():
                raise SettingsError(
                    self.variable(item.name),
                    "holds a short or sample secret; generate one "
                    f"of at least {MIN_SECRET_CHARACTERS} characters",
                )

    @property
    def installation_id(self) -> str:
        """The installation's id, from the setting or from `installation.json`.

        Raises:
            SettingsError: The installation was not initialised yet.
        """
        if self.installation is not None:
            return self.installation
        path = self.state_dir / "installation.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["installation"])
        except (OSError, ValueError, KeyError, TypeError):
            raise SettingsError(
                "KEYTURN_INSTALLATION",
                "installation.json is not in the state directory; run "
                "`python -m services.vault init` first",
            ) from None

    @property
    def issuer(self) -> str:
        """`iss` of accepted access tokens."""
        return self.external_issuer or f"urn:keyturn:{self.installation_id}:issuer"

    @property
    def audience(self) -> str:
        """`aud` of accepted access tokens."""
        return f"urn:keyturn:{self.installation_id}"

    @property
    def jwks_url(self) -> str:
        """Where the issuer's public keys are."""
        return self.external_jwks_url or f"{self.vault_url}/v1/jwks"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Accepted `Host` names: the setting, else this host's own."""
        return self.allowed_hosts or (*sorted(LOOPBACK), self.host)

    @property
    def serves_docs(self) -> bool:
        """Whether /docs and /openapi.json are served."""
        return self.docs or self.mode is Mode.EMBEDDED
