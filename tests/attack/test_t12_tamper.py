# SPDX-License-Identifier: Apache-2.0
"""T12: whatever is changed in the log's database or files is found by fsck.

The embedded database is sealed page by page: a byte changed in it is an error, or lies
where no row is. Whoever has its key (on PostgreSQL: write access) meets fsck, which
makes the whole log again from the stored events.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlcipher3 import dbapi2 as sqlcipher

from contracts.events.audit import LogSearched
from contracts.log.checkpoint import Checkpoint
from contracts.log.edge import TileEdge
from contracts.log.merkle import leaf_hash
from contracts.log.note import NoteSigner
from contracts.log.tiles import encode_bundle, entries_path
from services.audit.intake.sources import SourceKeys
from services.audit.log.files import TileFiles
from services.audit.log.fsck import Fsck
from services.audit.log.operations import Batch, Log
from services.audit.log.tables import leaf, position, tree
from services.audit.schema import LOG, OWN_LANES
from services.chassis.clock import random_alias
from services.chassis.database import Database
from services.chassis.engines import sqlite_engines
from services.chassis.journal import Journal
from services.chassis.lanes import Source
from tests.attack.figures import figure
from tests.integration.audit.checking import AUDIT_KEY, INSTALLATION, PUBLIC, SIGNER
from tests.integration.audit.house import CLOCK

pytestmark = pytest.mark.attack("T12")
KEY = b"\x05" * 32
LEAVES = figure(40, 40, 400)
MASKS = (0x01, 0x80)
KEYS = SourceKeys(INSTALLATION, {name: [key] for name, key in PUBLIC.items()})


@dataclass
class Library:
    """A log's database and published files, at rest."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "audit.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def copy(self, to: Path) -> Library:
        shutil.copytree(self.folder, to)
        return Library(to)

    def fsck(self) -> list[str]:
        """Return what differs; an unreadable database is a difference."""
        try:
            engines = sqlite_engines(self.database, KEY)
            database = Database(engines, clock=CLOCK)
            try:
                check = Fsck(
                    database,
                    TileFiles(self.log),
                    SIGNER.verifier,
                    INSTALLATION,
                    KEYS.verify,
                )
                check.run()
            finally:
                database.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no whole log
            return [type(error).__name__]
        return check.found

    def write(self, *statements: Any) -> None:
        engines = sqlite_engines(self.database, KEY)
        with engines.writer.connect() as connection, connection.begin():
            for statement in statements:
                connection.execute(statement)
        engines.dispose()

    def rows(self, table: Any) -> list[dict[str, Any]]:
        engines = sqlite_engines(self.database, KEY)
        with engines.reader.connect() as connection, connection.begin():
            found = connection.execute(select(table).order_by(*table.primary_key))
            rows = [dict(row) for row in found.mappings()]
        engines.dispose()
        return rows


async def _grow(library: Library, log: Log, count: int) -> None:
    for number in range(count):
        draft = LogSearched.model_validate(
            {"client": f"crm-{number}", "filters": ["actor"], "hits": 1}
        ).draft("seller")
        await log.integrate(Batch(drafts=[draft]))


def _database_files(folder: Path) -> list[Path]:
    return list(folder.glob("audit.db*"))


