# SPDX-License-Identifier: Apache-2.0
"""Reading a record and its history; `searches` finds records.

The order never changes: purpose, decision, durable event, epoch once more, and only
then is anything opened. Source: vault.md, Reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.problems import Fault
from services.chassis.auth import Principal
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault import custody
from services.vault.access import (
    Access,
    Action,
    Caller,
    View,
)
from services.vault.catalogue import IDENTITY, Catalogue, Catalogues, listed
from services.vault.custody import HistoryRow, StoredRecord
from services.vault.errors import SealBroken
from services.vault.keys.keyring import Keyring, KeyVersion, PartyKeys
from services.vault.records import gathering, pseudonymous, reading
from services.vault.records.errors import ClassUnknown, RecordNotFound
from services.vault.records.judging import Judgements
from services.vault.records.naming import ReadEvents
from services.vault.records.reading import Refused, Shown, open_held

HISTORY: Final = "history"


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A record as it may be shown, and the event that says so."""

    id: str
    etag: int
    event: EventRef
    view: View
    content: Mapping[str, Any] = field(repr=False)


class Reads:
    """The records room, its reading half."""

    def __init__(
        self, changes: Journal, keyring: Keyring, catalogues: Catalogues, access: Access
    ) -> None:
        self._changes = changes
        self._keyring = keyring
        self._catalogues = catalogues
        self._access = access
        self._judgements = Judgements(access)
        self._events = ReadEvents(access)

    async def read(
        self,
        principal: Principal,
        purpose: str | None,
        id_: str,
        *,
        classes: Sequence[str] | None = None,
        view: View = View.FULL,
    ) -> Disclosed:
        """Return a record, or those classes of it, after its event is durable.

        Raises:
            PurposeMissing, PurposeUnknown, PurposeNotGiven: Why it is asked for.
            RecordNotFound: Absent, foreign or pending: one and the same.
            AccessRefused: Policy or the terms of custody deny it; logged.
            ClassUnknown: A class that the party's catalogue does not have.
            AuditUnavailable: The event is not durable: nothing was opened.
            SealBroken, KeyGone: A row was altered or moved; its key was destroyed.
        """
        action = Action.PSEUDONYM if view is View.PSEUDONYM else Action.READ
        caller = await self._access.caller(principal, purpose, action, id_)
        catalogue = await self._catalogues.of(caller.party)
        _require_known(catalogue, classes)

        shown, event = await self._access.traced(
            caller,
            lambda: self._judged(caller, id_, classes, catalogue, action),
            lambda s: [self._events.draft(caller, s, view.value)],
        )
        try:
            return await self._open(caller, shown, event, view, catalogue)
        except SealBroken as broken:
            await self._access.alarm(caller, Action.READ, broken)
            raise

    async def history(
        self, principal: Principal, purpose: str | None, id_: str
    ) -> tuple[list[HistoryRow], EventRef]:
        """Return the versions of a record; when they were made, nothing of theirs.

        Raises:
            As `read`.
        """
        caller = await self._access.caller(principal, purpose, Action.HISTORY, id_)
        catalogue = await self._catalogues.of(caller.party)
        shown, event = await self._access.traced(
            caller,
            lambda: self._judged(caller, id_, None, catalogue, Action.HISTORY),
            lambda s: [self._events.draft(caller, s, HISTORY)],
        )
        rows = await self._changes.read(lambda c: custody.history(c, caller.party, id_))
        return [row for row in rows if row.class_ in shown.classes], event

    # --- private -------------------------------------------------------------------

    async def _judged(
        self,
        caller: Caller,
        id_: str,
        classes: Sequence[str] | None,
        catalogue: Catalogue,
        action: Action,
    ) -> Shown:
        held = await self._changes.read(
            lambda c: gathering.held(c, caller.party, id_, classes)
        )
        if held is None:
            raise RecordNotFound
        found = self._judgements.judge(caller, action, held, classes, catalogue)
        if isinstance(found, Refused):
            await self._access.refuse(
                caller,
                action,
                found.outcome,
                record=held.record.alias,
                classes=found.classes,
            )
        return found

    async def _open(
        self,
        caller: Caller,
        shown: Shown,
        event: EventRef,
        view: View,
        catalogue: Catalogue,
    ) -> Disclosed:
        keys = await self._keyring.of(caller.party)
        opened = [(folio, open_held(keys, folio)) for folio in shown.folios]
        record = shown.held.record
        if view is View.PSEUDONYM:
            keys = await self._keyring.of(caller.party, creating=[IDENTITY])
            content = pseudonymous.build(shown, opened, catalogue, keys, caller.why())
            return Disclosed(record.id, record.etag, event, view, content)
        tags = sorted({tag for folio in shown.folios for tag in folio.tags})
        content = {
            "id": record.id,
            **_identity(keys, record, view),
            "etag": str(record.etag),
            "view": view.value,
            "tags": tags,
            **reading.build(shown, opened, view, catalogue),
        }
        if shown.withheld:
            content["withheld"] = sorted(shown.withheld)
        return Disclosed(record.id, record.etag, event, view, content)


def _require_known(catalogue: Catalogue, classes: Sequence[str] | None) -> None:
    if any(class_ not in catalogue.classes for class_ in classes or ()):
        known = listed(catalogue.classes)
        text = f"names a class that is not in the catalogue; it has {known}"
        raise ClassUnknown(Fault("/classes", "unknown_class", text, "query"))


def _identity(keys: PartyKeys, record: StoredRecord, view: View) -> dict[str, Any]:
    """Return the numbers of a record, the party's own and the one it arrived with."""
    numbers: dict[str, Any] = {"external_id": None}
    columns = {
        "external_id": record.external_id_sealed,
        "origin_external_id": record.origin_external_id_sealed,
    }
    version = record.identity_key_version
    for column, sealed in columns.items():
        if sealed is None:
            continue
        key = KeyVersion(version, keys.version(IDENTITY, version))
        number = custody.open_identity(
            record.party, record.id, sealed, key=key, column=column
        )
        numbers[column] = number if view is View.FULL else "***"
    return numbers
