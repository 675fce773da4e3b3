# SPDX-License-Identifier: Apache-2.0
"""Payloads of the vault's events: access to records, keys, custody, the mandate.

A record is named by its alias for the party concerned. An event concerns the
records of one party only.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.events.collisions import COLLISION_EVENTS
from contracts.events.enrolment import ENROLMENT_EVENTS
from contracts.events.payload import (
    MAX_ITEMS,
    Acted,
    Alias,
    Code,
    Digest,
    Keyed,
    PartyId,
    Payload,
)
from contracts.events.vault_alarms import RecordSealBroken

Count = Annotated[int, Field(ge=0)]
Aliases = Annotated[list[Alias], Field(max_length=MAX_ITEMS)]
Counts = dict[str, dict[str, dict[str, int]]]  # class -> outcome -> reason -> folios


class ClassCatalogued(Acted):
    """A class was added to a party's catalogue."""

    TYPE: ClassVar[str] = "org.keyturn.class.catalogued.v1"
    class_: str = Field(alias="class")
    form: Literal["document", "entries"]


class FieldCatalogued(Acted):
    """A field was added to a party's catalogue, or its entry was changed."""

    TYPE: ClassVar[str] = "org.keyturn.field.catalogued.v1"
    field: str
    class_: str = Field(alias="class")
    grade: str
    kind: str
    mask: str
    searchable: bool
    unique: bool


class KeyCreated(Payload):
    """A class key or index key version was created."""

    TYPE: ClassVar[str] = "org.keyturn.key.created.v1"
    class_: str = Field(alias="class")
    use: Literal["class", "index"]
    version: int


class KeyDestroyed(Acted):
    """A class key version was destroyed: what only it opened is gone."""

    TYPE: ClassVar[str] = "org.keyturn.key.destroyed.v1"
    class_: str = Field(alias="class")
    version: int


class Written(Acted):
    """Base of the writes of records.

    Attributes:
        record: The record's alias for the party.
        classes: The classes written.
        digests: Per folio `class/volume`, the keyed digest of the new ciphertext.
    """

    purpose: Code | None = None
    record: Alias
    classes: list[Code]
    digests: dict[str, Keyed]


class RecordCreated(Written):
    """A record was created."""

    TYPE: ClassVar[str] = "org.keyturn.record.created.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"


class RecordPatched(Written):
    """Fields of a record were changed."""

    TYPE: ClassVar[str] = "org.keyturn.record.patched.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    fields: list[str]


class RecordErased(Acted):
    """A record was erased on a rights request."""

    TYPE: ClassVar[str] = "org.keyturn.record.erased.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    record: Alias
    classes: list[Code]


class EntriesAppended(Written):
    """Entries were appended to, or replaced in, volumes of a record."""

    TYPE: ClassVar[str] = "org.keyturn.entries.appended.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    count: Count


class RecordRead(Acted):
    """A record is about to be disclosed; committed before its first byte leaves.

    Attributes:
        view: `full`, `masked`, `pseudonym`, `history`, or `unchanged`: a write sent
            what the record holds already, and its sender learns that.
    """

    TYPE: ClassVar[str] = "org.keyturn.record.read.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    purpose: Code
    record: Alias
    classes: list[Code]
    view: Code
    policy: str


class RecordsLookedUp(Acted):
    """Records were searched by identifiers; `fields` names their kinds only."""

    TYPE: ClassVar[str] = "org.keyturn.records.looked_up.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    purpose: Code
    fields: list[str]
    records: Aliases
    policy: str


class RecordsListed(Acted):
    """A page of records was listed."""

    TYPE: ClassVar[str] = "org.keyturn.records.listed.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    purpose: Code
    records: Aliases
    policy: str


class RecordsAggregated(Acted):
    """Numbers of groups were disclosed, and nothing of a person: it names no record.

    Attributes:
        fields: What was added up and what made the groups.
        period: A year or month of entries, or all.
        touched: How many records were opened for it.
    """

    TYPE: ClassVar[str] = "org.keyturn.records.aggregated.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    purpose: Code
    class_: Code = Field(alias="class")
    measure: Code
    fields: list[str]
    period: str | None = None
    touched: Count
    policy: str


class AliasesResolved(Acted):
    """Aliases were resolved to records, or records to aliases."""

    TYPE: ClassVar[str] = "org.keyturn.aliases.resolved.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    purpose: Code
    records: Aliases


