# SPDX-License-Identifier: Apache-2.0
"""Apply a prepared change inside its transaction, with the events that name it.

The locks are held by then: the party's scope shared, the record, each unique value.
Nothing is sealed or opened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from contracts.events import vault as vault_events
from services.chassis import outbox
from services.chassis.database import Tx
from services.chassis.lanes import EventRef
from services.vault import custody
from services.vault.access import Caller
from services.vault.catalogue import IDENTITY
from services.vault.custody import (
    CustodyTerms,
    DropReason,
    FolioFactsRow,
    HeldFolio,
    IndexValue,
    SealedVersion,
    StoredRecord,
)
from services.vault.parties import bump_epoch
from services.vault.records.content import FolioContent
from services.vault.records.errors import RecordNotFound
from services.vault.records.values import DEFAULT_BASIS, RecordContent, Written

UNCHANGED: Final = "unchanged"
"""The view of a record that was compared with what was sent, and is the same."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A version to be stored, with its folio's facts and the custody's terms."""

    version: SealedVersion
    facts: FolioFactsRow
    terms: CustodyTerms


class Snapshot(Protocol):
    """The snapshot that a change was prepared from."""

    @property
    def record(self) -> StoredRecord:
        """The record."""
        ...

    @property
    def handed_over(self) -> bool:
        """Whether a handover took anything of it away."""
        ...


@dataclass(frozen=True, slots=True)
class Creation:
    """A new record."""

    caller: Caller
    id: str
    identity: bytes | None
    identity_key_version: int
    sealed: Sequence[Sealed]
    values: Sequence[IndexValue]
    new: RecordContent

    def apply(self, tx: Tx) -> Written:
        """Store it.

        Raises:
            HandedOver, ValueTaken: A unique value belongs to another record.
        """
        party = self.caller.party
        custody.require_free(tx, party, self.values)
        alias = custody.insert_record(
            tx,
            party,
            self.id,
            external_id_sealed=self.identity,
            identity_key_version=self.identity_key_version,
        )
        for one in self.sealed:
            custody.insert_folio(tx, one.version, one.facts, one.terms)
        custody.insert_values(tx, party, self.id, self.values)
        event = vault_events.RecordCreated.model_validate(
            written_event(self.caller, alias, self.sealed)
        )
        ref = outbox.append(tx, event.draft(party))
        ref = file_rights(tx, self.caller, self.id, alias, self.new) or ref
        return Written(self.id, 1, created=True, event=ref)


