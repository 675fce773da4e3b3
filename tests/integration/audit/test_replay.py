# SPDX-License-Identifier: Apache-2.0
"""Promise: a database older than the published log, or empty, goes on with that log."""

from __future__ import annotations

import pytest

from services.audit.errors import LogBehindTiles, LogDamaged
from services.audit.log import store
from services.audit.log.replay import Replay
from services.audit.schema import LOG
from services.chassis.database import Database
from services.chassis.lanes import Source
from tests.integration.audit.checking import AUDIT_KEY, INSTALLATION, SIGNER
from tests.integration.audit.house import CLOCK, House

EVENTS = 300  # more than one bundle


async def _emptied(house: House) -> None:
    """End audit without a word, and leave it an empty database."""
    await house.stop()
    house.log.journal.database.close()
    engines = house.store.connect()
    LOG.drop_all(engines.writer)
    LOG.create_all(engines.writer)
    engines.dispose()


def _replayed(house: House) -> int:
    source = Source(INSTALLATION, "audit", AUDIT_KEY)
    database = Database(house.store.connect(), clock=CLOCK)
    try:
        work = Replay(house.files, SIGNER.verifier, source)
        return database.submit(work.run).result()
    finally:
        database.close()


async def _lived(house: House) -> None:
    """Publish some events, restart audit on the way, and publish some more."""
    await house.start()
    await house.vault.write(EVENTS)
    await house.until_integrated()
    await house.restart_audit()
    await house.start()
    await house.vault.write(20)
    await house.until_integrated()


async def test_an_empty_database_goes_on_with_the_published_log(house: House) -> None:
    await _lived(house)
    before = await house.check_log()
    await _emptied(house)
    house.log = house.open_log()
    with pytest.raises(LogBehindTiles, match=r"services\.audit replay"):
        await house.log.start()
    house.log.journal.database.close()

    assert _replayed(house) == len(before)
    assert _replayed(house) == 0
    house.log = house.open_log()
    await house.start()
    house.task(house.follower().run())
    await house.vault.write(20)
    await house.until_integrated()
    # The sources' heads are in no published file: they come with the next answers.
    await house.until(lambda: all(row.head for row in _positions(house)))
    after = await house.check_log()
    assert after[: len(before)] == before
    assert house.alerts() == []
    assert house.vault.alarms == []


def _positions(house: House) -> list[store.PositionRow]:
    return house.log.journal.database.read_now(store.positions)


async def test_entries_that_do_not_give_the_signed_root_change_nothing(
    house: House,
) -> None:
    await _lived(house)
    await _emptied(house)
    path = next(p for p in house.files.folder.rglob("tile/entries/000"))
    raw = path.read_bytes()
    at = raw.index(b'"purpose":"contract"')
    path.write_bytes(raw[:at] + b'"purpose":"contrbct"' + raw[at + 20 :])
    with pytest.raises(LogDamaged):
        _replayed(house)
    path.write_bytes(raw)
    assert _replayed(house) > EVENTS
