# SPDX-License-Identifier: Apache-2.0
"""The plan of a handover: what the two companies agree on and four people sign.

Owns the plan's members, its canonical bytes (RFC 8785) and its hash. Decides
nothing: `contracts.law` reads a plan, `contracts.custody.mandate` its signatures.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, model_validator

from contracts.custody.document import (
    ClassName,
    Code,
    Day,
    Digest,
    Document,
    DocumentMalformed,
    HandoverId,
    Installation,
    Instant,
    Moment,
    PartyId,
    canonical_document,
    digest,
    parse_day,
    parse_document,
    read_canonical,
)


class DealType(StrEnum):
    """What is sold; it picks the legal path."""

    SHARE_TRANSFER = "share_transfer"
    MERGER = "merger"
    DIVISION = "division"
    ASSET_SALE = "asset_sale"
    CUSTOMER_LIST = "customer_list"
    BANKRUPTCY = "bankruptcy"


class Path(StrEnum):
    """What the handover of the data rests on."""

    SEPARATE_CONSENT = "separate_consent"
    SUCCESSION = "succession"
    CONTRACT = "contract"
    LEGITIMATE_INTEREST = "legitimate_interest"
    NO_HANDOVER = "no_handover"
    NO_SUCCESSOR = "no_successor"


class Profile(StrEnum):
    """How many people sign: four, or in a small company fewer and a reviewer."""

    STANDARD = "standard"
    SMALL = "small"


class Fact(StrEnum):
    """A fact of a folio that a filter may test."""

    TAG = "tag"
    VOLUME = "volume"
    LAST_ACTIVITY = "last_activity"
    BASIS = "basis"


class Op(StrEnum):
    """How a filter compares a fact with its value."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "not_in"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"


LIST_OPS: Final = frozenset({Op.IN, Op.NOT_IN})
ORDER_OPS: Final = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})

_YEAR: Final = re.compile(r"\d{4}", re.ASCII)
_FilterText = Annotated[str, Field(min_length=1, max_length=128)]


class Filter(Document):
    """A folio of the class is in scope only if this holds, and all its others.

    A `tag` filter looks at all tags of the record: `eq` and `in` want one of them
    to match, `ne` and `not_in` want none to. The value of a `volume` filter is a
    year, which means all its volumes, or one volume; the ordering ops take a year.
    A fact that a folio does not have fails every filter except on `tag`.
    """

    class_: ClassName = Field(alias="class")
    fact: Fact = Field(strict=False)
    op: Op = Field(strict=False)
    value: _FilterText | Annotated[list[_FilterText], Field(min_length=1)]

    @property
    def values(self) -> tuple[str, ...]:
        """The value, or all values of a list."""
        return (self.value,) if isinstance(self.value, str) else tuple(self.value)

    @model_validator(mode="after")
    def _fits(self) -> Filter:
        if (self.op in LIST_OPS) != isinstance(self.value, list):
            raise ValueError("`in` and `not_in` take a list, the others one value")
        if self.op in ORDER_OPS and self.fact in (Fact.TAG, Fact.BASIS):
            raise ValueError("the fact has no order")
        if self.fact is Fact.LAST_ACTIVITY:
            for value in self.values:
                parse_day(value)
        elif self.op in ORDER_OPS and _YEAR.fullmatch(self.values[0]) is None:
            raise ValueError("volumes are ordered by year")
        return self


class Plan(Document):
    """A plan; any edit gives another hash and voids every signature.

    Attributes:
        classes: Sorted; what is handed over at most.
        filters: Narrow the scope of their class.
        purposes: Per class, sorted: what the buyer may read for.
        denied_purposes: Per class, sorted: what it may not.
        retention: Per class, the last day on which the buyer may keep it, or null.
        window_closes: Per class, when missing consent stops being waited for.
        contract_hash: Hash of the contract between the parties (NDSR 12).
        expires: From then on the plan authorises nothing.
        as_of: The day of the decision; in demonstration mode only.
    """

    installation: Installation
    handover: HandoverId
    deal_type: DealType = Field(strict=False)
    path: Path = Field(strict=False)
    rule_pack_hash: Digest
    seller: PartyId
    buyer: PartyId
    classes: Annotated[list[ClassName], Field(min_length=1, max_length=64)]
    filters: Annotated[list[Filter], Field(max_length=256)]
    purposes: dict[ClassName, list[Code]]
    denied_purposes: dict[ClassName, list[Code]]
    retention: dict[ClassName, Day | None]
    window_closes: dict[ClassName, Moment]
    contract_hash: Digest
    expires: Instant
    profile: Profile = Field(strict=False)
    as_of: Day | None = None

    @model_validator(mode="after")
    def _fits(self) -> Plan:
        if self.seller == self.buyer:
            raise ValueError("seller and buyer are one party")
        _require_sorted(self.classes)
        classes = set(self.classes)
        for exact in (self.purposes, self.denied_purposes, self.retention):
            if set(exact) != classes:
                raise ValueError("one entry per class of the plan, and no other")
        if self.path is Path.SEPARATE_CONSENT and set(self.window_closes) != classes:
            raise ValueError("the path needs a closing window for each class")
        if not classes.issuperset(self.window_closes):
            raise ValueError("a window for a class outside the plan")
        if not classes.issuperset(f.class_ for f in self.filters):
            raise ValueError("a filter for a class outside the plan")
        self._check_purposes()
        return self

    def _check_purposes(self) -> None:
        for name in self.classes:
            given, denied = self.purposes[name], self.denied_purposes[name]
            _require_sorted(given)
            _require_sorted(denied)
            if set(given) & set(denied):
                raise ValueError("a purpose both given and denied")


def _require_sorted(items: list[str]) -> None:
    if items != sorted(set(items)):
        raise ValueError("a list is not sorted, or names something twice")


def canonical_bytes(plan: Plan) -> bytes:
    """Return the RFC 8785 bytes of a plan; `as_of` is absent while it is None."""
    return canonical_document(plan, optional="as_of")


def parse_plan(raw: bytes) -> Plan:
    """Read a plan that already is in its canonical bytes.

    Raises:
        DocumentMalformed: Not canonical, a member unknown, missing, twice or out
            of bounds, or `fields` used, which is reserved.
    """
    if "fields" in read_canonical(raw):
        raise DocumentMalformed("fields: reserved until field-level scope is built")
    return parse_document(Plan, raw, optional="as_of")


def plan_hash(raw: bytes) -> str:
    """Return the hash of a plan's canonical bytes, as approvals and releases say it."""
    return digest(raw)