@dataclass(frozen=True, slots=True)
class Alteration:
    """The change of a record.

    Attributes:
        standing: The snapshot it was prepared from.
        indexed: The fields whose index entries are replaced by `values`.
        policy: The version of the rules that allowed it, as events name it.
        corrects: A rights request: carried out also in a live handover, from which
            the record is dropped.
    """

    caller: Caller
    standing: Snapshot
    sealed: Sequence[Sealed]
    values: Sequence[IndexValue]
    indexed: Sequence[str]
    change: RecordContent
    if_match: int | None
    policy: str
    corrects: bool

    def apply(self, tx: Tx) -> Written:
        """Store it.

        Raises:
            FolioMoved: The record or its party moved since it was prepared.
            EtagStale: The caller's etag is no longer the record's.
            HandedOver, ValueTaken: A unique value belongs to another record.
            RecordNotFound: The record was erased meanwhile.
        """
        party, id_ = self.caller.party, self.standing.record.id
        record = custody.find_record(tx.connection, party, id_)
        if record is None:
            raise RecordNotFound
        self._require_unmoved(tx, record)
        alters = bool(self.sealed) or self.change.tags is not None
        if not alters:
            ref = file_rights(tx, self.caller, id_, record.alias, self.change)
            ref = ref or self._found_unchanged(tx, record.alias)
            return Written(id_, record.etag, event=ref)
        custody.require_free(tx, party, self.values, own=id_)
        for one in self.sealed:
            store = custody.move_folio if one.version.base else custody.insert_folio
            store(tx, one.version, one.facts, one.terms)
        custody.replace_values(tx, party, id_, self.indexed, self.values)
        if self.change.tags is not None:
            custody.retag(tx, party, id_, self.change.tags)
        etag = custody.bump_etag(tx, record, self.if_match)
        if self.corrects:
            drop(tx, self.caller, record, DropReason.CORRECTED)
        ref = self._events(tx, record.alias)
        ref = file_rights(tx, self.caller, id_, record.alias, self.change) or ref
        return Written(id_, etag, event=ref, entries=self._entries())

    def _require_unmoved(self, tx: Tx, record: StoredRecord) -> None:
        """Refuse what was decided and sealed before a turn or a freeze."""
        if self.if_match is not None and record.etag != self.if_match:
            raise custody.EtagStale
        party = self.caller.party
        gone = custody.is_handed_over(tx.connection, party, record.id)
        if gone != self.standing.handed_over:
            raise custody.FolioMoved("the record was handed over")
        if self.corrects:
            return
        frozen = custody.frozen_volumes(tx.connection, party, record.id)
        for one in self.sealed:
            place = one.version.place
            if one.version.base and (place.class_, place.volume) in frozen:
                raise custody.FolioMoved("the folio was frozen")

    def _found_unchanged(self, tx: Tx, alias: str) -> EventRef:
        """Append the event of a comparison: its sender learns that a guess holds."""
        event = vault_events.RecordRead.model_validate(
            {
                **self.caller.acted(),
                "purpose": self.caller.why().value,
                "record": alias,
                "classes": self.change.classes or [IDENTITY],
                "view": UNCHANGED,
                "policy": self.policy,
            }
        )
        return outbox.append(tx, event.draft(self.caller.party))

    def _entries(self) -> int:
        return sum(len(entries) for entries in self.change.entries.values())

    def _events(self, tx: Tx, alias: str) -> EventRef | None:
        documents = [
            one
            for one in self.sealed
            if one.version.place.class_ in self.change.documents
        ]
        entries = [one for one in self.sealed if one not in documents]
        ref = None
        if documents or self.change.tags is not None:
            fields = {name for doc in self.change.documents.values() for name in doc}
            if self.change.tags is not None:
                fields.add("tags")
            event = vault_events.RecordPatched.model_validate(
                {
                    **written_event(self.caller, alias, documents),
                    "fields": sorted(fields),
                }
            )
            ref = outbox.append(tx, event.draft(self.caller.party))
        if entries:
            appended = vault_events.EntriesAppended.model_validate(
                {
                    **written_event(self.caller, alias, entries),
                    "count": self._entries(),
                }
            )
            ref = outbox.append(tx, appended.draft(self.caller.party))
        return ref


def facts(
    folio: FolioContent,
    new: RecordContent,
    tags: Sequence[str],
    held: HeldFolio | None,
) -> tuple[FolioFactsRow, CustodyTerms]:
    """Return a version's facts and terms; what the folio had stays unless renewed."""
    basis = new.basis.get(folio.class_)
    retention = new.retention.get(folio.class_)
    if held is not None:
        basis = basis or held.basis
        retention = retention or held.retention
    basis = basis or DEFAULT_BASIS
    row = FolioFactsRow(
        basis=basis,
        last_activity=folio.last_activity,
        retention=retention,
        tags=tags,
        entries=folio.entries,
        size=folio.size,
    )
    if held is None:
        return row, CustodyTerms(basis, retention=retention)
    agreed = held.terms
    return row, CustodyTerms(basis, agreed.purposes, agreed.denied_purposes, retention)


