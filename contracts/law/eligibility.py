# SPDX-License-Identifier: Apache-2.0
"""Eligibility: what happens to one folio in a handover.

Owns rows 1, 2, 3, 7 and 12 of the table (the first match wins) and the terms that
travel. Pure: the same plan, pack, day and facts give the same outcome, always.
Where the law leaves a choice, the folio stays: what moved cannot be called back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from contracts.custody.document import parse_day, parse_moment, start_of
from contracts.custody.plan import Path, Plan
from contracts.law.pack import Rule, RulePack
from contracts.law.scope import Consent, FolioFacts, Objection, Predicate, predicate

HANDS_NOTHING_OVER: Final = frozenset({Path.NO_HANDOVER, Path.NO_SUCCESSOR})


class LawError(Exception):
    """Root of everything this module raises."""


class PackMismatch(LawError):  # noqa: N818
    """The plan names another rule pack than the one given."""


class DayMismatch(LawError):  # noqa: N818
    """The plan fixes another day for its decision than the one given."""


class PathRefused(LawError):  # noqa: N818
    """The pack does not let this deal type take the plan's legal path."""


class NothingToHandOver(LawError):  # noqa: N818
    """On the plan's legal path no data is handed over, so there is no decision."""


class OutcomeName(StrEnum):
    """The four outcomes; only `transfer` and `archive_only` reach the buyer."""

    TRANSFER = "transfer"
    ARCHIVE_ONLY = "archive_only"
    HELD = "held"
    EXCLUDED = "excluded"


class Terms(NamedTuple):
    """What travels with a folio and binds the buyer.

    Attributes:
        purposes: What the buyer may read for: the plan's, less the opt-outs.
        denied_purposes: What it may not: the plan's, and the opt-outs.
        opt_outs: What the person opted out of at the seller.
        retention: The last day of keeping: the earlier of plan's and folio's.
    """

    basis: str
    purposes: tuple[str, ...]
    denied_purposes: tuple[str, ...]
    opt_outs: tuple[str, ...]
    retention: date | None


class Outcome(NamedTuple):
    """What happens to a folio, and why.

    Attributes:
        outcome: An `OutcomeName`.
        rule: Id of the rule that matched.
        reason: `out_of_scope`, `objected`, `expired`, `admin_only`, `consent`, or
            `eligible` for what moves.
        citation: The sources of that rule.
        terms: Of what moves; else None.
    """

    outcome: str
    rule: str
    reason: str
    citation: str
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class _ClassCriteria:
    predicates: tuple[Predicate, ...]
    purposes: tuple[str, ...]
    denied_purposes: tuple[str, ...]
    retention: date | None
    no_consent: Outcome


@dataclass(frozen=True, slots=True)
class Criteria:
    """A plan, a pack and a day, made ready for many folios; see `prepare`."""

    as_of: date
    day_ends: datetime
    handover: str
    buyer: str
    classes: Mapping[str, _ClassCriteria]
    objection_counts: bool
    consent_kind: str | None
    inactive_before: date | None
    admin_only_bases: frozenset[str]
    out_of_scope: Outcome
    objected: Outcome
    expired: Outcome
    admin_only: Outcome
    eligible: Outcome


def prepare(plan: Plan, pack: RulePack, as_of: date) -> Criteria:
    """Return the criteria of a decision for one day (UTC).

    Raises:
        PackMismatch: The plan names another pack.
        DayMismatch: The plan fixes another day.
        NothingToHandOver: The plan's path hands nothing over.
        PathRefused: The deal type may not take the plan's path.
    """
    _check_fit(plan, pack, as_of)
    rules = pack.rules
    months = rules.retention.inactivity_months
    excluded, held = OutcomeName.EXCLUDED, OutcomeName.HELD
    missing = {
        False: _outcome(held, rules.consent, "consent"),
        True: _outcome(excluded, rules.consent, "consent"),
    }
    return Criteria(
        as_of=as_of,
        day_ends=start_of(as_of) + timedelta(days=1),
        handover=plan.handover,
        buyer=plan.buyer,
        classes={
            name: _class_criteria(
                plan, name, missing[_window_closed(plan, name, as_of)]
            )
            for name in plan.classes
        },
        objection_counts=plan.path in rules.objection.paths,
        consent_kind=(
            rules.consent.consent_kind if plan.path in rules.consent.paths else None
        ),
        inactive_before=None if months is None else months_before(as_of, months),
        admin_only_bases=frozenset(rules.retention.admin_only_bases),
        out_of_scope=_outcome(excluded, rules.scope, "out_of_scope"),
        objected=_outcome(excluded, rules.objection, "objected"),
        expired=_outcome(excluded, rules.retention, "expired"),
        admin_only=_outcome(excluded, rules.retention, "admin_only"),
        eligible=_outcome(OutcomeName.TRANSFER, rules.transfer, "eligible"),
    )


