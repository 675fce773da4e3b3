# SPDX-License-Identifier: Apache-2.0
"""Parties, their clients and officers, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from contracts.officers import OfficerRole
from contracts.purposes import Purpose
from contracts.scopes import Scope

KeyPurpose: TypeAlias = Literal["login", "sign"]


@dataclass(frozen=True, slots=True)
class Party:
    """A company: seller, buyer, a reviewer's firm, or the platform.

    Attributes:
        region: ISO 3166-1 alpha-2; telephone numbers without country are read by it.
        timezone: IANA name; calendar years of entry volumes are its years.
        epoch: Moves with everything that could change a decision about a read.
    """

    id: str
    name: str
    region: str
    timezone: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Client:
    """A system of a party.

    Attributes:
        secret_hash: Keyed hash of its secret; see `client_secrets`.
        default_purpose: Taken where a request names none.
        daily_records: Distinct records a day; None for the installation's default.
    """

    id: str
    party: str
    secret_hash: bytes = field(repr=False)
    scopes: frozenset[Scope]
    purposes: frozenset[Purpose]
    default_purpose: Purpose | None
    revoked: bool
    daily_records: int | None = None


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """One key of an officer.

    Attributes:
        key_id: Hex SHA-256 of the raw public key.
        public_key: Ed25519, 32 bytes.
        created_at: Milliseconds; the two keys of one file share it.
        revoked_at: Milliseconds, None while the key is good.
    """

    key_id: str
    party: str
    person: str
    role: OfficerRole
    use: KeyPurpose
    public_key: bytes
    created_at: int
    revoked_at: int | None

    @property
    def officer(self) -> str:
        """The officer's id, `<party>/<person>`: the same whichever key is used."""
        return officer_id(self.party, self.person)


@dataclass(frozen=True, slots=True)
class Terms:
    """For which purposes a caller may read at all; policy narrows it further.

    Attributes:
        daily_records: Distinct records a day; None for the installation's default.
    """

    purposes: frozenset[Purpose]
    default_purpose: Purpose | None
    daily_records: int | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens of this client or officer, issued until then, are good no more.

    Attributes:
        subject: Client id or officer id, as `sub` of a token.
        revoked_at: Milliseconds.
    """

    subject: str
    revoked_at: int


def officer_id(party: str, person: str) -> str:
    """Return the id of an officer in tokens and in the table of aliases."""
    return f"{party}/{person}"
