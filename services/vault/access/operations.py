# SPDX-License-Identifier: Apache-2.0
"""From a principal to a decision, and from a decision to its durable trace.

Owns the journal of reads: an access is in it before anything is opened, and a denial
before it is answered. Opens nothing itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol, TypeVar

from contracts.events import vault as vault_events
from contracts.events.payload import MAX_ITEMS, EventDraft
from contracts.events.vault_alarms import RecordSealBroken
from contracts.purposes import Purpose
from contracts.scopes import Scope
from services.chassis import measures
from services.chassis.auth import Principal, PrincipalKind
from services.chassis.database import DatabaseError
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.chassis.telemetry import Metrics, logger
from services.vault import custody
from services.vault.access.errors import (
    AccessRefused,
    AuditUnavailable,
    PurposeMissing,
    PurposeNotGiven,
    PurposeUnknown,
    QuotaSpent,
    Unsettled,
)
from services.vault.access.policy import (
    Action,
    Allowed,
    Attributes,
    Denied,
    Gap,
    Outcome,
    Policy,
    Role,
)
from services.vault.access.quota import Quota
from services.vault.errors import SealBroken
from services.vault.parties import Parties

MAX_ROUNDS: Final = 5  # how often a read decides again because its party's rules moved
GAP: Final = "gap"


class Gathered(Protocol):
    """What was read in one snapshot, with the party's epoch in it."""

    @property
    def epoch(self) -> int:
        """The epoch of the snapshot."""
        ...


G = TypeVar("G", bound=Gathered)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, in which position, and why.

    Attributes:
        alias: The caller's name in events.
        purpose: None for what needs no purpose: filing a consent or an objection.
        action: What for; None as for `purpose`.
        limit: Distinct records a day that it may be shown; None for any number.
    """

    principal: Principal
    alias: str
    role: Role
    purpose: Purpose | None
    action: Action | None = None
    limit: int | None = None

    @property
    def party(self) -> str:
        """The caller's party."""
        return self.principal.party

    def acted(self) -> dict[str, str | None]:
        """Return the members of an event that say who acted."""
        is_client = self.principal.kind is PrincipalKind.CLIENT
        return {
            "actor": self.alias,
            "client": self.principal.id if is_client else None,
        }

    def why(self) -> Purpose:
        """Return the purpose.

        Raises:
            PurposeMissing: There is none.
        """
        if self.purpose is None:
            raise PurposeMissing
        return self.purpose


