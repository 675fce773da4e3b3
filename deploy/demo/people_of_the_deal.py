# SPDX-License-Identifier: Apache-2.0
"""Who takes part in the demonstration: parties, their systems, their officers.

Names of officers are names of desks: they stand in signed documents and in the log's
officer table. Purposes and scopes are the least that each of them needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.officers import OfficerRole

SELLER: Final = "sparkle-supplies"
BUYER: Final = "bright-home"
REVIEWER: Final = "stone-counsel"
PLATFORM: Final = "platform"
"""Whoever runs Keyturn; the vault enrols this party itself."""

#: The shops lived there: a year of purchases ends at its midnight.
ZONE_NAME: Final = "America/New_York"


@dataclass(frozen=True, slots=True)
class PartySpec:
    """A company of the deal."""

    id: str
    name: str
    region: str = "US"
    timezone: str = ZONE_NAME


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """A system of a company."""

    id: str
    party: str
    scopes: tuple[str, ...]
    purposes: tuple[str, ...]
    default_purpose: str


@dataclass(frozen=True, slots=True)
class OfficerSpec:
    """A person of the deal; `seat` is the role in the handover, as the law names it."""

    seat: str
    party: str
    person: str
    role: OfficerRole


PARTIES: Final = (
    PartySpec(SELLER, "Sparkle Supplies"),
    PartySpec(BUYER, "Bright Home"),
    PartySpec(REVIEWER, "Stone Counsel"),
)

_CRM_SCOPES: Final = (
    *("catalogue:read", "catalogue:write", "records:create", "records:append"),
    *("records:patch", "records:read", "records:lookup", "records:list"),
    *("consents:write", "objections:write"),
)
_CRM_PURPOSES: Final = ("order_fulfilment", "customer_service", "data_quality")
_DESK_SCOPES: Final = ("records:read", "records:lookup", "records:list")
_DESK_PURPOSES: Final = ("customer_service", "invoicing")

SELLER_CRM: Final = "sparkle-crm"
SELLER_CLERK: Final = "sparkle-clerk"
BUYER_CRM: Final = "bright-crm"
BUYER_CLERK: Final = "bright-clerk"

CLIENTS: Final = (
    ClientSpec(SELLER_CRM, SELLER, _CRM_SCOPES, _CRM_PURPOSES, "order_fulfilment"),
    ClientSpec(SELLER_CLERK, SELLER, _DESK_SCOPES, _DESK_PURPOSES, "customer_service"),
    ClientSpec(BUYER_CRM, BUYER, _CRM_SCOPES, _CRM_PURPOSES, "order_fulfilment"),
    ClientSpec(BUYER_CLERK, BUYER, _DESK_SCOPES, _DESK_PURPOSES, "customer_service"),
)

OFFICERS: Final = (
    OfficerSpec("SO", SELLER, "sparkle-owner", OfficerRole.OWNER),
    OfficerSpec("SC", SELLER, "sparkle-compliance", OfficerRole.COMPLIANCE),
    OfficerSpec("SR", SELLER, "sparkle-operator", OfficerRole.OPERATOR),
    OfficerSpec("BO", BUYER, "bright-owner", OfficerRole.OWNER),
    OfficerSpec("BC", BUYER, "bright-compliance", OfficerRole.COMPLIANCE),
    OfficerSpec("PR", REVIEWER, "stone-reviewer", OfficerRole.REVIEWER),
    OfficerSpec("MO", PLATFORM, "platform-monitor", OfficerRole.MONITOR),
)


def officer_file(keys: Path, seat: str) -> Path:
    """Return where an officer's key file lies."""
    return keys / "officers" / f"{seat.lower()}.json"


def client_file(keys: Path, client: str) -> Path:
    """Return where a client's credentials lie."""
    return keys / "clients" / f"{client}.json"
