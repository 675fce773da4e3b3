# SPDX-License-Identifier: Apache-2.0
"""From where a token may be used: its party's networks, its holder's certificate. Pure.

A token that was asked for over mutual TLS is bound to that certificate (RFC 8705 §3):
whoever steals the token alone has nothing. The party's allow-list travels in the
token, so that every service keeps it without asking the vault.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from contracts import problems
from contracts.problems import Refusal

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NETWORKS_CLAIM: Final = "kt_networks"
MAX_NETWORKS: Final = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    Attributes:
        address: The caller's address, as the server saw it; empty if it saw none.
        certificate: Thumbprint of the certificate that the caller showed, verified.
    """

    address: str = ""
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a token may be used.

    Attributes:
        networks: The party's allow-list; empty is anywhere.
        certificate: Thumbprint of the holder's certificate; None is any or none.
    """

    networks: tuple[Network, ...] = ()
    certificate: str | None = None

    def claims(self) -> dict[str, Any]:
        """Return the claims that say so, none where nothing is bound."""
        found: dict[str, Any] = {}
        if self.networks:
            found[NETWORKS_CLAIM] = [str(network) for network in self.networks]
        if self.certificate is not None:
            found["cnf"] = {"x5t#S256": self.certificate}
        return found

    def require(self, origin: Origin) -> None:
        """Let a request pass that comes from where the token may be used.

        Raises:
            Refusal: `token-invalid` for another certificate or none,
                `address-not-allowed` for an address outside the networks.
        """
        if self.certificate is not None and self.certificate != origin.certificate:
            raise Refusal(problems.TOKEN_INVALID)
        if self.networks and not within(origin.address, self.networks):
            raise Refusal(problems.ADDRESS_NOT_ALLOWED)


ANYWHERE: Final = Bounds()


def bounds_of(claims: Mapping[str, Any]) -> Bounds:
    """Return what a token's claims bind it to.

    Raises:
        ValueError: A claim is malformed: such a token is good nowhere.
    """
    certificate = None
    if "cnf" in claims:
        confirmation = claims["cnf"]
        if not isinstance(confirmation, Mapping):
            raise ValueError("cnf")
        certificate = confirmation.get("x5t#S256")
        # A key of another kind is a promise that this service cannot check.
        if not isinstance(certificate, str) or len(confirmation) != 1:
            raise ValueError("cnf")
    listed = claims.get(NETWORKS_CLAIM, [])
    if not isinstance(listed, list) or len(listed) > MAX_NETWORKS:
        raise ValueError(NETWORKS_CLAIM)
    if NETWORKS_CLAIM in claims and not listed:
        raise ValueError(NETWORKS_CLAIM)
    return Bounds(parse_networks(map(str, listed)), certificate)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks in CIDR notation (RFC 4632, RFC 4291), sorted, each once.

    Raises:
        ValueError: One is no network, or has bits beyond its prefix.
    """
    found = {ipaddress.ip_network(text) for text in texts}
    return tuple(sorted(found, key=lambda network: (network.version, network)))


def within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; an unreadable one does not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)
