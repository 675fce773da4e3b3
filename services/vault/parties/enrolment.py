# SPDX-License-Identifier: Apache-2.0
"""Enrolment on the vault's host: parties, clients, first officers, revocations.

Only whoever operates the host enrols; no token scope does. Each is one transaction
with its event, on the host's own lane, with the vault stopped or running.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import phonenumbers

from contracts.events.enrolment import (
    ClientEnrolled,
    ClientRenewed,
    ClientRevoked,
    OfficerEnrolled,
    PartyEnrolled,
    PartyNetworksSet,
)
from contracts.officers import OfficerRole, is_person, key_id
from contracts.purposes import GIVEN, Purpose
from contracts.scopes import Scope
from services.chassis import outbox
from services.chassis.auth import PLATFORM, PrincipalKind
from services.chassis.auth.origin import MAX_NETWORKS, parse_networks
from services.chassis.clock import milliseconds
from services.chassis.database import Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault.parties import allow_list, store
from services.vault.parties.client_secrets import SECRET_BYTES, secret_hash, secret_text
from services.vault.parties.errors import EnrolmentRefused
from services.vault.parties.members import (
    Client,
    EnrolledKey,
    KeyPurpose,
    Party,
    officer_id,
)
from services.vault.parties.operations import revoke_keys
from services.vault.parties.roles import INSTALLATION_ONLY

HOST: Final = "host"
"""The slot of enrolments, and who enrolled."""

MAX_DAILY_RECORDS: Final = 1_000_000_000

T = TypeVar("T")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class EnrolledClient:
    """A client and its secret, which is shown once and stored nowhere."""

    client_id: str
    secret: str = field(repr=False)
    event: EventRef


class Enrolment:
    """What `python -m services.vault enrol` does; blocking, for a command line."""

    def __init__(
        self,
        journal: Journal,
        *,
        secrets_key: bytes,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._journal = journal
        self._secrets_key = secrets_key
        self._random_bytes = random_bytes

    def party(self, id_: str, name: str, region: str, timezone: str) -> EventRef | None:
        """Enrol a party; the same again changes nothing and returns None.

        Args:
            id_: `[a-z0-9-]`, at most 64.
            name: Its name, for people.
            region: ISO 3166-1 alpha-2, for telephone numbers without country.
            timezone: IANA name, for the calendar years of entries.

        Raises:
            EnrolmentRefused: A value is not valid, or the party exists otherwise.
        """
        _require(_ID.fullmatch(id_), "the party id must be of a-z, 0-9 and -, ≤ 64")
        _require(0 < len(name) <= 200 and name.isprintable(), "the name is not valid")
        _require(region in phonenumbers.SUPPORTED_REGIONS, "no such region")
        _require(timezone in zoneinfo.available_timezones(), "no such time zone")
        new = Party(id_, name, region, timezone, epoch=1)

        def enrol(tx: Tx) -> EventRef | None:
            found = store.find_party(tx.connection, id_)
            if found is not None:
                same = (found.name, found.region, found.timezone)
                _require(
                    same == (name, region, timezone),
                    "this party is enrolled with other particulars",
                )
                return None
            store.insert_party(tx, new)
            event = PartyEnrolled(party=id_, region=region, timezone=timezone)
            return outbox.append(tx, event.draft(id_))

        return self._run(enrol)

    def allow(self, party: str, networks: Iterable[str]) -> EventRef | None:
        """Set from where a party's tokens may be used; the same again returns None.

        Args:
            party: Whose tokens.
            networks: At least one, in CIDR notation; they replace those it had.

        Raises:
            EnrolmentRefused: There is no such party, or one is no network.
        """
        try:
            wanted = parse_networks(networks)
        except ValueError:
            raise EnrolmentRefused(
                "a network is not valid: write it as 203.0.113.0/24 or 2001:db8::/32, "
                "without bits beyond the prefix"
            ) from None
        _require(0 < len(wanted) <= MAX_NETWORKS, "name 1 to 64 networks")

        def allow(tx: Tx) -> EventRef | None:
            self._require_party(tx, party)
            if allow_list.networks_of(tx.connection, party) == wanted:
                return None
            allow_list.replace_networks(tx, party, wanted)
            event = PartyNetworksSet(party=party, networks=[str(n) for n in wanted])
            return outbox.append(tx, event.draft(party))

        return self._run(allow)

    def draw_secret(self) -> str:
        """Return a new client secret; it opens nothing before it is enrolled."""
        return secret_text(self._random_bytes(SECRET_BYTES))

    def client(
        self,
        id_: str,
        party: str,
        scopes: frozenset[Scope],
        purposes: frozenset[Purpose] = frozenset(),
        default_purpose: Purpose | None = None,
        *,
        secret: str | None = None,
        daily_records: int | None = None,
    ) -> EnrolledClient:
        """Enrol a client.

        Args:
            id_: `[a-z0-9-]`, at most 64; one in the installation.
            party: Whose system it is.
            scopes: What its tokens may open.
            purposes: For which purposes it may read.
            default_purpose: Taken where a request names none.
            secret: One of `draw_secret`; None draws it here.
            daily_records: Distinct records a day that it may be shown; None for the
                installation's default.

        Raises:
            EnrolmentRefused: The id is taken (revoked clients keep theirs), the party
                unknown, a purpose cannot be given, or a scope not to this party.
        """
        _require(_ID.fullmatch(id_), "the client id must be of a-z, 0-9 and -, ≤ 64")
        foreign = sorted(scopes & INSTALLATION_ONLY) if party != PLATFORM else []
        _require(
            not foreign,
            f"{', '.join(foreign)}: for clients of the party {PLATFORM} alone",
        )
        _require(purposes <= GIVEN, "a purpose in the list cannot be given to a client")
        _require(
            default_purpose is None or default_purpose in purposes,
            "the default purpose must be one of the purposes",
        )
        _require(
            daily_records is None or 1 <= daily_records <= MAX_DAILY_RECORDS,
            f"the daily records must be 1-{MAX_DAILY_RECORDS}",
        )
        secret = secret or self.draw_secret()
        hashed = secret_hash(self._secrets_key, secret)
        new = Client(
            id_,
            party,
            hashed,
            scopes,
            purposes,
            default_purpose,
            revoked=False,
            daily_records=daily_records,
        )

        def enrol(tx: Tx) -> EventRef:
            self._require_party(tx, party)
            _require(
                store.find_client(tx.connection, id_) is None,
                "a client of this id is enrolled",
            )
            store.insert_client(tx, new)
            store.actor_alias(tx, PrincipalKind.CLIENT, id_)
            event = ClientEnrolled(
                client=id_,
                scopes=sorted(scope.value for scope in scopes),
                purposes=sorted(purpose.value for purpose in purposes),
                default_purpose=default_purpose and default_purpose.value,
                daily_records=daily_records,
            )
            return outbox.append(tx, event.draft(party))

        return EnrolledClient(id_, secret, self._run(enrol))

    def renew_secret(self, id_: str) -> tuple[str, EventRef]:
        """Draw a client's secret anew, where its file was lost; and the event.

        Tokens that were drawn with the old one live until they expire.

        Raises:
            EnrolmentRefused: There is no such client.
        """
        secret = self.draw_secret()
        hashed = secret_hash(self._secrets_key, secret)

        def renew(tx: Tx) -> EventRef:
            found = store.find_client(tx.connection, id_)
            if found is None or found.revoked:
                raise EnrolmentRefused("no such client")
            store.replace_secret(tx, id_, hashed)
            return outbox.append(tx, ClientRenewed(client=id_).draft(found.party))

        return secret, self._run(renew)

    def has_client(self, id_: str) -> bool:
        """Whether a client of this id was ever enrolled."""
        database = self._journal.database
        return database.read_now(lambda c: store.find_client(c, id_)) is not None

    def officer(
        self,
        party: str,
        person: str,
        role: OfficerRole,
        *,
        login: bytes,
        sign: bytes,
    ) -> list[EventRef]:
        """Enrol an officer's two public keys; the same again changes nothing.

        Raises:
            EnrolmentRefused: The party is unknown, a key is taken or malformed, or
                the two are one key.
        """
        _require(is_person(person), "the person must be of a-z, 0-9 and ._-, ≤ 64")
        _require(len(login) == len(sign) == 32, "a public key is 32 bytes")
        _require(login != sign, "login and sign must be two keys")

        def enrol(tx: Tx) -> list[EventRef]:
            self._require_party(tx, party)
            now = milliseconds(tx.now)
            pairs: list[tuple[KeyPurpose, bytes]] = [("login", login), ("sign", sign)]
            keys = [
                EnrolledKey(key_id(raw), party, person, role, use, raw, now, None)
                for use, raw in pairs
            ]
            if _all_enrolled(tx, keys):
                return []
            alias = store.actor_alias(
                tx, PrincipalKind.OFFICER, officer_id(party, person)
            )
            return [_enrol_key(tx, key, alias) for key in keys]

        return self._run(enrol)

    def revoke_officer(self, key_id_: str) -> EventRef | None:
        """Revoke the key file that holds this key; None if it was revoked before.

        Raises:
            EnrolmentRefused: There is no such key.
        """

        def revoke(tx: Tx) -> EventRef | None:
            key = store.find_key(tx.connection, key_id_)
            if key is None:
                raise EnrolmentRefused("no key of this id is enrolled")
            return revoke_keys(tx, key, None)

        return self._run(revoke)

    def revoke_client(self, id_: str) -> EventRef | None:
        """Revoke a client; None if it was revoked before.

        Raises:
            EnrolmentRefused: There is no such client.
        """

        def revoke(tx: Tx) -> EventRef | None:
            found = store.find_client(tx.connection, id_)
            if found is None:
                raise EnrolmentRefused("no client of this id is enrolled")
            if not store.revoke_client(tx, id_):
                return None
            store.bump_epoch(tx, found.party)
            return outbox.append(tx, ClientRevoked(client=id_).draft(found.party))

        return self._run(revoke)

    def _require_party(self, tx: Tx, party: str) -> None:
        found = store.find_party(tx.connection, party)
        _require(found is not None, "no party of this id is enrolled")

    def _run(self, fn: Callable[[Tx], T]) -> T:
        return self._journal.database.submit(fn).result()


def _all_enrolled(tx: Tx, keys: list[EnrolledKey]) -> bool:
    """Whether exactly these keys are enrolled already.

    Raises:
        EnrolmentRefused: One of them is, otherwise: a key serves one person, in one
            role and one use, and never comes back once it was revoked.
    """
    found = [store.find_key(tx.connection, key.key_id) for key in keys]
    if not any(found):
        return False
    same = [
        known is not None
        and known.revoked_at is None
        and (known.party, known.person, known.role, known.use)
        == (key.party, key.person, key.role, key.use)
        for known, key in zip(found, keys, strict=True)
    ]
    _require(all(same), "one of these keys is enrolled otherwise, or was revoked")
    return True


def _enrol_key(tx: Tx, key: EnrolledKey, alias: str) -> EventRef:
    store.insert_key(tx, key, HOST)
    event = OfficerEnrolled(
        officer=alias,
        key_id=key.key_id,
        role=key.role.value,
        use=key.use,
        enrolled_by=HOST,
    )
    return outbox.append(tx, event.draft(key.party))


def _require(condition: object, why: str) -> None:
    if not condition:
        raise EnrolmentRefused(why)
