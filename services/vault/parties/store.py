# SPDX-License-Identifier: Apache-2.0
"""SQL of parties, clients, officers, aliases of actors and used assertions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from contracts import scopes as scope_names
from contracts.officers import OfficerRole
from contracts.purposes import GIVEN, Purpose
from contracts.scopes import Scope
from services.chassis.auth import Principal, PrincipalKind
from services.chassis.clock import milliseconds, random_alias
from services.chassis.database import Tx
from services.chassis.prepared import Prepared
from services.vault.parties.errors import (
    ClientRevoked,
    CredentialsRefused,
    OfficerWithoutKey,
    PartyUnknown,
)
from services.vault.parties.members import (
    Client,
    EnrolledKey,
    KeyPurpose,
    Party,
    Revocation,
    Terms,
    officer_id,
)
from services.vault.parties.tables import actor, assertion, client, officer, party

# -- Parties --------------------------------------------------------------------

_PARTY = select(
    party.c.id, party.c.name, party.c.region, party.c.timezone, party.c.epoch
)
_FIND_PARTY = Prepared(_PARTY.where(party.c.id == bindparam("id")))


def find_party(connection: Connection, id_: str) -> Party | None:
    """Return a party, None if there is none."""
    row = _FIND_PARTY.first(connection, id=id_)
    return None if row is None else Party(*row)


def party_of(connection: Connection, id_: str) -> Party:
    """Return a party.

    Raises:
        PartyUnknown: There is none of that id.
    """
    found = find_party(connection, id_)
    if found is None:
        raise PartyUnknown
    return found


def insert_party(tx: Tx, new: Party) -> None:
    """Insert a party."""
    tx.execute(
        insert(party).values(
            id=new.id,
            name=new.name,
            region=new.region,
            timezone=new.timezone,
            epoch=new.epoch,
            created_at=milliseconds(tx.now),
        )
    )


_EPOCH = Prepared(select(party.c.epoch).where(party.c.id == bindparam("id")))


def epoch(connection: Connection, id_: str) -> int:
    """Return the party's epoch; 0 for a party that does not exist."""
    value = _EPOCH.scalar(connection, id=id_)
    return 0 if value is None else int(value)


def bump_epoch(tx: Tx, id_: str) -> None:
    """Move the party's epoch: reads already decided decide again.

    Called in the transaction of each freeze, thaw, turn, consent, key or policy
    change, so that the epoch moves exactly when the change is durable.
    """
    tx.execute(update(party).where(party.c.id == id_).values(epoch=party.c.epoch + 1))


# -- Clients --------------------------------------------------------------------


_CLIENT = Prepared(
    select(
        client.c.id,
        client.c.party,
        client.c.secret_hash,
        client.c.scopes,
        client.c.purposes,
        client.c.default_purpose,
        client.c.daily_records,
        client.c.revoked_at,
    ).where(client.c.id == bindparam("id"))
)


def find_client(connection: Connection, id_: str) -> Client | None:
    """Return a client, revoked or not, None if there is none."""
    row = _CLIENT.first(connection, id=id_)
    if row is None:
        return None
    return Client(
        id=row.id,
        party=row.party,
        secret_hash=row.secret_hash,
        # A scope that no longer exists opens nothing; its client still comes in.
        scopes=scope_names.parse(" ".join(json.loads(row.scopes))),
        purposes=frozenset(Purpose(name) for name in json.loads(row.purposes)),
        default_purpose=row.default_purpose and Purpose(row.default_purpose),
        revoked=row.revoked_at is not None,
        daily_records=row.daily_records,
    )


def are_enrolled(connection: Connection, party_id: str, clients: Iterable[str]) -> bool:
    """Whether the party and all these clients were enrolled, revoked or not."""
    return find_party(connection, party_id) is not None and all(
        find_client(connection, id_) is not None for id_ in clients
    )


def insert_client(tx: Tx, new: Client) -> None:
    """Insert a client."""
    tx.execute(
        insert(client).values(
            id=new.id,
            party=new.party,
            secret_hash=new.secret_hash,
            scopes=_names(new.scopes),
            purposes=_names(new.purposes),
            default_purpose=new.default_purpose,
            daily_records=new.daily_records,
            created_at=milliseconds(tx.now),
            revoked_at=None,
        )
    )


def replace_secret(tx: Tx, id_: str, secret_hash: bytes) -> None:
    """Give a client another secret; the old one is worth nothing from this commit."""
    tx.execute(update(client).where(client.c.id == id_).values(secret_hash=secret_hash))


def revoke_client(tx: Tx, id_: str) -> bool:
    """Revoke a client; whether it was good before."""
    moved = tx.execute(
        update(client)
        .where(client.c.id == id_, client.c.revoked_at.is_(None))
        .values(revoked_at=milliseconds(tx.now))
    )
    return bool(moved.rowcount == 1)


# -- Officers -------------------------------------------------------------------

KEY = select(
    officer.c.key_id,
    officer.c.party,
    officer.c.person,
    officer.c.role,
    officer.c.use,
    officer.c.public_key,
    officer.c.created_at,
    officer.c.revoked_at,
)


def find_key(connection: Connection, key_id: str) -> EnrolledKey | None:
    """Return an officer's key, revoked or not, None if it was never enrolled."""
    row = connection.execute(KEY.where(officer.c.key_id == key_id)).first()
    return None if row is None else key_of(row)


