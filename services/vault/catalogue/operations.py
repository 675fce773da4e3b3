# SPDX-License-Identifier: Apache-2.0
"""Catalogues of parties: adding classes and fields, and the value others check by."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from contracts.events.vault import ClassCatalogued, FieldCatalogued
from services.chassis import outbox
from services.chassis.auth import Principal
from services.chassis.clock import Clock
from services.chassis.database import Lock, LockKind, Tx
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault.catalogue import store
from services.vault.catalogue.catalogue import (
    IDENTITY,
    Catalogue,
    DataClass,
    Field,
    Form,
)
from services.vault.catalogue.errors import CatalogueConflict, CatalogueRefused
from services.vault.catalogue.kinds import SEARCHABLE
from services.vault.parties import actor_alias, bump_epoch, party_of

MAX_CLASSES: Final = 64
MAX_FIELDS: Final = 1_000
#: Names that stand beside a class's fields in an entry or a look-up.
RESERVED: Final = frozenset({"entry_id", "at", "external_id"})
_Put: TypeAlias = Callable[[Tx], EventRef | None]
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Catalogues:
    """The catalogue room."""

    def __init__(
        self, changes: Journal, *, clock: Clock, memory_seconds: float
    ) -> None:
        self._changes = changes
        self._clock = clock
        self._memory_seconds = memory_seconds
        self._known: dict[str, tuple[float, Catalogue]] = {}

    async def of(self, party: str) -> Catalogue:
        """Return a party's catalogue.

        A change made in this process is seen at once, one made in another after
        `memory_seconds` at the latest.

        Raises:
            PartyUnknown: There is no such party.
        """
        now = self._clock.monotonic()
        until, known = self._known.get(party, (0.0, None))
        if known is not None and now < until:
            return known
        found = await self._changes.read(
            lambda c: store.catalogue_of(c, party_of(c, party))
        )
        self._known[party] = (now + self._memory_seconds, found)
        return found

    async def put_class(self, principal: Principal, new: DataClass) -> EventRef | None:
        """Add a class to the caller's catalogue; the same again returns None.

        Raises:
            CatalogueRefused: The name is reserved, or there are too many classes.
            CatalogueConflict: The class exists with the other form.
        """
        if _NAME.fullmatch(new.name) is None or new.name == IDENTITY:
            raise CatalogueRefused("/name", "reserved", "is no name for a class")

        def put(tx: Tx) -> EventRef | None:
            known = self._read(tx, principal).classes
            if new.name in known:
                if known[new.name] != new:
                    raise CatalogueConflict
                return None
            if len(known) >= MAX_CLASSES:
                raise CatalogueRefused("/name", "too_many", "would be one too many")
            store.insert_class(tx, principal.party, new)
            alias = actor_alias(tx, principal.kind, principal.id)
            event = ClassCatalogued.model_validate(
                {"actor": alias, "class": new.name, "form": new.form.value}
            )
            return outbox.append(tx, event.draft(principal.party))

        return await self._write(principal, put)

    async def put_field(self, principal: Principal, new: Field) -> EventRef | None:
        """Add a field, or change its grade and mask; the same again returns None.

        Raises:
            CatalogueRefused: A member is not valid for a field of its class.
            CatalogueConflict: The field exists with another class, kind or index.
        """

        def put(tx: Tx) -> EventRef | None:
            catalogue = self._read(tx, principal)
            known = catalogue.fields.get(new.name)
            if known == new:
                return None
            if known is None:
                _check(new, catalogue)
                store.insert_field(tx, principal.party, new)
            elif replace(known, grade=new.grade, mask=new.mask) == new:
                store.regrade_field(tx, principal.party, new)
            else:
                raise CatalogueConflict
            # Grade and mask decide what a read shows: reads under way decide again.
            bump_epoch(tx, principal.party)
            return outbox.append(
                tx, self._event(tx, principal, new).draft(principal.party)
            )

        return await self._write(principal, put)

    @staticmethod
    def _event(tx: Tx, principal: Principal, new: Field) -> FieldCatalogued:
        return FieldCatalogued.model_validate(
            {
                "actor": actor_alias(tx, principal.kind, principal.id),
                "field": new.name,
                "class": new.class_,
                "grade": new.grade.value,
                "kind": new.kind.value,
                "mask": new.mask,
                "searchable": new.searchable,
                "unique": new.unique,
            }
        )

    @staticmethod
    def _read(tx: Tx, principal: Principal) -> Catalogue:
        party = party_of(tx.connection, principal.party)
        return store.catalogue_of(tx.connection, party)

    async def _write(self, principal: Principal, fn: _Put) -> EventRef | None:
        # Exclusive: two puts of one name must not both find it absent.
        lock = Lock(LockKind.PARTY, principal.party)
        try:
            return await self._changes.write(fn, [lock])
        finally:
            self._known.pop(principal.party, None)


def _check(new: Field, catalogue: Catalogue) -> None:
    if _NAME.fullmatch(new.name) is None or new.name in RESERVED:
        raise CatalogueRefused("/name", "reserved", "is no name for a field")
    class_ = catalogue.classes.get(new.class_)
    if class_ is None:
        raise CatalogueRefused("/class", "unknown_class", "add the class first")
    if len(catalogue.fields) >= MAX_FIELDS:
        raise CatalogueRefused("/name", "too_many", "would be one too many")
    if new.unique and not new.searchable:
        raise CatalogueRefused("/unique", "unique", "needs `searchable`")
    if new.searchable and (
        new.kind not in SEARCHABLE or class_.form is not Form.DOCUMENT
    ):
        raise CatalogueRefused(
            "/searchable",
            "searchable",
            "is for names, contacts, texts and ids in documents",
        )