def _check_fit(plan: Plan, pack: RulePack, as_of: date) -> None:
    if plan.rule_pack_hash != pack.hash:
        raise PackMismatch("the plan names another rule pack")
    if plan.as_of is not None and parse_day(plan.as_of) != as_of:
        raise DayMismatch("the plan fixes another day")
    if plan.path in HANDS_NOTHING_OVER:
        raise NothingToHandOver("the path hands nothing over")
    if plan.path not in pack.paths.get(plan.deal_type, ()):
        raise PathRefused("the pack refuses the path for this deal type")


def _outcome(name: OutcomeName, rule: Rule, reason: str) -> Outcome:
    return Outcome(name.value, rule.id, reason, rule.citation)


def _window_closed(plan: Plan, name: str, as_of: date) -> bool:
    # The day counts from its first instant; one that closes then is closed. A class
    # without a window has nothing to wait for.
    closes = plan.window_closes.get(name)
    return closes is None or parse_moment(closes) <= start_of(as_of)


def _class_criteria(plan: Plan, name: str, no_consent: Outcome) -> _ClassCriteria:
    retention = plan.retention[name]
    return _ClassCriteria(
        predicates=tuple(predicate(f) for f in plan.filters if f.class_ == name),
        purposes=tuple(plan.purposes[name]),
        denied_purposes=tuple(plan.denied_purposes[name]),
        retention=None if retention is None else parse_day(retention),
        no_consent=no_consent,
    )


def months_before(day: date, months: int) -> date:
    """Return the day so many calendar months earlier, at the latest the month's last.

    Before the year 1 it is the first day there is.
    """
    month = day.year * 12 + day.month - 1 - months
    if month < 12:
        return date.min
    year, index = divmod(month, 12)
    following = date(year, index + 1, 28) + timedelta(days=4)
    last = (following - timedelta(days=following.day)).day
    return date(year, index + 1, min(day.day, last))


def decide(criteria: Criteria, facts: FolioFacts) -> Outcome:
    """Return what happens to a folio: the first matching row of the table.

    Run again with the facts of a later moment it tells whether a frozen `transfer`
    still stands: an objection or a withdrawal counts whenever it was made.
    """
    terms = criteria.classes.get(facts.class_)
    if terms is None or not all(holds(facts) for holds in terms.predicates):
        return criteria.out_of_scope
    if criteria.objection_counts and _is_objected(criteria, facts):
        return criteria.objected
    retention = _earlier(facts.retention, terms.retention)
    if retention is not None and retention < criteria.as_of:
        return criteria.expired
    if _is_inactive(criteria, facts.last_activity):
        return criteria.expired
    if facts.basis in criteria.admin_only_bases:
        return criteria.admin_only
    if criteria.consent_kind is not None and not _is_consented(criteria, facts):
        return terms.no_consent
    return _eligible(criteria, terms, facts, retention)


def _earlier(one: date | None, other: date | None) -> date | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


def _is_inactive(criteria: Criteria, last_activity: date | None) -> bool:
    # Where the pack has a limit, activity that nobody can show is none.
    if criteria.inactive_before is None:
        return False
    return last_activity is None or last_activity < criteria.inactive_before


def _is_objected(criteria: Criteria, facts: FolioFacts) -> bool:
    return any(
        _concerns(criteria, objection, facts.class_)
        and (
            objection.withdrawn_at is None
            or objection.withdrawn_at >= criteria.day_ends
        )
        for objection in facts.objections
    )


def _concerns(criteria: Criteria, objection: Objection, class_: str) -> bool:
    if objection.classes and class_ not in objection.classes:
        return False
    if not objection.recipient and not objection.handover:
        return True
    return (
        objection.recipient == criteria.buyer or objection.handover == criteria.handover
    )


def _is_consented(criteria: Criteria, facts: FolioFacts) -> bool:
    # A withdrawal ends every consent given before it, of whatever kind it was, so
    # that a person need not find out how many times they were asked.
    relevant = [
        consent
        for consent in facts.consents
        if consent.recipient == criteria.buyer and facts.class_ in consent.classes
    ]
    withdrawn = [c.withdrawn_at for c in relevant if c.withdrawn_at is not None]
    last = max(withdrawn, default=None)
    return any(_is_standing(criteria, consent, last) for consent in relevant)


def _is_standing(criteria: Criteria, consent: Consent, last: datetime | None) -> bool:
    return (
        consent.kind == criteria.consent_kind
        and consent.withdrawn_at is None
        and consent.given_at < criteria.day_ends
        and (last is None or consent.given_at > last)
        and consent.handover in ("", criteria.handover)
    )


def _eligible(
    criteria: Criteria,
    terms: _ClassCriteria,
    facts: FolioFacts,
    retention: date | None,
) -> Outcome:
    purposes, denied = terms.purposes, terms.denied_purposes
    if facts.opt_outs:
        purposes = tuple(p for p in purposes if p not in facts.opt_outs)
        denied = tuple(sorted(facts.opt_outs.union(denied)))
    outcome, rule, reason, citation, _ = criteria.eligible
    travels = Terms(
        facts.basis, purposes, denied, tuple(sorted(facts.opt_outs)), retention
    )
    return Outcome(outcome, rule, reason, citation, travels)
