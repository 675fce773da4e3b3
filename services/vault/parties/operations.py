# SPDX-License-Identifier: Apache-2.0
"""Tokens, officers and callers: who somebody is, never what a record may show them."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.events.enrolment import OfficerRevoked
from contracts.officers import OfficerRole
from contracts.scopes import Scope
from services.chassis import outbox
from services.chassis.auth import PLATFORM, Bounds, Origin, Principal, PrincipalKind
from services.chassis.auth.origin import within
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault.parties import allow_list, assertions, store
from services.vault.parties.client_secrets import secret_matches
from services.vault.parties.errors import (
    CredentialsRefused,
    NoOfficer,
    OfficerUnknown,
    OwnKey,
    PartyUnknown,
    ScopeRefused,
)
from services.vault.parties.issuer import IssuedToken, TokenIssuer
from services.vault.parties.members import (
    EnrolledKey,
    Party,
    Revocation,
    Terms,
)
from services.vault.parties.roles import scopes_of

MEMORY_SECONDS = 2.0  # who is revoked is refused after this, at the latest
CLOCKS_APART_SECONDS = 60  # another host may end a token so much later
MEMORY_CALLERS = 4_096  # remembered at once
NOWHERE = Origin()
_NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client's id and secret; the secret is in no repr."""

    client_id: str
    secret: str = field(repr=False)


