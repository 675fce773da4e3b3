# SPDX-License-Identifier: Apache-2.0
# Generated from contracts/openapi/vault.json by `make contracts`.

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AppendedOut(TypedDict):
    """A record after entries were appended."""

    id: str
    etag: str
    entries: int


CollisionDecision: TypeAlias = Literal["keep_both", "merge"]


CollisionState: TypeAlias = Literal["open", "settled", "void"]


Class: TypeAlias = str


ConsentKind: TypeAlias = Literal["separate", "bundled", "optin", "optout"]


EntriesIn = TypedDict(
    "EntriesIn",
    {
        "class": str,
        "entries": list[dict[str, str | int | bool | list[str] | None]],
    },
)


class ErasedOut(TypedDict):
    """
    What an erasure is worth.

    `effective_now`: the records' database holds nothing of it any more.
    `effective_everywhere_by`: null until a key destruction settles what backups hold.
    """

    id: str
    classes: list[str]
    versions: int
    erased_at: str
    effective_now: bool
    effective_everywhere_by: str | None


class FiledOut(TypedDict):
    """A consent or objection is filed."""

    id: str


Form: TypeAlias = Literal["document", "entries"]


class FoundOut(TypedDict):
    """The records found for one identifier."""

    records: list[str]


Grade: TypeAlias = Literal["general", "sensitive", "minor"]


class GroupOut(TypedDict):
    """
    A group of at least as many records as the installation allows.

    `records` and counts are rounded down to a multiple of five; sums and averages are
    decimal texts of three significant digits. `group` is null where the field is
    absent, and for the one group of all.
    """

    group: str | int | bool | None
    records: int
    value: int | str


class Identifier(TypedDict):
    """A value to look for in a searchable field, or in `external_id`."""

    field: str
    value: str


class InstallationOut(TypedDict):
    """Which installation this is."""

    installation: str


Kind: TypeAlias = Literal[
    "name",
    "email",
    "phone",
    "address",
    "text",
    "date",
    "amount",
    "number",
    "integer",
    "boolean",
    "code",
    "id",
    "id_number",
]


class ListedOut(TypedDict):
    """A record on a page."""

    id: str
    etag: str


class LookupIn(TypedDict):
    """Identifiers; always in the body, never in an address."""

    identifiers: list[Identifier]


class LookupOut(TypedDict):
    """Answers in the order of the identifiers."""

    items: list[FoundOut]


Mask: TypeAlias = Literal[
    "none",
    "hide",
    "name",
    "email",
    "phone",
    "address",
    "place",
    "postal_code",
    "date",
    "amount",
    "quantity",
    "code",
    "id_number",
    "flag",
]


Measure: TypeAlias = Literal["count", "sum", "average"]


class ObjectionIn(TypedDict):
    """An objection to handovers, or its withdrawal; without a name, to all."""

    recipient: NotRequired[str | None]
    handover: NotRequired[str | None]
    objected_at: str
    withdrawn_at: NotRequired[str | None]
    evidence_sha256: NotRequired[str | None]


class OfficerKeyOut(TypedDict):
    """
    One public key of an officer.

    Attributes:
        key_id: Hex SHA-256 of the raw public key.
        public_key: Ed25519, base64.
        revoked: Whether it was revoked; it then signs and opens nothing.
    """

    key_id: str
    party: str
    person: str
    role: str
    use: Literal["login", "sign"]
    public_key: str
    revoked: bool


class OfficerKeysOut(TypedDict):
    """The public keys of a party's officers."""

    items: list[OfficerKeyOut]


Tag: TypeAlias = str


class PatchIn(TypedDict):
    """A merge patch (RFC 7396) of documents and tags."""

    tags: NotRequired[list[Tag] | None]
    documents: NotRequired[dict[str, dict[str, str | int | bool | list[str] | None]]]


Error = TypedDict(
    "Error",
    {
        "in": str,
        "pointer": str,
        "code": str,
        "msg": str,
    },
)