def written_event(
    caller: Caller, alias: str, sealed: Sequence[Sealed]
) -> dict[str, Any]:
    """Return what every event of a write says: who, why, which folios by digest."""
    return {
        **caller.acted(),
        "purpose": None if caller.purpose is None else caller.purpose.value,
        "record": alias,
        "classes": sorted({one.version.place.class_ for one in sealed}),
        "digests": {
            f"{one.version.place.class_}/{one.version.place.volume}": (
                custody.keyed_digest(one.version.digest, alias)
            )
            for one in sealed
        },
    }


def file_rights(
    tx: Tx, caller: Caller, id_: str, alias: str, new: RecordContent
) -> EventRef | None:
    """File the consents and objections that came with a record; return the last event.

    A withdrawal and an objection take the record out of live handovers at once.
    """
    ref = None
    for consent in new.consents:
        ref = file_consent(tx, caller, id_, alias, consent)
    for objection in new.objections:
        ref = file_objection(tx, caller, id_, alias, objection)
    return ref


def file_consent(
    tx: Tx, caller: Caller, id_: str, alias: str, filed: custody.FiledConsent
) -> EventRef:
    """File a consent or its withdrawal, with its event."""
    party = caller.party
    custody.put_consent(tx, party, id_, filed)
    event = vault_events.ConsentRecorded.model_validate(
        {
            **caller.acted(),
            "record": alias,
            "kind": filed.kind,
            "recipient": filed.recipient,
            "classes": list(filed.classes),
            "withdrawn": filed.withdrawn_at is not None,
            "evidence": filed.evidence or None,
        }
    )
    ref = outbox.append(tx, event.draft(party))
    names_classes = filed.kind not in {custody.OPT_IN, custody.OPT_OUT}
    if filed.withdrawn_at is not None and names_classes:
        dropped = custody.drop_folios(
            tx,
            party,
            id_,
            DropReason.WITHDRAWN,
            recipient=filed.recipient,
            classes=filed.classes,
        )
        ref = tell_dropped(tx, caller, alias, DropReason.WITHDRAWN, dropped) or ref
    if filed.withdrawn_at is not None or filed.kind == custody.OPT_OUT:
        # Only what may turn a yes into a no makes reads under way decide again: an
        # import that files consents must not hold them up.
        bump_epoch(tx, party)
    return ref


def file_objection(
    tx: Tx, caller: Caller, id_: str, alias: str, filed: custody.FiledObjection
) -> EventRef:
    """File an objection or its withdrawal, with its event."""
    party = caller.party
    custody.put_objection(tx, party, id_, filed)
    event = vault_events.ObjectionRecorded.model_validate(
        {
            **caller.acted(),
            "record": alias,
            "recipient": filed.recipient or None,
            "handover": filed.handover or None,
            "withdrawn": filed.withdrawn_at is not None,
            "evidence": filed.evidence or None,
        }
    )
    ref = outbox.append(tx, event.draft(party))
    if filed.withdrawn_at is None:
        dropped = custody.drop_folios(
            tx,
            party,
            id_,
            DropReason.OBJECTED,
            recipient=filed.recipient,
            handover=filed.handover,
        )
        ref = tell_dropped(tx, caller, alias, DropReason.OBJECTED, dropped) or ref
        bump_epoch(tx, party)
    return ref


def drop(tx: Tx, caller: Caller, record: StoredRecord, reason: DropReason) -> None:
    """Take a whole record out of its party's live handovers, with the events."""
    dropped = custody.drop_folios(tx, caller.party, record.id, reason)
    tell_dropped(tx, caller, record.alias, reason, dropped)


def tell_dropped(
    tx: Tx,
    caller: Caller,
    alias: str,
    reason: DropReason,
    dropped: Sequence[custody.Dropped],
) -> EventRef | None:
    """Append `folio.dropped` for each handover; return the last event."""
    ref = None
    for one in dropped:
        event = vault_events.FolioDropped.model_validate(
            {
                **caller.acted(),
                "handover": one.handover,
                "record": alias,
                "reason": reason.value,
                "count": one.folios,
            }
        )
        ref = outbox.append(tx, event.draft(caller.party))
    return ref
