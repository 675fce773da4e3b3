# SPDX-License-Identifier: Apache-2.0
"""A rule pack: the rules of one place as data, versioned by its hash.

Owns the pack's members and their strict reading. People write a pack in YAML; the
command line compiles it to the canonical JSON (RFC 8785) that is read here. A rule
that the code cannot carry out is refused, so that no written rule is ignored.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts.custody.document import (
    Code,
    Day,
    Document,
    canonical_document,
    digest,
    parse_document,
)
from contracts.custody.plan import DealType, Path

BUILT_ROWS: Final = (1, 2, 3, 7, 12)
ALL_ROWS: Final = tuple(range(1, 13))

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=600)]
Row = Annotated[int, Field(ge=1, le=12)]
Months = Annotated[int, Field(ge=1, le=1200)]
PathName = Annotated[Path, Field(strict=False)]
DealTypeName = Annotated[DealType, Field(strict=False)]


class Citation(Document):
    """A source of a rule.

    Attributes:
        cite: Law and article, as the design's law page writes it.
        mark: How it was read: V primary text, S secondary source, K general
            knowledge; null where nobody marked it.
        verified: Only with mark V; all else counsel must read.
    """

    cite: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    mark: Literal["V", "S", "K"] | None
    verified: bool

    @model_validator(mode="after")
    def _fits(self) -> Citation:
        if self.verified != (self.mark == "V"):
            raise ValueError("verified is what mark V says")
        return self


class Text(Document):
    """A sentence for people, in Chinese and in English."""

    zh: Sentence
    en: Sentence


class Rule(Document):
    """What all rules have.

    Attributes:
        id: `<pack>/<name>`; stands in every decision row that it decides.
        row: Its place in the table of eligibility; the first match wins.
    """

    id: Code
    citations: Annotated[list[Citation], Field(min_length=1)]
    sentence: Text

    @property
    def citation(self) -> str:
        """All its sources in one line."""
        return "; ".join(citation.cite for citation in self.citations)

    @property
    def verified(self) -> bool:
        """True if the primary text of every source was read."""
        return all(citation.verified for citation in self.citations)


class ScopeRule(Rule):
    """Row 1: outside the agreed scope."""

    row: Literal[1]


class ObjectionRule(Rule):
    """Row 2: objected to the handover, where the path lets an objection count."""

    row: Literal[2]
    paths: list[PathName]


class RetentionRule(Rule):
    """Row 3: kept too long, or for reasons that are nobody's business but the seller's.

    Attributes:
        inactivity_months: Without activity for longer, a folio stays; null for no
            limit.
        admin_only_bases: Bases of folios kept for accounting or disputes only.
    """

    row: Literal[3]
    inactivity_months: Months | None
    admin_only_bases: list[Code]


class ConsentRule(Rule):
    """Row 7: consent needed and not there."""

    row: Literal[7]
    paths: list[PathName]
    consent_kind: Code


class TransferRule(Rule):
    """Row 12: everything that no other rule keeps."""

    row: Literal[12]


class Rules(Document):
    """The rules that the code carries out, by what they test."""

    scope: ScopeRule
    objection: ObjectionRule
    retention: RetentionRule
    consent: ConsentRule
    transfer: TransferRule

    def in_order(self) -> tuple[Rule, ...]:
        """Return the rules in the order in which they are tried."""
        return (
            self.scope,
            self.objection,
            self.retention,
            self.consent,
            self.transfer,
        )


class Gate(Document):
    """A row of the table that this pack does not carry out; reports list it."""

    row: Row
    id: Code
    sentence: Text


class RulePack(Document):
    """One pack.

    Attributes:
        pack: Its name; the prefix of its rules' ids.
        place: ISO 3166 code of the law it follows.
        written: When its text was last changed by a person.
        paths: Which legal paths a deal type may take under this pack.
        gates_not_built: The rows without a rule here, in order.
    """

    pack: Code
    place: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    written: Day
    notice: Text
    paths: dict[DealTypeName, Annotated[list[PathName], Field(min_length=1)]]
    rules: Rules
    gates_not_built: list[Gate]

    @model_validator(mode="after")
    def _fits(self) -> RulePack:
        prefix = f"{self.pack}/"
        ids = [rule.id for rule in self.rules.in_order()]
        ids += [gate.id for gate in self.gates_not_built]
        if len(set(ids)) != len(ids) or not all(i.startswith(prefix) for i in ids):
            raise ValueError("ids are `<pack>/<name>`, each once")
        missing = [row for row in ALL_ROWS if row not in BUILT_ROWS]
        if [gate.row for gate in self.gates_not_built] != missing:
            raise ValueError("the rows without a rule are listed, in order")
        return self

    @property
    def hash(self) -> str:
        """The `rule_pack_hash` that plans name."""
        return rule_pack_hash(pack_bytes(self))


def pack_bytes(pack: RulePack) -> bytes:
    """Return the RFC 8785 bytes of a pack."""
    return canonical_document(pack)


def parse_pack(raw: bytes) -> RulePack:
    """Read a pack that already is in its canonical bytes.

    Raises:
        DocumentMalformed: Not canonical, or a member unknown, missing or out of
            bounds.
    """
    return parse_document(RulePack, raw)


def rule_pack_hash(raw: bytes) -> str:
    """Return the hash of a pack's canonical bytes."""
    return digest(raw)