class Access:
    """The access room."""

    def __init__(
        self,
        parties: Parties,
        changes: Journal,
        reads: Journal,
        policy: Policy,
        metrics: Metrics,
        *,
        quota: Quota,
        daily_records: int,
    ) -> None:
        self._parties = parties
        self._changes = changes
        self._reads = reads
        self._policy = policy
        self.metrics = metrics
        self._quota = quota
        self._daily_records = daily_records
        self._gaps = metrics.counter(measures.POLICY_GAP)
        self._denials = metrics.counter(measures.DENIED)
        self._broken = metrics.counter(measures.SEAL_BROKEN)

    @property
    def policy_version(self) -> str:
        """The version of the rules, as events name it."""
        return self._policy.version

    async def caller(
        self,
        principal: Principal,
        purpose: str | None,
        action: Action,
        record: str | None = None,
    ) -> Caller:
        """Return the caller with the purpose of the header, else the default one.

        Args:
            principal: Who asks.
            purpose: The header.
            action: What for.
            record: The id of the one record it is about; a denial names its alias if
                the party holds it. The answer is the same whether it does.

        Raises:
            PurposeMissing, PurposeUnknown: There is none, or no such term.
            PurposeNotGiven: The caller was not given it; logged.
            ClientRevoked: The client is revoked.
            AuditUnavailable: The denial cannot be logged.
        """
        terms = await self._parties.terms(principal)
        try:
            wanted = terms.default_purpose if purpose is None else Purpose(purpose)
        except ValueError:
            raise PurposeUnknown from None
        if wanted is None:
            raise PurposeMissing
        caller = Caller(
            principal,
            await self._parties.alias(principal),
            _role(principal),
            wanted,
            action,
            # Who may list them all needs no bound on how many it reads.
            None
            if Scope.RECORDS_LIST in principal.scopes
            else terms.daily_records or self._daily_records,
        )
        if wanted not in terms.purposes:
            reason = PurposeNotGiven.problem.code
            alias = None if record is None else await self._alias(caller, record)
            raise PurposeNotGiven(await self._denied(caller, action, reason, alias))
        return caller

    async def filer(self, principal: Principal) -> Caller:
        """Return a caller without purpose, who files what a person declared.

        Raises:
            ClientRevoked: The client is revoked.
        """
        await self._parties.terms(principal)
        alias = await self._parties.alias(principal)
        return Caller(principal, alias, _role(principal), None)

    def decide(self, asked: Iterable[Attributes]) -> Outcome:
        """Return the first outcome that is not `Allowed`, else `Allowed`.

        Raises:
            PolicyBroken: The rules gave no decision.
        """
        return self._policy.decide_all(asked)

    async def require(
        self,
        caller: Caller,
        action: Action,
        asked: Iterable[Attributes],
        *,
        record: str | None = None,
    ) -> None:
        """Refuse unless everything asked is allowed.

        Raises:
            AccessRefused: Policy denies it; logged.
            AuditUnavailable: The denial cannot be logged.
        """
        asked = list(asked)
        outcome = self.decide(asked)
        if not isinstance(outcome, Allowed):
            classes = sorted({one.class_ for one in asked})
            await self.refuse(caller, action, outcome, record=record, classes=classes)

    async def refuse(
        self,
        caller: Caller,
        action: Action,
        outcome: Denied | Gap,
        *,
        record: str | None = None,
        classes: Sequence[str] = (),
    ) -> NoReturn:
        """Log a denial, count it, and refuse.

        Raises:
            AccessRefused: Always, unless the denial cannot be logged.
            AuditUnavailable: The denial cannot be logged.
        """
        reason = self._reason(outcome)
        event = await self._denied(caller, action, reason, record, classes)
        raise AccessRefused(reason, event)

    def denial(
        self, caller: Caller, action: Action, outcome: Denied | Gap, record: str
    ) -> EventDraft:
        """Count a denial of one record among several; return its event to append.

        Args:
            caller: Who asked.
            action: What for.
            outcome: The decision.
            record: The record's alias.
        """
        return self._denial(caller, action, self._reason(outcome), record)

    async def deny(self, caller: Caller, action: Action, reason: str) -> EventRef:
        """Log and count a denial that is no decision of policy; return its event.

        Args:
            caller: Who asked.
            action: What for.
            reason: A code of this software, never text of the caller's.

        Raises:
            AuditUnavailable: It cannot be logged.
        """
        return await self._denied(caller, action, reason)

    async def alarm(self, caller: Caller, action: Action, broken: SealBroken) -> None:
        """Alarm that a row does not open: log line, metric, and its event, durable.

        Raises:
            AuditUnavailable: The event cannot be written; the log line stands.
        """
        fault = broken.fault.value
        self._broken.labels(fault).inc()
        logger().error("record.seal_broken", party=caller.party, reason=fault)
        alias = broken.record and await self._alias(caller, broken.record)
        said = {"action": action.value, "class": broken.class_, "fault": fault}
        event = RecordSealBroken.model_validate(
            {**caller.acted(), **said, "record": alias}
        )
        done = await self.append([event.draft(caller.party)])
        broken.extra["audit_event"] = str(done)

    async def traced(
        self,
        caller: Caller,
        gather: Callable[[], Awaitable[G]],
        events: Callable[[G], Sequence[EventDraft]],
    ) -> tuple[G, EventRef]:
        """Return what may be disclosed now, and the last event that says so.

        Gather and decide, make the events durable, and compare the party's epoch. If
        a turn, a freeze or a withdrawal came in between, gather and decide again: what
        was gathered after the events is disclosed if they name it, and if not, it gets
        events of its own. The log may name a read that was then refused, never the
        reverse.

        Args:
            caller: Who asks.
            gather: Reads one snapshot and decides; it refuses by raising.
            events: The events of a disclosure of what was gathered; at least one.

        Raises:
            AuditUnavailable: The journal does not commit; nothing is disclosed.
            QuotaSpent: It would be too many distinct records today; logged.
            Unsettled: What may be disclosed changed at each of `MAX_ROUNDS` attempts.
        """
        gathered = await gather()
        for _round in range(MAX_ROUNDS):
            drafts = events(gathered)
            event = await self._disclose(caller, drafts)
            if await self._parties.epoch(caller.party) == gathered.epoch:
                return gathered, event
            gathered = await gather()
            if events(gathered) == drafts:
                return gathered, event
        raise Unsettled

    async def append(self, drafts: Sequence[EventDraft]) -> EventRef:
        """Append events to the journal of reads, durable when this returns.

        Raises:
            AuditUnavailable: They are not, or nobody knows.
        """
        try:
            return await self._reads.append(*drafts)
        except DatabaseError as exc:
            raise AuditUnavailable from exc

    async def _disclose(self, caller: Caller, drafts: Sequence[EventDraft]) -> EventRef:
        """Append a disclosure's events and count its records, or log the denial."""
        try:
            return await self._quota.append(
                caller.party, caller.alias, caller.limit, drafts
            )
        except DatabaseError as exc:
            raise AuditUnavailable from exc
        except QuotaSpent as spent:
            action = caller.action or Action.READ
            event = await self.deny(caller, action, spent.problem.code)
            raise QuotaSpent(spent.retry_after, event) from None

    async def _alias(self, caller: Caller, record: str) -> str | None:
        """Return the alias of a record; None if absent, foreign or pending."""
        found = await self._changes.read(
            lambda c: custody.aliases_of(c, caller.party, [record])
        )
        return found.get(record)

    def _reason(self, outcome: Denied | Gap) -> str:
        if isinstance(outcome, Gap):
            self._gaps.inc()
            return GAP
        return outcome.reason

    async def _denied(
        self,
        caller: Caller,
        action: Action,
        reason: str,
        record: str | None = None,
        classes: Sequence[str] = (),
    ) -> EventRef:
        return await self.append(
            [self._denial(caller, action, reason, record, classes)]
        )

    def _denial(
        self,
        caller: Caller,
        action: Action,
        reason: str,
        record: str | None,
        classes: Sequence[str] = (),
    ) -> EventDraft:
        self._denials.labels(reason).inc()
        event = vault_events.AccessDenied.model_validate(
            {
                **caller.acted(),
                "action": action.value,
                "purpose": None if caller.purpose is None else caller.purpose.value,
                "record": record,
                "classes": list(classes),
                "reason": reason,
                "policy": self.policy_version,
            }
        )
        return event.draft(caller.party)


def _role(principal: Principal) -> Role:
    return Role.CLIENT if principal.role is None else Role(principal.role)


def in_pages(aliases: Sequence[str]) -> list[list[str]]:
    """Return `aliases` in pieces that one event may name; one empty piece for none."""
    pieces = [
        list(aliases[start : start + MAX_ITEMS])
        for start in range(0, len(aliases), MAX_ITEMS)
    ]
    return pieces or [[]]