def keys_of_party(connection: Connection, party_id: str) -> list[EnrolledKey]:
    """Return all officers' keys of a party, in order of enrolment."""
    rows = connection.execute(
        KEY.where(officer.c.party == party_id).order_by(
            officer.c.created_at, officer.c.person, officer.c.use
        )
    )
    return [key_of(row) for row in rows]


def holds_key(connection: Connection, party_id: str, person: str, role: str) -> bool:
    """Whether an officer has an unrevoked key in this role."""
    found = connection.execute(
        select(officer.c.key_id)
        .where(
            officer.c.party == party_id,
            officer.c.person == person,
            officer.c.role == role,
            officer.c.revoked_at.is_(None),
        )
        .limit(1)
    )
    return found.first() is not None


def insert_key(tx: Tx, new: EnrolledKey, enrolled_by: str) -> None:
    """Insert an officer's key."""
    tx.execute(
        insert(officer).values(
            key_id=new.key_id,
            party=new.party,
            person=new.person,
            role=new.role.value,
            use=new.use,
            public_key=new.public_key,
            enrolled_by=enrolled_by,
            created_at=new.created_at,
            revoked_at=None,
        )
    )


def revoke_file(tx: Tx, key: EnrolledKey) -> list[str]:
    """Revoke both keys of the file that `key` stands in; return those revoked now.

    A file that was lost has lost both.
    """
    same_file = (
        officer.c.party == key.party,
        officer.c.person == key.person,
        officer.c.created_at == key.created_at,
        officer.c.revoked_at.is_(None),
    )
    found = tx.execute(select(officer.c.key_id).where(*same_file)).scalars().all()
    tx.execute(
        update(officer).where(*same_file).values(revoked_at=milliseconds(tx.now))
    )
    return sorted(found)


def key_of(row: Any) -> EnrolledKey:
    """Return an officer's key of a row of `KEY`."""
    use: KeyPurpose = "sign" if row.use == "sign" else "login"
    return EnrolledKey(
        key_id=row.key_id,
        party=row.party,
        person=row.person,
        role=OfficerRole(row.role),
        use=use,
        public_key=row.public_key,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def terms_of(connection: Connection, principal: Principal) -> Terms:
    """Return for which purposes a caller may read at all, as enrolled now.

    Raises:
        ClientRevoked: The client is revoked or unknown.
        OfficerWithoutKey: The officer has no good key in the token's role.
    """
    party_id, person, role = principal.party, principal.person, principal.role
    if principal.kind is PrincipalKind.OFFICER:
        if not holds_key(connection, party_id, person or "", role or ""):
            raise OfficerWithoutKey
        return Terms(GIVEN, None)
    found = find_client(connection, principal.id)
    if found is None or found.revoked or found.party != party_id:
        raise ClientRevoked
    return Terms(found.purposes, found.default_purpose, found.daily_records)


def revocations(connection: Connection, since: int) -> list[Revocation]:
    """Return each client and officer revoked after `since`, with the last time.

    Args:
        connection: A connection of the records' database.
        since: Milliseconds.
    """
    officers = connection.execute(
        select(officer.c.party, officer.c.person, func.max(officer.c.revoked_at))
        .where(officer.c.revoked_at > since)
        .group_by(officer.c.party, officer.c.person)
    )
    clients = connection.execute(
        select(client.c.id, client.c.revoked_at).where(client.c.revoked_at > since)
    )
    return [Revocation(officer_id(of, person), at) for of, person, at in officers] + [
        Revocation(id_, at) for id_, at in clients
    ]


# -- Aliases of actors, used assertions -------------------------------------------


_ALIAS = Prepared(
    select(actor.c.alias).where(
        actor.c.kind == bindparam("kind"), actor.c.id == bindparam("id")
    )
)


def find_alias(connection: Connection, kind: PrincipalKind, id_: str) -> str | None:
    """Return an actor's alias, None if it has none yet."""
    found: str | None = _ALIAS.scalar(connection, kind=kind.value, id=id_)
    return found


def actor_alias(tx: Tx, kind: PrincipalKind, id_: str) -> str:
    """Return an actor's alias; draw one if it has none.

    Args:
        tx: The transaction of what the actor does.
        kind: A client or an officer; `Principal.kind`.
        id_: The client id, or the officer's `<party>/<person>`; `Principal.id`.
    """
    found = find_alias(tx.connection, kind, id_)
    if found is not None:
        return found
    drawn = random_alias()
    tx.execute(insert(actor).values(kind=kind.value, id=id_, alias=drawn))
    return drawn


def use_assertion(tx: Tx, once: str, expires: int) -> None:
    """Use an assertion, once.

    Raises:
        CredentialsRefused: It was used before.
    """
    now = milliseconds(tx.now)
    tx.execute(delete(assertion).where(assertion.c.expires_at < now))
    try:
        tx.execute(insert(assertion).values(jti=once, expires_at=expires * 1000))
    except IntegrityError:
        raise CredentialsRefused from None


def _names(values: Iterable[Scope] | Iterable[Purpose]) -> str:
    return json.dumps(sorted(value.value for value in values), separators=(",", ":"))