def _made(folder: Path, old: Path | None = None) -> Library:
    folder.mkdir()
    library = Library(folder)
    engines = sqlite_engines(library.database, KEY)
    LOG.create_all(engines.writer)
    journal = Journal(
        engines,
        OWN_LANES,
        Source(INSTALLATION, "audit", AUDIT_KEY),
        "audit-1/log",
        clock=CLOCK,
        new_id=random_alias,
    )

    async def run() -> None:
        log = Log(journal, TileFiles(library.log), SIGNER)
        await log.start()
        await _grow(library, log, LEAVES // 2)
        if old is not None:
            engines.writer.dispose()
            for name in _database_files(folder):
                shutil.copy2(name, old)
        await _grow(library, log, LEAVES // 2)
        await log.close()

    try:
        asyncio.run(run())
    finally:
        journal.database.close()
        engines.dispose()
    return library


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("tamper")
    (folder / "old").mkdir()
    library = _made(folder / "whole", folder / "old")
    assert library.fsck() == []
    assert library.database.stat().st_size >= figure(80_000, 80_000, 400_000)
    return library


@pytest.fixture
def library(whole: Library, tmp_path: Path) -> Library:
    return whole.copy(tmp_path / "copy")


# --- bytes -----------------------------------------------------------------------


def _all_rows(path: Path) -> list[Any]:
    """Return every row of every table, read with the key and without Keyturn."""
    connection = sqlcipher.connect(f"file:{path}?mode=ro", uri=True)
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
        return [
            (table.name, connection.execute(f'SELECT * FROM "{table.name}"').fetchall())
            for table in LOG.sorted_tables
        ]
    finally:
        connection.close()


@contextlib.contextmanager
def _flipped(path: Path, at: int, mask: int, octets: bytes) -> Iterator[None]:
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        file.write(bytes([octets[at] ^ mask]))
        file.flush()
        try:
            yield
        finally:
            file.seek(at)
            file.write(octets[at : at + 1])


def test_t12_every_byte_of_the_database_changed_is_an_error_or_changes_no_row(
    library: Library,
) -> None:
    octets = library.database.read_bytes()
    before = _all_rows(library.database)
    silent, detected, same, tried = [], 0, 0, 0
    masks, step = figure(1, 1, 2), figure(61, 1, 1)
    for at in range(0, len(octets), step):
        for mask in (MASKS if at % 2 else MASKS[::-1])[:masks]:
            tried += 1
            with _flipped(library.database, at, mask, octets):
                try:
                    after = _all_rows(library.database)
                except sqlcipher.Error:
                    detected += 1
                    continue
                same += after == before
                if after != before and not library.fsck():
                    silent.append((at, mask))
    assert not silent, silent[:10]
    assert detected > tried // 2
    assert detected + same == tried >= len(octets) // step


def test_t12_every_byte_of_the_published_files_changed_is_found(
    library: Library,
) -> None:
    files = sorted(path for path in library.log.rglob("*") if path.is_file())
    step = figure(97, 7, 1)  # fsck reads the whole log for each
    missed, tried = [], 0
    for path in _current(library, files):
        octets = path.read_bytes()
        for at in range(0, len(octets), step):
            mask = MASKS[at % 2]
            with _flipped(path, at, mask, octets):
                tried += 1
                if not library.fsck():
                    missed.append((path.name, at))
    assert tried > figure(50, 500, 5_000)
    assert not missed, missed[:10]


def _current(library: Library, files: list[Path]) -> list[Path]:
    """Leave out partial tiles that longer ones have replaced: nobody reads them."""
    width = library.rows(tree)[0]["size"]
    return [p for p in files if p.parent.suffix != ".p" or p.name == str(width)]


def test_t12_every_value_that_counts_changed_by_who_has_the_key_is_found(
    library: Library,
) -> None:
    missed, tried = [], 0
    step = figure(101, 23, 1)
    values: list[tuple[Any, str, Any, bytes]] = [
        (leaf, name, leaf.c.index == row["index"], row[name])
        for row in library.rows(leaf)
        for name in ("event", "leaf_hash")
    ]
    values += [
        (position, name, position.c.lane == row["lane"], row[name])
        for row in library.rows(position)
        for name in ("leaf_hash", "head")
    ]
    for table, name, here, stored in values:
        for at in range(len(stored) // 2 % step, len(stored), step):
            tampered = stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
            library.write(update(table).where(here).values({name: tampered}))
            tried += 1
            if not library.fsck():
                missed.append((table.name, name, at))
            library.write(update(table).where(here).values({name: stored}))
    assert tried > figure(50, 200, 2_000)
    assert not missed, missed[:10]
    assert library.fsck() == []


# --- rows ------------------------------------------------------------------------


def _swap(rows: list[dict[str, Any]]) -> list[Any]:
    one, other = rows[3], rows[7]
    parked = {**one, "lane": "ff" * 16}
    return [
        update(leaf).where(leaf.c.index == 3).values(_but_index(parked)),
        update(leaf).where(leaf.c.index == 7).values(_but_index(one)),
        update(leaf).where(leaf.c.index == 3).values(_but_index(other)),
    ]


def _but_index(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "index"}


def _double(rows: list[dict[str, Any]]) -> list[Any]:
    row = {**rows[5], "index": len(rows), "lane": "ff" * 16}
    return [insert(leaf).values(row), update(tree).values(size=len(rows) + 1)]


CHANGES: dict[str, Callable[[list[dict[str, Any]]], list[Any]]] = {
    "a row deleted": lambda rows: [delete(leaf).where(leaf.c.index == 5)],
    "the last row deleted": lambda rows: [
        delete(leaf).where(leaf.c.index == len(rows) - 1)
    ],
    "cut off": lambda rows: [
        delete(leaf).where(leaf.c.index >= len(rows) // 2),
        update(tree).values(size=len(rows) // 2),
    ],
    "two rows swapped": _swap,
    "a row doubled": _double,
    "a lane's position moved back": lambda rows: [
        update(position).values(seq=rows[4]["seq"], leaf_hash=rows[4]["leaf_hash"])
    ],
    "a position removed": lambda rows: [delete(position)],
}


@pytest.mark.parametrize("name", CHANGES)
def test_t12_rows_changed_by_who_has_the_key_are_found(
    library: Library, name: str
) -> None:
    library.write(*CHANGES[name](library.rows(leaf)))
    assert library.fsck() != []


def test_t12_an_older_database_put_back_is_found(
    library: Library, whole: Library
) -> None:
    for path in library.folder.glob("audit.db*"):
        path.unlink()
    for path in (whole.folder.parent / "old").glob("audit.db*"):
        shutil.copy2(path, library.folder)
    assert any("older copy" in line for line in library.fsck())


@pytest.mark.parametrize("pages", [1, 5, 10])
def test_t12_a_database_cut_off_is_found(library: Library, pages: int) -> None:
    octets = library.database.read_bytes()
    library.database.write_bytes(octets[: len(octets) - pages * 4096])
    assert library.fsck() != []


@pytest.mark.parametrize("key", ["nobody's", "the log's"])
def test_t12_a_log_made_again_without_the_keys_is_found(
    library: Library, key: str
) -> None:
    """The last event rewritten, and everything after it made as audit would."""
    rows = library.rows(leaf)
    events = [row["event"] for row in rows]
    events[-1] = events[-1].replace(b'"client":"crm-', b'"client":"erp-')
    assert events[-1] != rows[-1]["event"]
    hashes = [leaf_hash(event) for event in events]
    edge, tiles = TileEdge().append(hashes)
    signer = SIGNER if key == "the log's" else NoteSigner(SIGNER.verifier.name, KEY)
    note = signer.sign(Checkpoint(signer.verifier.name, edge.size, edge.root()).text())
    for path, octets in {
        "checkpoint": note,
        entries_path(0, len(events)): encode_bundle(events),
        **{tile.id.path: tile.octets for tile in tiles},
    }.items():
        (library.log / path).write_bytes(octets)
    library.write(
        update(leaf)
        .where(leaf.c.index == len(rows) - 1)
        .values(event=events[-1], leaf_hash=hashes[-1]),
        update(position).values(leaf_hash=hashes[-1]),
        update(tree).values(edge=edge.to_bytes(), checkpoint=note),
    )
    expected = {
        "nobody's": "not signed by this log's key",
        "the log's": "ends without its source's head",
    }
    assert any(expected[key] in line for line in library.fsck())
