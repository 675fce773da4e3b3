# SPDX-License-Identifier: Apache-2.0
"""Bodies of the records room's requests and answers."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field

from services.chassis.body import AnyOf, Body, Day, Instant, Text
from services.chassis.clock import milliseconds
from services.vault.custody import OPT_IN, OPT_OUT, FiledConsent, FiledObjection
from services.vault.records import examples
from services.vault.records.items import BatchItem
from services.vault.records.once import Once
from services.vault.records.values import RecordContent

MAX_BATCH = 100
MAX_IDENTIFIERS = 100
MAX_ENTRIES = 1_000

ClassName = Annotated[str, Text(64, pattern=r"^[a-z][a-z0-9_]*$")]
FieldName = Annotated[str, Text(64, pattern=r"^[a-z][a-z0-9_]*$")]
Code = Annotated[str, Text(32, pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Tag = Annotated[str, Text(64, pattern=r"^[a-z0-9][a-z0-9_.:/-]*$")]
PartyId = Annotated[str, Text(64, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Alias = Annotated[str, Text(32, pattern=r"^[0-9a-f]{32}$")]
_RECORD_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
RECORD_ID = re.compile(_RECORD_ID)
RecordId = Annotated[str, Text(36, pattern=f"^{_RECORD_ID}$")]
Evidence = Annotated[str, Text(71, pattern=r"^sha256:[0-9a-f]{64}$")]
ExternalId = Annotated[str, Text(128)]


Value = Annotated[str | int | bool | list[str] | None, AnyOf("value_type")]
"""A field's value; the catalogue says which. `null` removes it in a merge patch."""

Documents = dict[ClassName, dict[FieldName, Value]]
Tags = Annotated[list[Tag], Field(max_length=64)]
EntryList = Annotated[
    list[dict[FieldName, Value]], Field(min_length=1, max_length=MAX_ENTRIES)
]


class ConsentKind(StrEnum):
    """How a consent was asked for, or what the person opted in to or out of."""

    SEPARATE = "separate"
    BUNDLED = "bundled"
    OPT_IN = OPT_IN
    OPT_OUT = OPT_OUT


class ConsentIn(Body):
    """A consent, or its withdrawal, as the person gave it.

    `kind` `separate` is a consent to hand over, `bundled` one that was asked for with
    something else and does not count; `optin` and `optout` name purposes in `classes`.
    The recipient is an enrolled party: nothing but known names enters the log.
    """

    model_config = examples.shown(examples.CONSENT)

    kind: ConsentKind
    recipient: PartyId
    classes: Annotated[list[ClassName], Field(min_length=1, max_length=64)]
    given_at: Instant
    withdrawn_at: Instant | None = None
    evidence_sha256: Evidence | None = None

    def filed(self) -> FiledConsent:
        """Return the consent as a value."""
        return FiledConsent(
            kind=self.kind.value,
            recipient=self.recipient,
            classes=tuple(dict.fromkeys(self.classes)),
            given_at=milliseconds(self.given_at),
            withdrawn_at=_ms(self.withdrawn_at),
            evidence=self.evidence_sha256 or "",
        )


class ObjectionIn(Body):
    """An objection to handovers, or its withdrawal; without a name, to all."""

    model_config = examples.shown(examples.OBJECTION)

    recipient: PartyId | None = None
    handover: RecordId | None = None
    objected_at: Instant
    withdrawn_at: Instant | None = None
    evidence_sha256: Evidence | None = None

    def filed(self) -> FiledObjection:
        """Return the objection as a value."""
        return FiledObjection(
            recipient=self.recipient or "",
            handover=self.handover or "",
            objected_at=milliseconds(self.objected_at),
            withdrawn_at=_ms(self.withdrawn_at),
            evidence=self.evidence_sha256 or "",
        )


class RecordIn(Body):
    """A record; every field of it must be in the party's catalogue."""

    model_config = examples.shown(examples.RECORD)

    external_id: ExternalId | None = None
    tags: Tags | None = None
    basis: dict[ClassName, Code] = Field(default_factory=dict)
    retention: dict[ClassName, Day] = Field(default_factory=dict)
    documents: Documents = Field(default_factory=dict)
    entries: dict[ClassName, EntryList] = Field(default_factory=dict)

    def content(
        self,
        consents: list[ConsentIn] | None = None,
        objections: list[ObjectionIn] | None = None,
    ) -> RecordContent:
        """Return the content as a value."""
        return RecordContent(
            external_id=self.external_id,
            tags=_tags(self.tags),
            basis=self.basis,
            retention={c: day.isoformat() for c, day in self.retention.items()},
            documents=self.documents,
            entries=self.entries,
            consents=[one.filed() for one in consents or ()],
            objections=[one.filed() for one in objections or ()],
        )


