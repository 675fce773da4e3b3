# SPDX-License-Identifier: Apache-2.0
"""Finding records: look up, list, resolve aliases. Nothing of theirs is opened.

The order is that of `reads`: purpose, decision, durable event, epoch once more, and
only then the answer. Source: vault.md, Reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.events import vault as vault_events
from contracts.events.payload import EventDraft
from contracts.problems import Fault
from services.chassis.auth import Principal
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault import custody
from services.vault.access import Access, Action, Attributes, Caller, in_pages
from services.vault.catalogue import IDENTITY, Catalogue, Catalogues, listed
from services.vault.errors import FieldUnparsable
from services.vault.keys.blind_index import index_value
from services.vault.keys.keyring import Keyring, PartyKeys
from services.vault.parties import epoch
from services.vault.records import gathering
from services.vault.records.cursor import open_cursor, seal_cursor
from services.vault.records.errors import ClassUnknown
from services.vault.records.gathering import Resolved
from services.vault.records.indexing import external_value
from services.vault.records.reading import Refused

LIST: Final = "records"


@dataclass(frozen=True, slots=True)
class Found:
    """Answers in the order of the questions, with the aliases they disclose.

    `ahead` is the id after which a list continues.
    """

    epoch: int
    answers: Sequence[Any]
    aliases: Sequence[str]
    ahead: str | None = None


class Searches:
    """The records room, its finding half."""

    def __init__(
        self, changes: Journal, keyring: Keyring, catalogues: Catalogues, access: Access
    ) -> None:
        self._changes = changes
        self._keyring = keyring
        self._catalogues = catalogues
        self._access = access

    async def look_up(
        self,
        principal: Principal,
        purpose: str | None,
        identifiers: Sequence[tuple[str, str]],
    ) -> tuple[list[list[str]], EventRef]:
        """Return for each (field, value) the records found; active custody only.

        Raises:
            ClassUnknown: A field that is not in the catalogue or not searchable.
            FieldUnparsable: A value without a normal form, named by its field.
            As `read`.
        """
        caller = await self._access.caller(principal, purpose, Action.LOOKUP)
        catalogue = await self._catalogues.of(caller.party)
        classes = [
            _class_of(catalogue, name, position)
            for position, (name, _value) in enumerate(identifiers)
        ]
        keys = await self._keyring.of(caller.party, creating={*classes, IDENTITY})
        asked = [
            _sought(catalogue, keys, name, value, position)
            for position, (name, value) in enumerate(identifiers)
        ]
        await self._allow(caller, Action.LOOKUP, classes)
        fields = sorted({name for name, _value in identifiers})
        found, event = await self._access.traced(
            caller,
            lambda: self._changes.read(lambda c: _look_up(c, caller.party, asked)),
            lambda f: [
                vault_events.RecordsLookedUp.model_validate(
                    {**self._bulk(caller, page), "fields": fields}
                ).draft(caller.party)
                for page in in_pages(f.aliases)
            ],
        )
        return list(found.answers), event

    async def list_page(
        self, principal: Principal, purpose: str | None, limit: int, cursor: str | None
    ) -> tuple[list[custody.Listed], str | None, EventRef]:
        """Return a page of the party's records, the next cursor, and the event.

        Raises:
            CursorInvalid: The cursor is not one of this list and party.
            As `read`.
        """
        caller = await self._access.caller(principal, purpose, Action.LIST)
        keys = await self._keyring.of(caller.party, creating=[IDENTITY])
        key = keys.index(IDENTITY)
        after = "" if cursor is None else open_cursor(key, caller.party, LIST, cursor)
        await self._allow(caller, Action.LIST, [IDENTITY])

        def gather(connection: Any) -> Found:
            page = custody.list_records(connection, caller.party, after, limit)
            now = epoch(connection, caller.party)
            return Found(now, page.rows, [row.alias for row in page.rows], page.ahead)

        found, event = await self._access.traced(
            caller,
            lambda: self._changes.read(gather),
            lambda f: [
                vault_events.RecordsListed.model_validate(
                    self._bulk(caller, page)
                ).draft(caller.party)
                for page in in_pages(f.aliases)
            ],
        )
        ahead = found.ahead and seal_cursor(key, caller.party, LIST, found.ahead)
        return list(found.answers), ahead, event

    async def resolve(
        self,
        principal: Principal,
        purpose: str | None,
        *,
        records: Sequence[str] = (),
        aliases: Sequence[str] = (),
    ) -> tuple[list[tuple[str | None, str | None]], EventRef]:
        """Return (record, alias) for each record, then for each alias.

        What is absent or another party's has None in the unknown half, and so has what
        policy does not let the caller resolve; each such denial is logged.

        Raises:
            As `read`.
        """
        caller = await self._access.caller(principal, purpose, Action.RESOLVE)
        await self._allow(caller, Action.RESOLVE, [IDENTITY])
        catalogue = await self._catalogues.of(caller.party)

        def gather(connection: Any) -> Resolved:
            return gathering.resolve(
                connection, self._access, caller, catalogue, records, aliases
            )

        found, event = await self._access.traced(
            caller,
            lambda: self._changes.read(gather),
            lambda f: [
                *self._denials(caller, f.refused),
                *(self._resolved(caller, page) for page in in_pages(f.aliases)),
            ],
        )
        return list(found.answers), event

    # --- private -------------------------------------------------------------------

    def _denials(
        self, caller: Caller, refused: Mapping[str, Refused]
    ) -> list[EventDraft]:
        return [
            self._access.denial(caller, Action.RESOLVE, one.outcome, alias)
            for alias, one in sorted(refused.items())
        ]

    async def _allow(
        self, caller: Caller, action: Action, classes: Sequence[str]
    ) -> None:
        asked = [
            Attributes(caller.role, action, class_, caller.why())
            for class_ in sorted(set(classes))
        ]
        await self._access.require(caller, action, asked)

    def _resolved(self, caller: Caller, page: Sequence[str]) -> EventDraft:
        members = self._bulk(caller, page)
        del members["policy"]
        event = vault_events.AliasesResolved.model_validate(members)
        return event.draft(caller.party)

    def _bulk(self, caller: Caller, page: Sequence[str]) -> dict[str, Any]:
        return {
            **caller.acted(),
            "purpose": caller.why().value,
            "records": list(page),
            "policy": self._access.policy_version,
        }


def _class_of(catalogue: Catalogue, name: str, position: int) -> str:
    if name == custody.EXTERNAL_ID:
        return IDENTITY
    known = catalogue.fields.get(name)
    if known is None or not known.searchable:
        place = f"/identifiers/{position}/field"
        found = [one.name for one in catalogue.fields.values() if one.searchable]
        text = f"must be of {listed([*found, custody.EXTERNAL_ID])}"
        raise ClassUnknown(Fault(place, "unknown_field", text))
    return known.class_


def _sought(
    catalogue: Catalogue, keys: PartyKeys, name: str, value: str, position: int
) -> tuple[str, bytes, str | None]:
    """Return field, keyed hash, and the class whose custody must be active."""
    try:
        if name == custody.EXTERNAL_ID:
            return name, external_value(keys, value).value, None
        term = catalogue.term(name, value)
    except FieldUnparsable as error:
        place = f"/identifiers/{position}/value"
        text = f"is no value of the kind {error.kind}"
        error.faults = (Fault(place, "unparsable", text),)
        raise
    assert term is not None  # `_class_of` let searchable fields through only
    hashed = index_value(keys.index(term.class_), name, term.normalised)
    return name, hashed, term.class_


def _look_up(
    connection: Any, party: str, asked: Sequence[tuple[str, bytes, str | None]]
) -> Found:
    answers = [
        custody.find_active(connection, party, name, value, class_)
        for name, value, class_ in asked
    ]
    ids = sorted({record for answer in answers for record in answer})
    aliases = sorted(custody.aliases_of(connection, party, ids).values())
    return Found(epoch(connection, party), answers, aliases)
