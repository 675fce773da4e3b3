# SPDX-License-Identifier: Apache-2.0
"""Prepare a change of one record: check, decide, seal; the transaction comes later.

All crypto happens here, before the transaction. What is prepared from a state that
has moved by then raises `FolioMoved` in the transaction and is prepared again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from contracts.purposes import Purpose
from services.chassis.clock import Clock, milliseconds
from services.chassis.database import Lock, LockKind, Tx
from services.chassis.journal import Journal
from services.vault import custody
from services.vault.access import Access, Action, Attributes, Caller
from services.vault.catalogue import (
    IDENTITY,
    Catalogue,
    Catalogues,
    Form,
    IndexTerm,
)
from services.vault.custody import (
    FiledConsent,
    FiledObjection,
    HeldFolio,
    IndexValue,
    StoredRecord,
)
from services.vault.custody.volumes import DOCUMENT_VOLUME, Volume
from services.vault.keys.keyring import Keyring, PartyKeys
from services.vault.records import applying, conflicts, content, rights
from services.vault.records.applying import Sealed
from services.vault.records.content import FolioContent, require_known
from services.vault.records.errors import ContentRefused, RecordExists, RecordNotFound
from services.vault.records.indexing import (
    external_value,
    index_values,
    indexed_fields,
    require_number,
)
from services.vault.records.reading import open_held
from services.vault.records.values import RecordContent, Written


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change ready for its transaction."""

    fn: Callable[[Tx], Written]
    locks: Sequence[Lock]


@dataclass(frozen=True, slots=True)
class Standing:
    """A record and its folios in one snapshot."""

    record: StoredRecord
    folios: Mapping[tuple[str, str], HeldFolio]
    frozen: Mapping[tuple[str, str], str]
    handed_over: bool


