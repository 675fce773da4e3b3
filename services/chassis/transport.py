# SPDX-License-Identifier: Apache-2.0
"""How a process speaks with others: whom it trusts, and by what it is known.

One certificate is a process's identity in both directions: it serves with it, and it
shows it to the other services (mutual TLS, RFC 8705). To Kafka: TLS, with SASL/SCRAM
where asked (RFC 5802).
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from services.chassis.settings import ServiceSettings, SettingsError

PEER: Final = "peer_certificate"
"""Key of a request's state: the thumbprint of a verified client certificate."""
SASL_MECHANISM: Final = "SCRAM-SHA-512"
PLAIN: Final[Mapping[str, Any]] = {}
"""How the embedded broker is spoken to: without TLS, on loopback."""


def client_context(settings: ServiceSettings) -> ssl.SSLContext:
    """Return how this process calls others over TLS 1.2 or newer.

    It trusts `tls_ca_file`, or what the system trusts, and shows its own certificate
    where it has one.

    Raises:
        SettingsError: A file is missing, unreadable, or the key is not the
            certificate's.
    """
    context = _trusting(settings, "tls_ca_file")
    if settings.tls_certificate is not None and settings.tls_key is not None:
        try:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except (OSError, ssl.SSLError):
            raise SettingsError(
                settings.variable("tls_certificate"),
                "and its key must be readable PEM, and belong together",
            ) from None
    return context


def _trusting(settings: ServiceSettings, name: str) -> ssl.SSLContext:
    """Return a context that trusts the authority of a setting, or the system's."""
    ca_file: Path | None = getattr(settings, name)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise SettingsError(
            settings.variable(name), "is no readable PEM of an authority"
        ) from None


def http_client(settings: ServiceSettings, **options: Any) -> httpx.AsyncClient:
    """Return a client of other services; it follows no redirect.

    Raises:
        SettingsError: As `client_context`.
    """
    return httpx.AsyncClient(
        verify=client_context(settings), follow_redirects=False, **options
    )


def kafka_security(settings: ServiceSettings) -> Mapping[str, Any]:
    """Return how the brokers are spoken to, as aiokafka's clients take it.

    Raises:
        SettingsError: The authority's file is missing or unreadable.
    """
    if settings.kafka_security == "PLAINTEXT":
        return PLAIN
    context = _trusting(settings, "kafka_ca_file")
    spoken: dict[str, Any] = {
        "security_protocol": settings.kafka_security,
        "ssl_context": context,
    }
    if settings.kafka_security == "SASL_SSL":
        assert settings.kafka_password is not None  # `ServiceSettings.check`
        spoken |= {
            "sasl_mechanism": SASL_MECHANISM,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.reveal(),
        }
    return spoken


def thumbprint(certificate: bytes) -> str:
    """Return the name of a DER certificate in a token: RFC 8705 §3.1, `x5t#S256`."""
    digest = hashlib.sha256(certificate).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
