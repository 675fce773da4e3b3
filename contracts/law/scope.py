# SPDX-License-Identifier: Apache-2.0
"""Row 1 of the table: whether a folio is in the scope that a plan agreed.

Owns the facts of a folio and what a plan's filters mean on them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from contracts.custody.document import parse_day
from contracts.custody.plan import ORDER_OPS, Fact, Filter, Op


class Consent(NamedTuple):
    """A consent of the person of a record, as it was filed at the vault.

    Attributes:
        recipient: The party that may receive the data.
        classes: The classes it names; no others.
        kind: `separate`, or another kind such as one bundled with general terms.
        given_at: With a time zone.
        withdrawn_at: With a time zone; None while it was not withdrawn.
        handover: The only handover it was given for; empty for any.
    """

    recipient: str
    classes: frozenset[str]
    kind: str
    given_at: datetime
    withdrawn_at: datetime | None = None
    handover: str = ""


class Objection(NamedTuple):
    """An objection of the person of a record, as it was filed at the vault.

    It counts against a handover that it names, against every handover to the
    recipient that it names, and against all if it names neither.

    Attributes:
        objected_at: With a time zone.
        withdrawn_at: With a time zone; None while it was not taken back.
        recipient: A party; empty if it names none.
        handover: A handover; empty if it names none.
        classes: The classes it names; empty for all.
    """

    objected_at: datetime
    withdrawn_at: datetime | None = None
    recipient: str = ""
    handover: str = ""
    classes: frozenset[str] = frozenset()


class FolioFacts(NamedTuple):
    """What the vault knows of one folio; all that a decision may look at.

    Attributes:
        basis: Legal basis of the seller's processing.
        retention: The last day on which it may be kept; None for no end.
        last_activity: None where nothing is known.
        tags: The tags of the record.
        opt_outs: Purposes that the person opted out of; they travel.
    """

    class_: str
    volume: str
    version: str
    basis: str
    consents: tuple[Consent, ...] = ()
    objections: tuple[Objection, ...] = ()
    retention: date | None = None
    last_activity: date | None = None
    tags: frozenset[str] = frozenset()
    opt_outs: frozenset[str] = frozenset()


Predicate: TypeAlias = Callable[[FolioFacts], bool]

_YEAR_OF_VOLUME: Final = re.compile(r"(\d{4})(-\d+)?", re.ASCII)
_COMPARE: Final[Mapping[Op, Callable[[Any, Any], bool]]] = {
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
}
_WANTED: Final = frozenset({Op.EQ, Op.IN})


def predicate(rule: Filter) -> Predicate:
    """Return the test of one filter; only its `class` is left to the caller.

    A fact that the folio does not have fails the test, so that what is not known
    stays with the seller; having no tags is a fact.
    """
    return _PREDICATES[rule.fact](rule)


def _on_tag(rule: Filter) -> Predicate:
    values = frozenset(rule.values)
    if rule.op in _WANTED:
        return lambda facts: not values.isdisjoint(facts.tags)
    return lambda facts: values.isdisjoint(facts.tags)


def _on_basis(rule: Filter) -> Predicate:
    values, wanted = frozenset(rule.values), rule.op in _WANTED
    return lambda facts: facts.basis != "" and (facts.basis in values) is wanted


def _on_last_activity(rule: Filter) -> Predicate:
    days = frozenset(parse_day(value) for value in rule.values)
    if rule.op in ORDER_OPS:
        compare, (limit,) = _COMPARE[rule.op], days
        return lambda facts: (
            facts.last_activity is not None and compare(facts.last_activity, limit)
        )
    wanted = rule.op in _WANTED
    return lambda facts: (
        facts.last_activity is not None and (facts.last_activity in days) is wanted
    )


def _on_volume(rule: Filter) -> Predicate:
    if rule.op in ORDER_OPS:
        compare, limit = _COMPARE[rule.op], int(rule.values[0])
        return lambda facts: (
            (found := _YEAR_OF_VOLUME.fullmatch(facts.volume)) is not None
            and compare(int(found[1]), limit)
        )
    values, wanted = frozenset(rule.values), rule.op in _WANTED
    # A year names all its volumes: `2026` is also `2026-2`.
    return lambda facts: (
        facts.volume != ""
        and (facts.volume in values or facts.volume.partition("-")[0] in values)
        is wanted
    )


_PREDICATES: Final[Mapping[Fact, Callable[[Filter], Predicate]]] = {
    Fact.TAG: _on_tag,
    Fact.BASIS: _on_basis,
    Fact.LAST_ACTIVITY: _on_last_activity,
    Fact.VOLUME: _on_volume,
}