class AccessDenied(Acted):
    """An access to a record of the caller's own party was denied.

    Attributes:
        reason: Why: a code such as `purpose-denied`, `gap`, `restricted`, `turned`.
    """

    TYPE: ClassVar[str] = "org.keyturn.access.denied.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    action: Code
    purpose: Code | None = None
    record: Alias | None = None
    classes: list[Code] = Field(default_factory=list)
    reason: Code
    policy: str


class ConsentRecorded(Acted):
    """A consent was given, or withdrawn when `withdrawn` is true."""

    TYPE: ClassVar[str] = "org.keyturn.consent.recorded.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    record: Alias
    kind: Code
    recipient: PartyId
    classes: list[Code]
    withdrawn: bool
    evidence: Digest | None = None


class ObjectionRecorded(Acted):
    """A person objected to a transfer, or withdrew the objection."""

    TYPE: ClassVar[str] = "org.keyturn.objection.recorded.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    record: Alias
    recipient: PartyId | None = None
    handover: str | None = None
    withdrawn: bool
    evidence: Digest | None = None


class FolioDropped(Acted):
    """Folios left a frozen decision: `objected`, `withdrawn`, `corrected`, `erased`."""

    TYPE: ClassVar[str] = "org.keyturn.folio.dropped.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    handover: str
    record: Alias
    reason: Code
    count: Count


class Handed(Acted):
    """Base of the vault's steps of one handover."""

    handover: str


class PlanLodged(Handed):
    """The exact plan bytes of a handover were lodged at the vault."""

    TYPE: ClassVar[str] = "org.keyturn.plan.lodged.v1"
    plan_hash: Digest


class ScopeFrozen(Handed):
    """The seller's records in scope were frozen: versions are pinned."""

    TYPE: ClassVar[str] = "org.keyturn.scope.frozen.v1"
    plan_hash: Digest
    snapshot: str


class DecisionMade(Handed):
    """The vault decided every folio of a frozen scope."""

    TYPE: ClassVar[str] = "org.keyturn.decision.made.v1"
    snapshot: str
    decision_root: Digest
    counts: Counts
    as_of: str


class BackupMade(Handed):
    """The scope's ciphertext and wraps were written to a file and restored once."""

    TYPE: ClassVar[str] = "org.keyturn.backup.made.v1"
    digest: Digest
    folios: Count
    drill: Literal["passed", "failed"]


class MandateAccepted(Handed):
    """Approvals and releases were verified: the mandate is complete."""

    TYPE: ClassVar[str] = "org.keyturn.mandate.accepted.v1"
    plan_hash: Digest
    decision_root: Digest
    signers: list[str]


class MandateRefused(Handed):
    """A mandate or approval set was refused."""

    TYPE: ClassVar[str] = "org.keyturn.mandate.refused.v1"
    reason: Code


class BatchExecuted(Handed):
    """One batch's pending custody was created; names the seller's aliases only."""

    TYPE: ClassVar[str] = "org.keyturn.batch.executed.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    n: Count
    digest: Digest
    folios: Count
    dropped: Count
    records: Aliases


class BatchVerified(Handed):
    """One batch's pending versions were opened under the buyer's key and compared."""

    TYPE: ClassVar[str] = "org.keyturn.batch.verified.v1"
    n: Count
    folios: Count


class CustodyTurned(Handed):
    """Custody turned: from this commit on the buyer reads, and the seller does not."""

    TYPE: ClassVar[str] = "org.keyturn.custody.turned.v1"
    plan_hash: Digest
    decision_root: Digest
    counts: Counts


class ScopeReleased(Handed):
    """A handover ended without a turn: `cancelled`, `revoked` or `thawed`."""

    TYPE: ClassVar[str] = "org.keyturn.scope.released.v1"
    reason: Code


VAULT_EVENTS: tuple[type[Payload], ...] = (
    *ENROLMENT_EVENTS,
    ClassCatalogued,
    FieldCatalogued,
    KeyCreated,
    KeyDestroyed,
    RecordCreated,
    RecordPatched,
    RecordErased,
    RecordSealBroken,
    EntriesAppended,
    RecordRead,
    RecordsLookedUp,
    RecordsListed,
    RecordsAggregated,
    AliasesResolved,
    AccessDenied,
    ConsentRecorded,
    ObjectionRecorded,
    FolioDropped,
    PlanLodged,
    ScopeFrozen,
    DecisionMade,
    BackupMade,
    MandateAccepted,
    MandateRefused,
    BatchExecuted,
    BatchVerified,
    CustodyTurned,
    *COLLISION_EVENTS,
    ScopeReleased,
)
