# SPDX-License-Identifier: Apache-2.0
"""What goes into the records room and what comes out, as values. Pure.

Nothing here shows personal data in its repr: tracebacks and logs may hold a repr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.chassis.idempotency import Stored
from services.chassis.lanes import EventRef
from services.vault.custody import FiledConsent, FiledObjection

DEFAULT_BASIS = "contract"

Documents = Mapping[str, Mapping[str, Any]]
"""Class → field → value; in a change, `None` removes the field (RFC 7396)."""

Entries = Mapping[str, Sequence[Mapping[str, Any]]]
"""Class → entries, each `{entry_id, at, ...fields}`."""


@dataclass(frozen=True, slots=True)
class RecordContent:
    """What a record is to hold, or what of it is to change.

    Attributes:
        tags: None leaves them as they are.
        basis: Class → legal basis of a new folio.
        retention: Class → last day of keeping, ISO.
    """

    external_id: str | None = field(default=None, repr=False)
    tags: tuple[str, ...] | None = None
    basis: Mapping[str, str] = field(default_factory=dict)
    retention: Mapping[str, str] = field(default_factory=dict)
    documents: Documents = field(default_factory=dict, repr=False)
    entries: Entries = field(default_factory=dict, repr=False)
    consents: Sequence[FiledConsent] = ()
    objections: Sequence[FiledObjection] = ()

    @property
    def classes(self) -> list[str]:
        """The classes it writes."""
        return sorted({*self.documents, *self.entries})


@dataclass(frozen=True, slots=True)
class Written:
    """A durable change.

    Attributes:
        etag: The record's etag after it.
        created: Whether the record is new.
        event: Where it stands in the log, also if nothing had to change; None in a
            repetition, whose answer names it.
        replayed: The answer given before, if the request was a repetition.
    """

    id: str
    etag: int
    created: bool = False
    event: EventRef | None = None
    entries: int = 0
    replayed: Stored | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, and what that is worth.

    Attributes:
        versions: Payloads deleted; those a buyer holds too stay with the buyer.
        erased_at: Milliseconds.
    """

    id: str
    classes: Sequence[str]
    versions: int
    erased_at: int
    event: EventRef