class BatchItemIn(Body):
    """One record of a batch; `ref` comes back with its result."""

    ref: Annotated[str, Text(64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$")]
    record: RecordIn
    consents: Annotated[list[ConsentIn], Field(max_length=64)] = Field(
        default_factory=list
    )
    objections: Annotated[list[ObjectionIn], Field(max_length=64)] = Field(
        default_factory=list
    )

    def item(self, once: Once | None = None) -> BatchItem:
        """Return the item as a value, to be done at most once."""
        content = self.record.content(self.consents, self.objections)
        return BatchItem(self.ref, content, once)


class BatchIn(Body):
    """Up to 100 records."""

    model_config = examples.shown(examples.BATCH)

    all_or_none: bool = False
    items: Annotated[list[BatchItemIn], Field(min_length=1, max_length=MAX_BATCH)]


class PatchIn(Body):
    """A merge patch (RFC 7396) of documents and tags."""

    model_config = examples.shown(examples.PATCH)

    tags: Tags | None = None
    documents: Documents = Field(default_factory=dict)

    def content(self) -> RecordContent:
        """Return the change as a value."""
        return RecordContent(tags=_tags(self.tags), documents=self.documents)


class EntriesIn(Body):
    """Entries to append to one class.

    Each entry has `entry_id` (1-64 visible ASCII characters, the caller's own name of
    it; a known one replaces), `at` (when it happened, RFC 3339 with an offset; its
    year picks the volume), and fields of the class.
    """

    model_config = examples.shown(examples.ENTRIES)

    class_: ClassName = Field(alias="class")
    entries: EntryList

    def content(self) -> RecordContent:
        """Return the change as a value."""
        return RecordContent(entries={self.class_: self.entries})


class Identifier(Body):
    """A value to look for in a searchable field, or in `external_id`."""

    field: FieldName
    value: Annotated[str, Text(1_000)]


class LookupIn(Body):
    """Identifiers; always in the body, never in an address."""

    model_config = examples.shown(examples.LOOKUP)

    identifiers: Annotated[
        list[Identifier], Field(min_length=1, max_length=MAX_IDENTIFIERS)
    ]


class ResolveIn(Body):
    """Records, aliases, or both."""

    model_config = examples.shown(examples.RESOLVE)

    records: Annotated[list[RecordId], Field(max_length=100)] = Field(
        default_factory=list
    )
    aliases: Annotated[list[Alias], Field(max_length=100)] = Field(default_factory=list)


class WrittenOut(BaseModel):
    """A record after a change."""

    id: str
    etag: str
    created: bool


class AppendedOut(BaseModel):
    """A record after entries were appended."""

    id: str
    etag: str
    entries: int


class BatchResultOut(BaseModel):
    """What became of one item of a batch."""

    ref: str
    status: int
    id: str | None = None
    etag: str | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """The result of each item, in order."""

    items: list[BatchResultOut]


class FoundOut(BaseModel):
    """The records found for one identifier."""

    records: list[str]


class LookupOut(BaseModel):
    """Answers in the order of the identifiers."""

    items: list[FoundOut]


class ListedOut(BaseModel):
    """A record on a page."""

    id: str
    etag: str


class ListOut(BaseModel):
    """A page of records."""

    items: list[ListedOut]
    next_cursor: str | None
    has_more: bool


class ResolvedOut(BaseModel):
    """A record and its alias; what is unknown to the caller's party is null."""

    record: str | None
    alias: str | None


class ResolveOut(BaseModel):
    """Pairs in the order of the request, records first."""

    items: list[ResolvedOut]


class VersionOut(BaseModel):
    """A version of a folio; nothing of its content."""

    model_config = {"populate_by_name": True}

    class_: str = Field(alias="class")
    volume: str
    version: str
    created_at: str
    current: bool
    custody: str


class HistoryOut(BaseModel):
    """The versions in the party's custody, oldest first."""

    items: list[VersionOut]


class ErasedOut(BaseModel):
    """What an erasure is worth.

    `effective_now`: the records' database holds nothing of it any more.
    `effective_everywhere_by`: null until a key destruction settles what backups hold.
    """

    id: str
    classes: list[str]
    versions: int
    erased_at: str
    effective_now: bool
    effective_everywhere_by: str | None


class FiledOut(BaseModel):
    """A consent or objection is filed."""

    id: str


def _tags(tags: list[str] | None) -> tuple[str, ...] | None:
    return None if tags is None else tuple(sorted(set(tags)))


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else milliseconds(moment)
