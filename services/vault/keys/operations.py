# SPDX-License-Identifier: Apache-2.0
"""Rotating and destroying class keys. Re-wrapping what they sealed is custody's."""

from __future__ import annotations

from contracts.events.vault import KeyDestroyed
from services.chassis import outbox
from services.chassis.database import Database
from services.chassis.journal import Journal
from services.chassis.lanes import EventRef
from services.vault.keys import store
from services.vault.keys.errors import KeyUnknown
from services.vault.keys.keyring import Keyring


class ClassKeys:
    """The life of class keys after their creation."""

    def __init__(self, keyring: Keyring, database: Database, changes: Journal) -> None:
        self._keyring = keyring
        self._database = database
        self._changes = changes

    async def rotate(self, party: str, class_: str) -> int:
        """Make a new version the primary one; return its number."""
        return await self._keyring.rotate(party, class_)

    async def destroy(
        self, party: str, class_: str, version: int, *, actor: str | None = None
    ) -> EventRef:
        """Destroy a retired version: what only it opened is gone.

        The event is durable first: a key may be named destroyed a moment before it
        is, and a repeated call finishes it; never the reverse.

        Raises:
            KeyUnknown: No such version, or it is still the primary one.
        """
        rows = await self._database.read(lambda c: store.keys_of(c, party))
        states = {
            row.version: row.state
            for row in rows
            if row.class_ == class_ and row.use == "class"
        }
        if states.get(version) not in {store.RETIRED, store.DESTROYED}:
            raise KeyUnknown
        event = KeyDestroyed.model_validate(
            {"class": class_, "version": version, "actor": actor}
        )
        ref = await self._changes.write(
            lambda tx: outbox.append(tx, event.draft(party))
        )
        await self._database.write(lambda tx: store.destroy(tx, party, class_, version))
        self._keyring.forget()
        return ref