class Writing:
    """Prepares changes; holds what sealing needs."""

    def __init__(
        self,
        changes: Journal,
        keyring: Keyring,
        catalogues: Catalogues,
        access: Access,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._changes = changes
        self._keyring = keyring
        self._catalogues = catalogues
        self._access = access
        self._clock = clock
        self._new_id = new_id
        self._random_bytes = random_bytes

    async def require_distinct(
        self, caller: Caller, contents: Sequence[RecordContent]
    ) -> None:
        """Refuse records that share a unique value or a number among themselves.

        Raises:
            ContentRefused: Two do.
        """
        conflicts.require_distinct(await self._catalogues.of(caller.party), contents)

    async def require_known(
        self,
        party: str,
        *,
        consents: Sequence[FiledConsent] = (),
        objections: Sequence[FiledObjection] = (),
    ) -> None:
        """Refuse consents and objections that name what is not known.

        Raises:
            ContentRefused: See `rights.require_known`.
        """
        catalogue = await self._catalogues.of(party)
        await rights.require_known(self._changes, catalogue, consents, objections)

    async def prepare_put(
        self, caller: Caller, new: RecordContent, *, must_be_new: bool = False
    ) -> Prepared:
        """Prepare a new record, or the change of the one with this external id.

        Raises:
            HandedOver: That record was handed over.
            RecordExists: It exists, and `must_be_new`.
            As `prepare_create` and `prepare_change`.
        """
        await self.require_known(
            caller.party, consents=new.consents, objections=new.objections
        )
        if new.external_id is not None:
            value = await self._external_value(caller, new.external_id)
            found = await self._changes.read(
                lambda c: custody.find_own(c, caller.party, value.value)
            )
            if found is not None:
                if must_be_new:
                    raise RecordExists
                return await self.prepare_change(caller, found, new)
        return await self.prepare_create(caller, new)

    async def prepare_create(self, caller: Caller, new: RecordContent) -> Prepared:
        """Prepare a new record.

        Raises:
            DocumentRefused, ContentRefused, FieldUnparsable: The content is not what
                the catalogue allows.
            AccessRefused: Policy denies it; logged.
        """
        catalogue = await self._catalogues.of(caller.party)
        require_known(catalogue.classes, new)
        folios, terms = self._new_folios(catalogue, new)
        if new.tags and not folios:
            raise ContentRefused("/tags", "tags", "need a document or an entry")
        await self._require(caller, Action.CREATE, new.classes, "active", None)
        keys = await self._keyring.of(caller.party, creating=[IDENTITY, *new.classes])
        values, identity = index_values(keys, terms), None
        id_ = self._new_id()
        if new.external_id is not None:
            values.append(external_value(keys, new.external_id))
            identity = custody.seal_identity(
                caller.party,
                id_,
                new.external_id,
                key=keys.primary(IDENTITY),
                random_bytes=self._random_bytes,
            )
        creation = applying.Creation(
            caller=caller,
            id=id_,
            identity=identity,
            identity_key_version=keys.primary(IDENTITY).version,
            sealed=[self._seal(keys, id_, f, new, new.tags or ()) for f in folios],
            values=values,
            new=new,
        )
        return Prepared(creation.apply, _locks(caller.party, id_, values))

    async def prepare_change(
        self,
        caller: Caller,
        id_: str,
        change: RecordContent,
        if_match: int | None = None,
    ) -> Prepared:
        """Prepare the change of a record.

        Raises:
            RecordNotFound: Absent, foreign or pending.
            AccessRefused: Policy denies it; logged.
            EtagStale: The record's etag is not `if_match`.
            FolioFrozen: A document to be changed stands in a live handover, and the
                purpose is no rights request.
            As `prepare_create`.
        """
        catalogue = await self._catalogues.of(caller.party)
        standing = await self._standing(caller, id_)
        require_known(catalogue.classes, change)
        if change.tags is not None and change.tags == _known_tags(standing):
            change = replace(change, tags=None)
        _require_forms(catalogue, change)
        await self._may_change(caller, standing, change)
        if if_match is not None and if_match != standing.record.etag:
            raise custody.EtagStale
        keys = await self._keyring.of(
            caller.party, creating=[IDENTITY, *change.classes]
        )
        if change.external_id is not None:
            require_number(keys, standing.record, change.external_id)
        corrects = caller.purpose is Purpose.RIGHTS_REQUEST
        frozen = {} if corrects else standing.frozen
        folios, terms = self._changed(catalogue, keys, standing, change, frozen)
        tags = _tags(standing, change, folios, frozen)
        alteration = applying.Alteration(
            caller=caller,
            standing=standing,
            sealed=[self._seal(keys, id_, f, change, tags, standing) for f in folios],
            values=index_values(keys, terms),
            indexed=indexed_fields(catalogue, {f.class_ for f in folios}),
            change=change,
            if_match=if_match,
            policy=self._access.policy_version,
            corrects=corrects,
        )
        return Prepared(alteration.apply, _locks(caller.party, id_, alteration.values))

    async def _may_change(
        self, caller: Caller, standing: Standing, change: RecordContent
    ) -> None:
        state = "restricted" if standing.handed_over else "active"
        alias = standing.record.alias
        documents = sorted(change.documents)
        if documents or not change.entries:
            await self._require(caller, Action.PATCH, documents, state, alias)
        if change.entries:
            entries = sorted(change.entries)
            await self._require(caller, Action.APPEND, entries, state, alias)

    async def _require(
        self,
        caller: Caller,
        action: Action,
        classes: Sequence[str],
        state: str,
        alias: str | None,
    ) -> None:
        asked = [
            Attributes(caller.role, action, class_, caller.why(), custody=state)
            for class_ in (classes or [IDENTITY])
        ]
        await self._access.require(caller, action, asked, record=alias)

    async def _external_value(self, caller: Caller, external_id: str) -> IndexValue:
        keys = await self._keyring.of(caller.party, creating=[IDENTITY])
        return external_value(keys, external_id)

    async def _standing(self, caller: Caller, id_: str) -> Standing:
        def gather(connection: Any) -> Standing | None:
            record = custody.find_record(connection, caller.party, id_)
            if record is None:
                return None
            folios = custody.held_folios(connection, caller.party, id_)
            return Standing(
                record,
                {(f.place.class_, f.place.volume): f for f in folios},
                custody.frozen_volumes(connection, caller.party, id_),
                custody.is_handed_over(connection, caller.party, id_),
            )

        found = await self._changes.read(gather)
        if found is None:
            raise RecordNotFound
        return found

    def _new_folios(
        self, catalogue: Catalogue, new: RecordContent
    ) -> tuple[list[FolioContent], list[IndexTerm]]:
        documents = {c: content.without_nulls(d) for c, d in new.documents.items()}
        terms = catalogue.check_documents(documents)
        folios = [content.document_folio(c, "", d) for c, d in documents.items()]
        for position, class_ in enumerate(new.entries):
            volumes: dict[str, Volume] = {}
            folios += self._place(catalogue, class_, position, new, volumes)
        return folios, terms

    def _changed(
        self,
        catalogue: Catalogue,
        keys: PartyKeys,
        standing: Standing,
        change: RecordContent,
        frozen: Mapping[tuple[str, str], str],
    ) -> tuple[list[FolioContent], list[IndexTerm]]:
        folios: list[FolioContent] = []
        terms: list[IndexTerm] = []
        for class_, patch in change.documents.items():
            held = standing.folios.get((class_, DOCUMENT_VOLUME))
            before = {} if held is None else open_held(keys, held)
            after = content.merge_patch(before, patch)
            if held is not None and after == before:
                continue
            if (class_, DOCUMENT_VOLUME) in frozen:
                raise custody.FolioFrozen(frozen[(class_, DOCUMENT_VOLUME)])
            terms += catalogue.check_documents({class_: after})
            base = "" if held is None else held.version
            folios.append(content.document_folio(class_, base, after))
        for position, class_ in enumerate(change.entries):
            volumes = {
                volume: content.opened_volume(
                    volume,
                    held.version,
                    open_held(keys, held),
                    frozen=(name, volume) in frozen,
                )
                for (name, volume), held in standing.folios.items()
                if name == class_
            }
            folios += self._place(catalogue, class_, position, change, volumes)
        return folios, terms

    def _place(
        self,
        catalogue: Catalogue,
        class_: str,
        position: int,
        new: RecordContent,
        volumes: dict[str, Volume],
    ) -> list[FolioContent]:
        catalogue.require_form(class_, Form.ENTRIES, "/entries", position)
        entries = catalogue.check_entries(
            class_, new.entries[class_], f"/entries/{class_}"
        )
        zone = ZoneInfo(catalogue.timezone)
        now = milliseconds(self._clock.now())
        content.place_entries(volumes, entries, zone, now)
        return content.entry_folios(class_, volumes, zone)

    def _seal(
        self,
        keys: PartyKeys,
        id_: str,
        folio: FolioContent,
        new: RecordContent,
        tags: Sequence[str],
        standing: Standing | None = None,
    ) -> Sealed:
        place = custody.Place(keys.party, id_, folio.class_, folio.volume)
        sealed = custody.seal_folio(
            place,
            folio.content,
            version=self._new_id(),
            base=folio.base,
            key=keys.primary(folio.class_),
            random_bytes=self._random_bytes,
        )
        held = None
        if standing is not None:
            held = standing.folios.get((folio.class_, folio.volume))
        return Sealed(sealed, *applying.facts(folio, new, tags, held))


def _require_forms(catalogue: Catalogue, change: RecordContent) -> None:
    """Refuse unknown classes before a denial could name them in the log."""
    for position, class_ in enumerate(change.documents):
        catalogue.require_form(class_, Form.DOCUMENT, "/documents", position)
    for position, class_ in enumerate(change.entries):
        catalogue.require_form(class_, Form.ENTRIES, "/entries", position)


def _known_tags(standing: Standing) -> tuple[str, ...]:
    found = next(iter(standing.folios.values()), None)
    return () if found is None else found.tags


def _tags(
    standing: Standing,
    change: RecordContent,
    folios: Sequence[FolioContent],
    frozen: Mapping[tuple[str, str], str],
) -> tuple[str, ...]:
    """Return the record's tags after the change; they are facts of its folios.

    Raises:
        FolioFrozen: They change, and a folio of the record is pinned.
        ContentRefused: There is no folio to keep them.
    """
    if change.tags is None:
        return _known_tags(standing)
    if frozen:
        raise custody.FolioFrozen(next(iter(frozen.values())))
    if change.tags and not folios and not standing.folios:
        raise ContentRefused("/tags", "tags", "need a document or an entry")
    return change.tags


def _locks(party: str, record: str, values: Sequence[IndexValue]) -> list[Lock]:
    unique = [custody.lock_of(party, value) for value in values if value.unique]
    return [
        Lock(LockKind.PARTY, party, exclusive=False),
        Lock(LockKind.RECORD, f"{party}/{record}"),
        *unique,
    ]