class Problem(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    instance: NotRequired[str]
    code: str
    request_id: str
    errors: NotRequired[list[Error]]


class RecordIn(TypedDict):
    """A record; every field of it must be in the party's catalogue."""

    external_id: NotRequired[str | None]
    tags: NotRequired[list[Tag] | None]
    basis: NotRequired[dict[str, str]]
    retention: NotRequired[dict[str, str]]
    documents: NotRequired[dict[str, dict[str, str | int | bool | list[str] | None]]]
    entries: NotRequired[
        dict[str, list[dict[str, str | int | bool | list[str] | None]]]
    ]


Record: TypeAlias = str


Alias: TypeAlias = str


class ResolveIn(TypedDict):
    """Records, aliases, or both."""

    records: NotRequired[list[Record]]
    aliases: NotRequired[list[Alias]]


class ResolvedOut(TypedDict):
    """A record and its alias; what is unknown to the caller's party is null."""

    record: str | None
    alias: str | None


class SettleIn(TypedDict):
    """
    What a person decided about two records that share a unique value.

    With `keep_both` the record `keep` has the unique entry, and look-up finds both.
    With `merge` it goes on with what both held, and the other one ends.
    """

    decision: Literal["keep_both", "merge"]
    keep: str


VersionOut = TypedDict(
    "VersionOut",
    {
        "class": str,
        "volume": str,
        "version": str,
        "created_at": str,
        "current": bool,
        "custody": str,
    },
)


View: TypeAlias = Literal["full", "masked", "pseudonym"]


class WrittenOut(TypedDict):
    """A record after a change."""

    id: str
    etag: str
    created: bool


class BatchResultOut(TypedDict):
    """What became of one item of a batch."""

    ref: str
    status: int
    id: NotRequired[str | None]
    etag: NotRequired[str | None]
    problem: NotRequired[dict[str, Any] | None]


AggregateIn = TypedDict(
    "AggregateIn",
    {
        "class": str,
        "measure": Measure,
        "field": NotRequired[str | None],
        "group_by": NotRequired[str | None],
        "period": NotRequired[str | None],
    },
)


class AggregateOut(TypedDict):
    """
    The groups that may be shown, and whether others are not.

    There is no total: with it, one could compute what is suppressed.
    """

    groups: list[GroupOut]
    suppressed: bool


class ClassIn(TypedDict):
    """A class to add."""

    form: Form


class ClassOut(TypedDict):
    """A class of the catalogue."""

    name: str
    form: Form


class CollisionOut(TypedDict):
    """
    Two records that share a value of a unique field.

    `record` arrived with the handover; `state` is open, settled or void. Of a merge
    `kept` is the record that goes on: the other id answers 404.
    """

    position: int
    field: str
    record: str
    other: str
    state: CollisionState
    decision: CollisionDecision | None
    kept: str | None


class CollisionsOut(TypedDict):
    """A page of collisions."""

    items: list[CollisionOut]
    next_cursor: str | None
    has_more: bool


class ConsentIn(TypedDict):
    """
    A consent, or its withdrawal, as the person gave it.

    `kind` `separate` is a consent to hand over, `bundled` one that was asked for with
    something else and does not count; `optin` and `optout` name purposes in `classes`.
    The recipient is an enrolled party: nothing but known names enters the log.
    """

    kind: ConsentKind
    recipient: str
    classes: list[Class]
    given_at: str
    withdrawn_at: NotRequired[str | None]
    evidence_sha256: NotRequired[str | None]


FieldIn = TypedDict(
    "FieldIn",
    {
        "class": str,
        "grade": NotRequired[Grade],
        "kind": Kind,
        "mask": NotRequired[Mask | None],
        "searchable": NotRequired[bool],
        "unique": NotRequired[bool],
    },
)


FieldOut = TypedDict(
    "FieldOut",
    {
        "name": str,
        "class": str,
        "grade": Grade,
        "kind": Kind,
        "mask": str,
        "searchable": bool,
        "unique": bool,
    },
)


class HistoryOut(TypedDict):
    """The versions in the party's custody, oldest first."""

    items: list[VersionOut]


class ListOut(TypedDict):
    """A page of records."""

    items: list[ListedOut]
    next_cursor: str | None
    has_more: bool


class ResolveOut(TypedDict):
    """Pairs in the order of the request, records first."""

    items: list[ResolvedOut]


class BatchOut(TypedDict):
    """The result of each item, in order."""

    items: list[BatchResultOut]


class BatchItemIn(TypedDict):
    """One record of a batch; `ref` comes back with its result."""

    ref: str
    record: RecordIn
    consents: NotRequired[list[ConsentIn]]
    objections: NotRequired[list[ObjectionIn]]


class CatalogueOut(TypedDict):
    """A party's catalogue."""

    classes: list[ClassOut]
    fields: list[FieldOut]


class BatchIn(TypedDict):
    """Up to 100 records."""

    all_or_none: NotRequired[bool]
    items: list[BatchItemIn]
