# SPDX-License-Identifier: Apache-2.0
"""Promise: a key is durable and in the log before its first use, and made once."""

import asyncio

import pytest

from services.chassis.database import Tx
from services.vault.errors import SealBroken
from services.vault.keys import store
from services.vault.keys.errors import KeyGone, KeyUnknown
from services.vault.keys.keyring import Keyring
from services.vault.keys.operations import ClassKeys
from services.vault.keys.sealing import open_sealed, seal
from tests.integration.vault.house import House, Vault

CONTEXT = b"somewhere"
NONCE = bytes(24)


def another_process(vault: Vault) -> Keyring:
    """A keyring over the same databases that shares nothing in memory."""
    known = vault.rooms.keyring
    return Keyring(
        vault.rooms.keys, vault.rooms.changes, known._provider, known._random_bytes
    )


async def test_first_use_creates_both_keys_and_their_events(house: House) -> None:
    async with house.running() as vault:
        keyring = vault.rooms.keyring
        assert not (await keyring.of("alpha")).has("basic")
        with pytest.raises(KeyUnknown):
            (await keyring.of("alpha")).primary("basic")
        keys = await keyring.of("alpha", creating=["basic", "identity"])
        assert keys.primary("basic").version == 1
        assert keys.primary("basic").key != keys.index("basic")
        assert keys.primary("basic").key != keys.primary("identity").key
        events = await vault.events("key.created")
        named = [(e.data["class"], e.data["use"], e.data["version"]) for e in events]
        assert sorted(named) == [
            ("basic", "class", 1),
            ("basic", "index", 1),
            ("identity", "class", 1),
            ("identity", "index", 1),
        ]


async def test_fifty_first_uses_at_once_make_one_key(house: House) -> None:
    async with house.running() as vault:
        rings = [vault.rooms.keyring, another_process(vault), another_process(vault)]
        found = await asyncio.gather(
            *(rings[n % 3].of("alpha", creating=["basic"]) for n in range(50))
        )
        first = found[0].primary("basic")
        assert all(keys.primary("basic").key == first.key for keys in found)
        rows = await vault.rooms.keys.read(lambda c: store.keys_of(c, "alpha"))
        assert len(rows) == 2


async def test_a_crash_before_the_event_is_finished_by_the_next_use(
    house: House,
) -> None:
    async with house.running() as vault:
        keyring = vault.rooms.keyring
        row = keyring._new("alpha", "basic", "class", 1)
        await vault.rooms.keys.write(lambda tx: store.insert_keys(tx, "alpha", [row]))
        # Durable, in no event: not usable yet.
        assert not (await keyring.of("alpha")).has("basic")
        keys = await keyring.of("alpha", creating=["basic"])
        assert keys.primary("basic").key == keyring._open("alpha", row)
        assert len(await vault.events("key.created")) == 2


async def test_what_another_process_changes_is_seen_at_the_next_use(
    house: House,
) -> None:
    async with house.running() as vault:
        other = another_process(vault)
        before = await vault.rooms.keyring.of("alpha", creating=["basic"])
        sealed = seal(before.primary("basic").key, b"secret", CONTEXT, NONCE)
        assert await other.rotate("alpha", "basic") == 2
        after = vault.rooms.keyring.of_now("alpha")
        assert after.primary("basic").version == 2
        assert after.primary("basic").key != before.primary("basic").key
        assert open_sealed(after.version("basic", 1), sealed, CONTEXT) == b"secret"
        # The index key did not rotate: what is indexed is found.
        assert after.index("basic") == before.index("basic")


async def test_a_destroyed_version_opens_nothing_in_any_process(house: House) -> None:
    async with house.running() as vault:
        rooms = vault.rooms
        class_keys = ClassKeys(rooms.keyring, rooms.keys, rooms.changes)
        other = another_process(vault)
        await rooms.keyring.of("alpha", creating=["basic"])
        with pytest.raises(KeyUnknown):
            await class_keys.destroy("alpha", "basic", 1)  # still the primary one
        await class_keys.rotate("alpha", "basic")
        await other.of("alpha")
        await class_keys.destroy("alpha", "basic", 1)
        for keys in (await rooms.keyring.of("alpha"), await other.of("alpha")):
            with pytest.raises(KeyGone):
                keys.version("basic", 1)
            assert keys.primary("basic").version == 2
        rows = await rooms.keys.read(lambda c: store.keys_of(c, "alpha"))
        gone = next(r for r in rows if (r.use, r.version) == ("class", 1))
        assert (gone.state, gone.wrapped) == (store.DESTROYED, b"")
        assert len(await vault.events("key.destroyed")) == 1
        with pytest.raises(KeyUnknown):
            await class_keys.destroy("alpha", "basic", 9)


async def test_a_key_moved_to_another_party_or_class_does_not_open(
    house: House,
) -> None:
    async with house.running() as vault:
        keyring = vault.rooms.keyring
        await keyring.of("alpha", creating=["basic"])
        rows = await vault.rooms.keys.read(lambda c: store.keys_of(c, "alpha"))

        def steal(tx: Tx) -> None:
            store.insert_keys(tx, "beta", rows)

        await vault.rooms.keys.write(steal)
        with pytest.raises(SealBroken):
            await another_process(vault).of("beta")


async def test_keys_show_themselves_nowhere(house: House) -> None:
    async with house.running() as vault:
        keys = await vault.rooms.keyring.of("alpha", creating=["basic"])
        secret = keys.primary("basic").key.secret
        rows = await vault.rooms.keys.read(lambda c: store.keys_of(c, "alpha"))
        shown = f"{keys!r} {keys.primary('basic')!r} {vault.rooms!r} {rows!r}"
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
        assert repr(rows[0].wrapped)[2:-1] not in shown