class Parties:
    """The parties room."""

    def __init__(
        self,
        changes: Journal,
        issuer: TokenIssuer,
        *,
        installation: str,
        secrets_key: bytes,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._issuer = issuer
        self._secrets_key = secrets_key
        self._clock = clock
        self._terms: dict[Principal, tuple[float, Terms]] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self.installation = installation

    # --- tokens ------------------------------------------------------------------

    async def token_for_client(
        self,
        credentials: ClientCredentials,
        scope: str | None,
        origin: Origin = NOWHERE,
    ) -> IssuedToken:
        """Return a token for a client that knows its secret. RFC 6749 §4.4.

        Args:
            credentials: What the client showed.
            scope: The scopes wanted, space-separated; None for all it was given.
            origin: Where it calls from; the token is bound to its certificate.

        Raises:
            CredentialsRefused: Unknown, revoked, another secret, or an address that
                is not on the party's allow-list.
            ScopeRefused: A scope that the client was not given.
        """
        found = await self._changes.read(
            lambda c: store.find_client(c, credentials.client_id)
        )
        # An unknown client costs the same hash, so that its absence takes no less.
        stored = _NO_HASH if found is None else found.secret_hash
        known = secret_matches(self._secrets_key, credentials.secret, stored)
        if found is None or found.revoked or not known:
            raise CredentialsRefused
        bounds = await self._bounds(found.party, origin)
        return self._issuer.issue(
            Principal(
                kind=PrincipalKind.CLIENT,
                id=found.id,
                party=found.party,
                role=None,
                person=None,
                scopes=_chosen(scope, found.scopes),
            ),
            bounds,
        )

    async def _bounds(self, party: str, origin: Origin) -> Bounds:
        """Return where a token of a party may be used, if it may be had from here."""
        allowed = await self._changes.read(lambda c: allow_list.networks_of(c, party))
        if allowed and not within(origin.address, allowed):
            raise CredentialsRefused
        return Bounds(allowed, origin.certificate)

    async def token_for_officer(
        self,
        assertion: str,
        scope: str | None,
        client_id: str | None = None,
        origin: Origin = NOWHERE,
    ) -> IssuedToken:
        """Return a token for a person who proves an enrolled login key. RFC 7523.

        Args:
            assertion: The signed JWT.
            scope: The scopes wanted, space-separated; None for all of the role.
            client_id: If sent beside the assertion, it must be its key id.
            origin: Where the person calls from.

        Raises:
            CredentialsRefused: Key unknown, revoked or a signing key; assertion
                wrong, too long, expired, for another installation, or used before;
                or an address that is not on the party's allow-list.
            ScopeRefused: A scope that the role does not have.
        """
        key_id = assertions.claimed_key_id(assertion)
        if client_id not in (None, key_id):
            raise CredentialsRefused
        key = await self._changes.read(lambda c: store.find_key(c, key_id))
        if key is None or key.use != "login" or key.revoked_at is not None:
            raise CredentialsRefused
        verified = assertions.verify(
            assertion,
            key_id,
            key.public_key,
            installation=self.installation,
            now=self._clock.now(),
        )
        scopes = _chosen(scope, scopes_of(key.role, key.party))
        bounds = await self._bounds(key.party, origin)
        # Used up before the token exists: a crash in between costs a new assertion.
        await self._changes.write(
            lambda tx: store.use_assertion(tx, verified.once, verified.expires)
        )
        return self._issuer.issue(
            Principal(
                kind=PrincipalKind.OFFICER,
                id=key.officer,
                party=key.party,
                role=key.role.value,
                person=key.person,
                scopes=scopes,
            ),
            bounds,
        )

    async def parties_without_allow_list(self) -> list[str]:
        """Return the parties whose tokens may be used from anywhere, unsaid."""
        return await self._changes.read(allow_list.parties_without)

    # --- officers ------------------------------------------------------------------

    async def officers(self, principal: Principal, party: str) -> list[EnrolledKey]:
        """Return the keys of a party's officers.

        The installation's own see every party's, and so do reviewers, who check what
        officers of two other parties have signed.

        Raises:
            PartyUnknown: There is no such party, or it is not the caller's to see.
        """
        everybodys = (
            principal.party == PLATFORM or principal.role == OfficerRole.REVIEWER
        )
        if not everybodys and principal.party != party:
            raise PartyUnknown
        if await self._changes.read(lambda c: store.find_party(c, party)) is None:
            raise PartyUnknown
        return await self._changes.read(lambda c: store.keys_of_party(c, party))

    async def revoke_officer(
        self, principal: Principal, key_id: str
    ) -> EventRef | None:
        """Revoke the key file that holds `key_id`; by another officer of the party.

        Returns:
            The last event, None if both keys were revoked before.

        Raises:
            NoOfficer: The caller is a client.
            OfficerUnknown: No such key of the caller's party.
            OwnKey: The key is the caller's own.
            OfficerWithoutKey: The caller was revoked.
        """
        if principal.kind is not PrincipalKind.OFFICER:
            raise NoOfficer

        def revoke(tx: Tx) -> EventRef | None:
            # A token outlives its officer's revocation; what it may do here does not.
            store.terms_of(tx.connection, principal)
            key = store.find_key(tx.connection, key_id)
            if key is None or key.party != principal.party:
                raise OfficerUnknown
            if key.person == principal.person:
                raise OwnKey
            actor = store.actor_alias(tx, principal.kind, principal.id)
            return revoke_keys(tx, key, actor)

        return await self._changes.write(revoke)

    async def revocations(self) -> list[Revocation]:
        """Return who was revoked while a token of theirs may still live."""
        now = milliseconds(self._clock.now())
        since = now - (self._issuer.seconds + CLOCKS_APART_SECONDS) * 1000
        return await self._changes.read(lambda c: store.revocations(c, since))

    # --- offered to other rooms ------------------------------------------------------

    async def party(self, party: str) -> Party:
        """Return a party.

        Raises:
            PartyUnknown: There is none of that id.
        """
        return await self._changes.read(lambda c: store.party_of(c, party))

    async def epoch(self, party: str) -> int:
        """Return the party's epoch as it is durable now."""
        return await self._changes.peek(lambda c: store.epoch(c, party))

    async def terms(self, principal: Principal) -> Terms:
        """Return for which purposes the caller may read at all.

        A client has those it was enrolled with; an officer all given ones, which
        policy narrows by role. Asked once a request: so a revocation stops a token
        at this vault after two seconds, not only when it ends.

        Raises:
            ClientRevoked: The client is revoked or unknown.
            OfficerWithoutKey: The officer has no good key in this role.
        """
        now = self._clock.monotonic()
        until, known = self._terms.get(principal, (0.0, None))
        if known is not None and now < until:
            return known
        terms = await self._changes.read(lambda c: store.terms_of(c, principal))
        if len(self._terms) >= MEMORY_CALLERS:
            self._terms.clear()
        self._terms[principal] = (now + MEMORY_SECONDS, terms)
        return terms

    async def alias(self, principal: Principal) -> str:
        """Return the caller's alias for events; drawn at enrolment or now."""
        kind = principal.kind
        known = self._aliases.get((kind.value, principal.id))
        if known is not None:
            return known
        found = await self._changes.read(
            lambda c: store.find_alias(c, kind, principal.id)
        )
        if found is not None:
            alias = found
        else:
            alias = await self._changes.write(
                lambda tx: store.actor_alias(tx, kind, principal.id)
            )
        self._aliases[(kind.value, principal.id)] = alias
        return alias


def revoke_keys(tx: Tx, key: EnrolledKey, actor: str | None) -> EventRef | None:
    """Revoke both keys of a file, an event for each; move the party's epoch."""
    ref = None
    for revoked in store.revoke_file(tx, key):
        event = OfficerRevoked(actor=actor, key_id=revoked)
        ref = outbox.append(tx, event.draft(key.party))
    if ref is not None:
        store.bump_epoch(tx, key.party)
    return ref


def _chosen(wanted: str | None, given: frozenset[Scope]) -> frozenset[Scope]:
    if not wanted:
        return given
    words = frozenset(wanted.split(" "))
    chosen = frozenset(scope for scope in given if scope.value in words)
    if len(chosen) != len(words):
        raise ScopeRefused
    return chosen
