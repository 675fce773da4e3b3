# SPDX-License-Identifier: Apache-2.0
"""The keyring: a party's class and index keys, unwrapped once and kept in memory.

A key is durable in its own database before its `key.created` event, and the event
before the key's first use. A generation number, compared at each `of`, drops what
another process changed. Keys leave this module only as `Key`, which shows nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.engine import Connection

from contracts.events.vault import KeyCreated
from services.chassis import outbox
from services.chassis.database import Database, Tx
from services.chassis.journal import Journal
from services.vault.keys import store
from services.vault.keys.errors import KeyGone, KeysNotReady, KeyUnknown
from services.vault.keys.providers import KeyProvider, require_root
from services.vault.keys.sealing import KEY_BYTES, Key, KeyUse, class_key_context
from services.vault.keys.store import KeyRow

USES: Final[tuple[KeyUse, ...]] = ("class", "index")


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """A key and the number of its version, which wraps and contexts carry."""

    version: int
    key: Key


@dataclass(frozen=True, slots=True)
class PartyKeys:
    """A party's keys at one generation; take it anew for each operation.

    Attributes:
        party: Whose keys.
        generation: The generation at which they were read.
    """

    party: str
    generation: int
    _keys: Mapping[tuple[str, KeyUse, int], Key | None] = field(repr=False)
    _primary: Mapping[tuple[str, KeyUse], int] = field(repr=False)

    def has(self, class_: str) -> bool:
        """Whether the class has its keys."""
        return all((class_, use) in self._primary for use in USES)

    def primary(self, class_: str) -> KeyVersion:
        """Return the class key that seals now.

        Raises:
            KeyUnknown: The class has no key yet; ask `Keyring.of` to create it.
        """
        version = self._primary.get((class_, "class"))
        if version is None:
            raise KeyUnknown
        return KeyVersion(version, self.version(class_, version))

    def version(self, class_: str, version: int) -> Key:
        """Return the class key of that version, to open what it sealed.

        Raises:
            KeyGone: It was destroyed.
            KeyUnknown: There is no such version.
        """
        return self._find(class_, "class", version)

    def index(self, class_: str) -> Key:
        """Return the index key of the class.

        Raises:
            KeyUnknown: The class has no key yet; ask `Keyring.of` to create it.
        """
        version = self._primary.get((class_, "index"))
        if version is None:
            raise KeyUnknown
        return self._find(class_, "index", version)

    def _find(self, class_: str, use: KeyUse, version: int) -> Key:
        try:
            key = self._keys[(class_, use, version)]
        except KeyError:
            raise KeyUnknown from None
        if key is None:
            raise KeyGone
        return key


class Keyring:
    """Every party's keys. Safe to use from the event loop and from writer threads."""

    def __init__(
        self,
        database: Database,
        changes: Journal,
        provider: KeyProvider,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._changes = changes
        self._provider = provider
        self._random_bytes = random_bytes
        self._cache: dict[str, PartyKeys] = {}
        self._creating = asyncio.Lock()
        self._watch: store.GenerationWatch | None = None
        if database.engines.embedded:
            self._watch = store.GenerationWatch(database.engines)

    def check_root(self) -> None:
        """Refuse a root key that did not wrap this key database.

        Raises:
            RootKeyWrong: Another root key wrapped it.
            KeysNotReady: The key database was never initialised.
        """
        found = self._database.read_now(store.read_generation)
        if found is None:
            raise KeysNotReady(
                "The key database is empty. Run `python -m services.vault init`, or "
                "restore it beside the records it belongs to."
            )
        require_root(self._provider, found.root)

    async def of(self, party: str, *, creating: Iterable[str] = ()) -> PartyKeys:
        """Return the party's keys as they are now.

        Args:
            party: Whose keys.
            creating: Classes that get their keys now if they have none: durable,
                and named in the log, when this returns.

        Raises:
            SealBroken: A stored key was altered or moved.
            DatabaseError: The key database or the journal does not answer.
        """
        keys = self._remembered(party)
        if keys is None:
            keys = await self._database.read(lambda c: self._current(c, party))
        for class_ in creating:
            if not keys.has(class_):
                keys = await self._begin(party, class_)
        return keys

    def of_now(self, party: str) -> PartyKeys:
        """As `of`, on the calling thread and without creating any."""
        keys = self._remembered(party)
        if keys is not None:
            return keys
        return self._database.read_now(lambda c: self._current(c, party))

    async def rotate(self, party: str, class_: str) -> int:
        """Make a new version of a class key the primary one; return its number.

        What older versions sealed stays readable until it is re-wrapped.
        """
        keys = await self.of(party, creating=[class_])
        version = keys.primary(class_).version + 1
        async with self._creating:
            await self._create(party, class_, {"class": version})
        return version

    def forget(self) -> None:
        """Drop all keys from memory."""
        self._cache.clear()

    def close(self) -> None:
        """Drop all keys and give back the connection; before the database closes."""
        self.forget()
        if self._watch is not None:
            self._watch.close()

    def _remembered(self, party: str) -> PartyKeys | None:
        """The party's keys in memory, if no key of anybody changed since."""
        known = self._cache.get(party)
        if self._watch is None or known is None:
            return None
        return known if known.generation == self._watch.number() else None

    def _current(self, connection: Connection, party: str) -> PartyKeys:
        found = store.read_generation(connection)
        number = 0 if found is None else found.number
        known = self._cache.get(party)
        if known is not None and known.generation == number:
            return known
        if known is not None:
            self._cache.clear()  # what changed may be any party's
        rows = store.keys_of(connection, party)
        keys = PartyKeys(
            party,
            number,
            {
                (row.class_, row.use, row.version): self._open(party, row)
                for row in rows
            },
            {(r.class_, r.use): r.version for r in rows if r.state == store.PRIMARY},
        )
        self._cache[party] = keys
        return keys

    def _open(self, party: str, row: KeyRow) -> Key | None:
        if row.state == store.DESTROYED:
            return None
        context = class_key_context(party, row.class_, row.version, row.use)
        return self._provider.unwrap(row.wrapped, context)

    async def _begin(self, party: str, class_: str) -> PartyKeys:
        async with self._creating:
            # Of many first uses at once, one creates and the others find its keys.
            keys = await self._database.read(lambda c: self._current(c, party))
            if not keys.has(class_):
                await self._create(party, class_, dict.fromkeys(USES, 1))
        return await self._database.read(lambda c: self._current(c, party))

    async def _create(
        self, party: str, class_: str, versions: Mapping[KeyUse, int]
    ) -> None:
        """Create what is missing of `versions`: key, then event, then first use."""
        rows = [self._new(party, class_, use, n) for use, n in versions.items()]
        for row in rows:
            try:
                await self._database.write(self._insert(party, row))
            except store.KeyExists:
                # Another process was first, or died before its event: both are
                # finished below, the event at worst written twice.
                continue
        waiting = await self._database.read(
            lambda c: [
                row
                for row in store.keys_of(c, party)
                if row.class_ == class_ and row.state == store.CREATED
            ]
        )
        if not waiting:
            return
        await self._changes.write(lambda tx: _announce(tx, party, waiting))
        # A crash here leaves created keys; the next `_create` announces and uses them.
        await self._database.write(lambda tx: _promote(tx, party, waiting))

    def _new(self, party: str, class_: str, use: KeyUse, version: int) -> KeyRow:
        context = class_key_context(party, class_, version, use)
        wrapped = self._provider.wrap(Key(self._random_bytes(KEY_BYTES)), context)
        return KeyRow(class_, use, version, wrapped, store.CREATED)

    @staticmethod
    def _insert(party: str, row: KeyRow) -> Callable[[Tx], None]:
        return lambda tx: store.insert_keys(tx, party, [row])


def _announce(tx: Tx, party: str, rows: Iterable[KeyRow]) -> None:
    for row in rows:
        event = KeyCreated.model_validate(
            {"class": row.class_, "use": row.use, "version": row.version}
        )
        outbox.append(tx, event.draft(party))


def _promote(tx: Tx, party: str, rows: Iterable[KeyRow]) -> None:
    for row in rows:
        store.promote(tx, party, row.class_, row.use, row.version)
