# SPDX-License-Identifier: Apache-2.0
"""Promise: a backup taken while others write is whole, encrypted and never overwritten."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from services.chassis.backup import BackupRefused, Kept, back_up
from services.chassis.engines import EngineRefused, Engines, sqlite_engines

KEY = bytes(range(32))
NAME = b"Jane Roe"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "note.txt").write_text("not secret")
    return folder


@pytest.fixture
def engines(state: Path) -> Iterator[Engines]:
    made = sqlite_engines(state / "shop" / "shop.db", KEY)
    with made.writer.connect() as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE pair (id INTEGER, half TEXT)")
        connection.exec_driver_sql("CREATE TABLE name (value BLOB)")
        connection.exec_driver_sql("INSERT INTO name VALUES (?)", (NAME,))
    yield made
    made.dispose()


def kept(state: Path, folder: Path) -> list[str]:
    databases = [Kept("shop/shop.db", KEY)]
    return back_up("shop", state, folder, databases=databases, files=["shop/*.txt"])


def test_a_copy_holds_whole_transactions_while_others_write(
    state: Path, engines: Engines, tmp_path: Path
) -> None:
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        with engines.writer.connect() as connection:
            while not stop.is_set():
                number += 1
                with connection.begin():
                    _pair(connection, number)
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(10)
        assert kept(state, tmp_path / "copy") == ["shop/shop.db", "shop/note.txt"]
    finally:
        stop.set()
        writer.join()
    copy = sqlite_engines(tmp_path / "copy" / "shop" / "shop.db", KEY)
    with copy.reader.connect() as connection:
        halves = "SELECT half, count(*) FROM pair GROUP BY half"
        found = dict(connection.exec_driver_sql(halves).fetchall())
    copy.dispose()
    assert found["left"] == found["right"] > 0


def _pair(connection: Connection, number: int) -> None:
    for half in ("left", "right"):
        connection.exec_driver_sql("INSERT INTO pair VALUES (?, ?)", (number, half))


def test_a_copy_is_encrypted_under_the_same_key_and_for_its_owner_alone(
    state: Path, engines: Engines, tmp_path: Path
) -> None:
    kept(state, tmp_path / "copy")
    path = tmp_path / "copy" / "shop" / "shop.db"
    assert NAME not in path.read_bytes()
    assert not path.read_bytes().startswith(b"SQLite")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(EngineRefused):
        sqlite_engines(path, bytes(32))


def test_a_backup_is_never_overwritten_and_never_lies_in_the_state(
    state: Path, engines: Engines, tmp_path: Path
) -> None:
    kept(state, tmp_path / "copy")
    before = (tmp_path / "copy" / "shop" / "shop.db").read_bytes()
    with pytest.raises(BackupRefused, match="already holds a backup of shop"):
        kept(state, tmp_path / "copy")
    assert (tmp_path / "copy" / "shop" / "shop.db").read_bytes() == before
    with pytest.raises(BackupRefused, match="never lies in the state directory"):
        kept(state, state / "copy")


def test_a_damaged_database_gives_no_backup(
    state: Path, engines: Engines, tmp_path: Path
) -> None:
    path = state / "shop" / "shop.db"
    with engines.writer.connect() as connection, connection.begin():
        for number in range(200):
            _pair(connection, number)
    engines.dispose()
    raw = bytearray(path.read_bytes())
    raw[-2000] ^= 1  # one bit of the last page
    path.write_bytes(raw)
    with pytest.raises(EngineRefused, match=r"shop\.db"):
        kept(state, tmp_path / "copy")
    assert not (tmp_path / "copy" / "SHA256SUMS.shop").exists()
