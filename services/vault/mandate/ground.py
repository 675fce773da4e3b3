# SPDX-License-Identifier: Apache-2.0
"""What every step of a handover stands on: its dependencies, and the lodged plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from sqlalchemy.engine import Connection

from contracts.custody.document import parse_day
from contracts.custody.plan import Plan, parse_plan
from contracts.law.eligibility import Criteria, prepare
from contracts.law.pack import RulePack, parse_pack
from services.chassis.auth import Principal, PrincipalKind
from services.chassis.clock import Clock
from services.chassis.database import Lock, LockKind, Tx
from services.chassis.journal import Journal
from services.vault.catalogue import Catalogues
from services.vault.custody import handover as custody
from services.vault.custody.handover import Scope, Turn
from services.vault.custody.state import ScopeState, TurnState
from services.vault.keys.keyring import Keyring
from services.vault.keys.sealing import (
    NONCE_BYTES,
    Key,
    open_sealed,
    seal,
    secret_context,
)
from services.vault.mandate import store
from services.vault.mandate.errors import HandoverUnknown, WrongState
from services.vault.mandate.store import StoredPlan
from services.vault.parties import PLATFORM, actor_alias, terms_of

PLANNED = "planned"
#: Of the same bytes the same plan, which nobody can change: every batch asks for it.
_parsed = lru_cache(maxsize=16)(parse_plan)


def carried_packs() -> Mapping[str, RulePack]:
    """Return the rule packs that this vault carries, by hash."""
    found = {}
    for source in files("contracts.law.packs").iterdir():
        if source.name.endswith(".json"):
            pack = parse_pack(source.read_bytes())
            found[pack.hash] = pack
    return found


@dataclass(frozen=True)
class Ground:
    """The dependencies of the mandate room.

    Attributes:
        changes: The journal of changes; the records' database.
        demonstration: Whether a plan may name the day of its decision.
        secrets_key: Seals the secrets of decisions.
        backups: The folder of backups.
        packs: The rule packs carried, by hash.
    """

    changes: Journal
    keyring: Keyring
    catalogues: Catalogues
    clock: Clock
    installation: str
    demonstration: bool
    secrets_key: Key
    backups: Path
    new_id: Callable[[], str]
    random_bytes: Callable[[int], bytes]
    packs: Mapping[str, RulePack]

    def sealed_secret(self, handover: str, secret: bytes) -> bytes:
        """Return a decision's secret as the scope keeps it."""
        nonce = self.random_bytes(NONCE_BYTES)
        return seal(self.secrets_key, secret, self._context(handover), nonce)

    def secret_of(self, scope: Scope) -> bytes:
        """Return the secret of a decision.

        Raises:
            SealBroken: It was altered, or belongs to another handover.
        """
        context = self._context(scope.handover)
        return open_sealed(self.secrets_key, scope.secret_sealed, context)

    def _context(self, handover: str) -> bytes:
        return secret_context("decision", self.installation, handover)

    def criteria(self, plan: Plan, as_of: str) -> Criteria:
        """Return the criteria of a plan for a day, ISO; see `eligibility.prepare`."""
        return prepare(plan, self.packs[plan.rule_pack_hash], parse_day(as_of))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a handover stands, in one snapshot."""

    stored: StoredPlan
    scope: Scope | None
    turn: Turn | None

    @property
    def plan(self) -> Plan:
        """The lodged plan."""
        return _parsed(self.stored.raw)

    @property
    def seller(self) -> str:
        """The selling party."""
        return self.stored.seller

    @property
    def buyer(self) -> str:
        """The buying party."""
        return self.stored.buyer

    @property
    def state(self) -> str:
        """The state as the API names it."""
        turned = None if self.turn is None else self.turn.state
        if turned is not None and turned is not TurnState.OPEN:
            return turned.value
        return PLANNED if self.scope is None else self.scope.state.value

    def frozen(self, *states: ScopeState) -> Scope:
        """Return the scope, which must be in one of `states` under an open turn.

        Raises:
            WrongState: It is not.
        """
        is_open = self.turn is not None and self.turn.state is TurnState.OPEN
        if self.scope is None or not is_open or self.scope.state not in states:
            raise WrongState(self.state)
        return self.scope


def standing(
    connection: Connection, handover: str, principal: Principal | None = None
) -> Standing:
    """Return where a handover stands.

    Args:
        connection: A snapshot, or the transaction's.
        handover: Its id.
        principal: If given, must be of the platform, the seller or the buyer.

    Raises:
        HandoverUnknown: No plan is lodged, or the principal has no part in it.
        ClientRevoked, OfficerWithoutKey: The principal was revoked since its token.
    """
    stored = store.find_plan(connection, handover)
    if stored is None:
        raise HandoverUnknown
    if principal is not None:
        require_part(principal, stored.seller, stored.buyer)
        terms_of(connection, principal)
    return Standing(
        stored,
        custody.find_scope(connection, stored.seller, handover),
        custody.find_turn(connection, handover),
    )


def require_part(principal: Principal, seller: str, buyer: str) -> None:
    """Refuse a caller of a party that has no part in the handover.

    Raises:
        HandoverUnknown: As if there were none.
    """
    if principal.party not in {PLATFORM, seller, buyer}:
        raise HandoverUnknown


def acted(tx: Tx, principal: Principal) -> dict[str, str | None]:
    """Return the members of an event that say who acted."""
    is_client = principal.kind is PrincipalKind.CLIENT
    return {
        "actor": actor_alias(tx, principal.kind, principal.id),
        "client": principal.id if is_client else None,
    }


def party_lock(party: str, *, exclusive: bool = False) -> Lock:
    """Return the lock of a party's scope."""
    return Lock(LockKind.PARTY, party, exclusive=exclusive)


def turn_lock(handover: str, *, exclusive: bool = False) -> Lock:
    """Return the lock of a handover's turn."""
    return Lock(LockKind.TURN, handover, exclusive=exclusive)


def record_locks(party: str, records: Iterable[str]) -> list[Lock]:
    """Return the locks of a party's records."""
    return [Lock(LockKind.RECORD, f"{party}/{record}") for record in records]
