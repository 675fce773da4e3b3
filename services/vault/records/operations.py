# SPDX-License-Identifier: Apache-2.0
"""Writing records: create, change, append, erase, and what the person filed.

One public method is one transaction with its events (a batch of single items is one
each). Reading is `reading`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from contracts.events import vault as vault_events
from contracts.problems import Refusal
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.clock import milliseconds
from services.chassis.database import DatabaseError, Lock, LockKind, Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault import custody
from services.vault.access import Access, Action, Attributes, Caller
from services.vault.custody import DropReason, FiledConsent, FiledObjection
from services.vault.errors import VaultError
from services.vault.parties import bump_epoch
from services.vault.records import applying, conflicts
from services.vault.records.errors import EtagRequired, RecordNotFound, RolledBack
from services.vault.records.items import BatchItem, BatchResult
from services.vault.records.once import Once
from services.vault.records.values import Erased, RecordContent, Written
from services.vault.records.writing import Prepared, Writing

MAX_ATTEMPTS: Final = 20  # how often a change is prepared again after another's

F = TypeVar("F", FiledConsent, FiledObjection)


class Records:
    """The records room, its writing half."""

    def __init__(self, changes: Journal, access: Access, writing: Writing) -> None:
        self._changes = changes
        self._access = access
        self._writing = writing
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(
        self,
        principal: Principal,
        purpose: str | None,
        new: RecordContent,
        *,
        must_be_new: bool = False,
        once: Once | None = None,
    ) -> Written:
        """Create a record, or change the one with the same external id.

        Raises:
            RecordExists: It exists, and `must_be_new`.
            HandedOver, ValueTaken: A unique value belongs to another record; logged.
            AuditUnavailable: That refusal cannot be logged.
            DocumentRefused, ContentRefused, FieldUnparsable: Not as the catalogue
                allows.
            AccessRefused, PurposeMissing, PurposeNotGiven: Not allowed.
            FolioFrozen: As `patch`.
        """
        caller = await self._access.caller(principal, purpose, Action.CREATE)
        return await self._put(caller, new, must_be_new=must_be_new, once=once)

    async def batch(
        self,
        principal: Principal,
        purpose: str | None,
        items: Sequence[BatchItem],
        *,
        all_or_none: bool,
    ) -> list[BatchResult]:
        """Create or change up to 100 records; a result for each, in order.

        With `all_or_none` they are one transaction; else one each, which share their
        commits.

        Raises:
            PurposeMissing, PurposeNotGiven, AuditUnavailable: For all items alike.
            ContentRefused: Two items share a unique value or a number.
        """
        caller = await self._access.caller(principal, purpose, Action.CREATE)
        await self._writing.require_distinct(caller, [item.content for item in items])
        if all_or_none:
            return await self._all_or_none(caller, items)
        return list(await asyncio.gather(*(self._one(caller, i) for i in items)))

    async def patch(
        self,
        principal: Principal,
        purpose: str | None,
        id_: str,
        change: RecordContent,
        if_match: int | None,
    ) -> Written:
        """Change documents and tags by merge patch.

        Raises:
            EtagRequired, EtagStale: No etag, or not the record's.
            RecordNotFound: Absent, foreign or pending.
            FolioFrozen: A live handover pinned it, and the purpose is no rights
                request. One of that purpose is carried out, and takes the record out
                of the handover: a corrected mistake is never handed over.
            As `create`.
        """
        if if_match is None:
            raise EtagRequired
        caller = await self._access.caller(principal, purpose, Action.PATCH, id_)
        return await self._change(caller, Action.PATCH, id_, change, if_match)

    async def append(
        self,
        principal: Principal,
        purpose: str | None,
        id_: str,
        change: RecordContent,
        *,
        once: Once | None = None,
    ) -> Written:
        """Append entries; one with a known `entry_id` replaces it. None is lost.

        Entries of a frozen volume open the next one.

        Raises:
            As `patch`, without etag.
        """
        caller = await self._access.caller(principal, purpose, Action.APPEND, id_)
        return await self._change(caller, Action.APPEND, id_, change, once=once)

    async def erase(
        self,
        principal: Principal,
        purpose: str | None,
        id_: str,
        if_match: int | None = None,
    ) -> Erased:
        """Erase a record at once, also out of a live handover.

        Raises:
            RecordNotFound, EtagStale, AccessRefused: As `patch`.
        """
        caller = await self._access.caller(principal, purpose, Action.ERASE, id_)
        party = caller.party
        found = await self._changes.read(
            lambda c: (
                custody.find_record(c, party, id_),
                custody.held_folios(c, party, id_),
                custody.is_handed_over(c, party, id_),
            )
        )
        record, folios, handed_over = found
        if record is None:
            raise RecordNotFound
        classes = sorted({folio.place.class_ for folio in folios}) or ["identity"]
        state = "restricted" if handed_over else "active"
        asked = [
            Attributes(caller.role, Action.ERASE, c, caller.why(), custody=state)
            for c in classes
        ]
        await self._access.require(caller, Action.ERASE, asked, record=record.alias)
        return await self._changes.write(
            lambda tx: _erase(tx, caller, id_, if_match), _locks(party, id_)
        )

    async def file_consent(
        self, principal: Principal, id_: str, filed: FiledConsent
    ) -> EventRef:
        """File a consent or its withdrawal; a withdrawal counts until the turn.

        Raises:
            ContentRefused: Its recipient, a class or a purpose is unknown.
            RecordNotFound: Absent, foreign or pending.
        """
        await self._writing.require_known(principal.party, consents=[filed])
        return await self._file(principal, id_, applying.file_consent, filed)

    async def file_objection(
        self, principal: Principal, id_: str, filed: FiledObjection
    ) -> EventRef:
        """File an objection or its withdrawal; it counts until the turn.

        Raises:
            ContentRefused: Its recipient is unknown.
            RecordNotFound: Absent, foreign or pending.
        """
        await self._writing.require_known(principal.party, objections=[filed])
        return await self._file(principal, id_, applying.file_objection, filed)

    # --- private -------------------------------------------------------------------

    async def _file(
        self,
        principal: Principal,
        id_: str,
        filing: Callable[[Tx, Caller, str, str, F], EventRef],
        filed: F,
    ) -> EventRef:
        caller = await self._access.filer(principal)

        def file(tx: Tx) -> EventRef:
            record = custody.find_record(tx.connection, caller.party, id_)
            if record is None:
                raise RecordNotFound
            return filing(tx, caller, id_, record.alias, filed)

        return await self._changes.write(file, _locks(caller.party, id_))

    async def _put(
        self,
        caller: Caller,
        new: RecordContent,
        *,
        must_be_new: bool = False,
        once: Once | None = None,
    ) -> Written:
        async def prepare() -> Prepared:
            return await self._writing.prepare_put(caller, new, must_be_new=must_be_new)

        # One writer per external id in this process: the others would only retry.
        name = f"{caller.party}//{new.external_id}"
        if new.external_id is None:
            name = f"{caller.party}//{id(new)}"
        return await self._attempt(caller, Action.CREATE, prepare, name, once)

    async def _change(
        self,
        caller: Caller,
        action: Action,
        id_: str,
        change: RecordContent,
        if_match: int | None = None,
        once: Once | None = None,
    ) -> Written:
        async def prepare() -> Prepared:
            return await self._writing.prepare_change(caller, id_, change, if_match)

        name = f"{caller.party}/{id_}"
        return await self._attempt(caller, action, prepare, name, once)

    async def _attempt(
        self,
        caller: Caller,
        action: Action,
        prepare: Callable[[], Awaitable[Prepared]],
        name: str,
        once: Once | None,
    ) -> Written:
        """Write; what a refusal tells of another record is in the log before."""
        try:
            return await self._write(prepare, name, once)
        except VaultError as error:
            await conflicts.trace(self._access, caller, action, error)
            raise

    async def _write(
        self,
        prepare: Callable[[], Awaitable[Prepared]],
        name: str,
        once: Once | None,
    ) -> Written:
        """Prepare and write, again while others come in between."""
        async with self._busy.setdefault(name, asyncio.Lock()):
            before = await self._recall(once)
            if before is not None:
                return before
            for _attempt in range(MAX_ATTEMPTS):
                prepared = await prepare()
                fn = prepared.fn if once is None else once.around(prepared.fn)
                try:
                    return await self._changes.write(fn, prepared.locks)
                except custody.FolioMoved:
                    continue
                except custody.ValueTaken as taken:
                    # Created meanwhile under this external id: it is changed then.
                    if taken.field != custody.EXTERNAL_ID:
                        raise
        raise custody.FolioMoved("the record moved at each attempt")

    async def _recall(self, once: Once | None) -> Written | None:
        """Return the answer given before, without preparing anything."""
        if once is None:
            return None
        return await self._changes.write(once.recall)

    async def _one(self, caller: Caller, item: BatchItem) -> BatchResult:
        try:
            written = await self._put(caller, item.content, once=item.once)
            return BatchResult(item.ref, written)
        except (VaultError, Refusal, DatabaseError) as error:
            return BatchResult(item.ref, error=error)

    async def _all_or_none(
        self, caller: Caller, items: Sequence[BatchItem]
    ) -> list[BatchResult]:
        before = [await self._recall(item.once) for item in items]
        known = [one for one in before if one is not None]
        if len(known) == len(items):
            return [
                BatchResult(item.ref, one)
                for item, one in zip(items, known, strict=True)
            ]
        for _attempt in range(MAX_ATTEMPTS):
            errors: dict[int, Exception] = {}
            prepared: list[Prepared] = []
            for position, item in enumerate(items):
                try:
                    one = await self._writing.prepare_put(caller, item.content)
                    fn = one.fn if item.once is None else item.once.around(one.fn)
                    prepared.append(Prepared(fn, one.locks))
                except (VaultError, Refusal) as error:
                    errors[position] = error
            if errors:
                return await self._rolled_back(caller, items, errors)
            try:
                written = await self._write_all(prepared)
            except custody.FolioMoved:
                continue
            except _ItemRefused as refused:
                errors = {refused.position: refused.error}
                return await self._rolled_back(caller, items, errors)
            return [
                BatchResult(item.ref, one)
                for item, one in zip(items, written, strict=True)
            ]
        raise custody.FolioMoved("a record moved at each attempt")

    async def _write_all(self, prepared: Sequence[Prepared]) -> list[Written]:
        def write(tx: Tx) -> list[Written]:
            written = []
            for position, one in enumerate(prepared):
                try:
                    written.append(one.fn(tx))
                except custody.FolioMoved:
                    raise
                except (VaultError, Refusal) as error:
                    raise _ItemRefused(position, error) from error
            return written

        locks = [lock for one in prepared for lock in one.locks]
        return await self._changes.write(write, locks)

    async def _rolled_back(
        self, caller: Caller, items: Sequence[BatchItem], errors: dict[int, Exception]
    ) -> list[BatchResult]:
        for error in errors.values():
            await conflicts.trace(self._access, caller, Action.CREATE, error)
        return [
            BatchResult(item.ref, error=errors.get(position) or RolledBack())
            for position, item in enumerate(items)
        ]


class _ItemRefused(Exception):  # noqa: N818 - carries the item's own error
    """One item of an all-or-none batch was refused inside the transaction."""

    def __init__(self, position: int, error: VaultError | Refusal) -> None:
        super().__init__(position)
        self.position = position
        self.error = error


def _erase(tx: Tx, caller: Caller, id_: str, if_match: int | None) -> Erased:
    party = caller.party
    record = custody.find_record(tx.connection, party, id_)
    if record is None:
        raise RecordNotFound
    if custody.is_handed_over(tx.connection, party, id_):
        # It turned since the decision: what remains is restricted, and kept.
        raise custody.HandedOver
    custody.bump_etag(tx, record, if_match)
    held = custody.held_folios(tx.connection, party, id_)
    classes = sorted({folio.place.class_ for folio in held})
    applying.drop(tx, caller, record, DropReason.ERASED)
    versions = custody.delete_custody(tx, party, id_)
    custody.delete_values(tx, party, id_)
    custody.delete_rights(tx, party, id_)
    custody.delete_record(tx, record)
    bump_epoch(tx, party)
    event = vault_events.RecordErased.model_validate(
        {**caller.acted(), "record": record.alias, "classes": classes}
    )
    ref = outbox.append(tx, event.draft(party))
    return Erased(id_, classes, versions, milliseconds(tx.now), ref)


def _locks(party: str, record: str) -> list[Lock]:
    return [
        Lock(LockKind.PARTY, party, exclusive=False),
        Lock(LockKind.RECORD, f"{party}/{record}"),
    ]
