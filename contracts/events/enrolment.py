# SPDX-License-Identifier: Apache-2.0
"""Payloads of the vault's events about parties, their clients and officers."""

from __future__ import annotations

from typing import ClassVar, Literal

from contracts.events.payload import Acted, Alias, PartyId, Payload


class PartyEnrolled(Payload):
    """A party was created on the vault's host."""

    TYPE: ClassVar[str] = "org.keyturn.party.enrolled.v1"
    party: PartyId
    region: str
    timezone: str


class PartyNetworksSet(Payload):
    """A party's allow-list was set on the vault's host, in CIDR notation."""

    TYPE: ClassVar[str] = "org.keyturn.party.networks_set.v1"
    party: PartyId
    networks: list[str]


class ClientEnrolled(Payload):
    """A client (a system of a party) was enrolled on the vault's host."""

    TYPE: ClassVar[str] = "org.keyturn.client.enrolled.v1"
    client: str
    scopes: list[str]
    purposes: list[str]
    default_purpose: str | None = None
    daily_records: int | None = None


class ClientRenewed(Payload):
    """A client's secret was drawn anew on the host; the old one opens nothing."""

    TYPE: ClassVar[str] = "org.keyturn.client.renewed.v1"
    client: str


class ClientRevoked(Acted):
    """A client was revoked: its secret opens nothing any more."""

    TYPE: ClassVar[str] = "org.keyturn.client.revoked.v1"


class OfficerEnrolled(Payload):
    """A key of an officer was enrolled; `key_id` is hex SHA-256 of the public key."""

    TYPE: ClassVar[str] = "org.keyturn.officer.enrolled.v1"
    officer: Alias
    key_id: str
    role: str
    use: Literal["sign", "login"]
    enrolled_by: str


class OfficerRevoked(Acted):
    """A key of an officer was revoked."""

    TYPE: ClassVar[str] = "org.keyturn.officer.revoked.v1"
    key_id: str


ENROLMENT_EVENTS: tuple[type[Payload], ...] = (
    PartyEnrolled,
    PartyNetworksSet,
    ClientEnrolled,
    ClientRenewed,
    ClientRevoked,
    OfficerEnrolled,
    OfficerRevoked,
)
