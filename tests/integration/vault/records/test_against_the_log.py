# SPDX-License-Identifier: Apache-2.0
"""A4: a row put back, altered or removed is named by the comparison with the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey
from sqlalchemy import delete, insert, select, update

from contracts.log.checkpoint import Checkpoint
from contracts.log.edge import TileEdge
from contracts.log.merkle import leaf_hash
from contracts.log.note import NoteSigner
from contracts.log.tiles import encode_bundle, entries_path
from services.chassis.database import Tx
from services.chassis.installation import LOG_VKEY
from services.vault.__main__ import main
from services.vault.custody.tables import alias, custody, folio, record, version
from services.vault.custody.written import told
from services.vault.record_check import Checked, LogUnreadable, check_records
from services.vault.schema import CHANGES_LANES
from tests.integration.vault.records.shop import JANE, Shop, person

pytestmark = pytest.mark.attack("A4")
SIGNER = NoteSigner("keyturn.0011223344556677/2026", bytes(SigningKey(b"\x07" * 32)))


class Shelf:
    """A shop and the published log of what happened in it so far."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.log = folder / "log"
        self.settings = shop.vault.house.settings

    async def publish(self) -> None:
        """Publish the log of every event as audit does: bundles and a checkpoint."""
        entries = [event.raw for event in await self.shop.vault.events()]
        edge, _tiles = TileEdge().append([leaf_hash(entry) for entry in entries])
        for n in range(0, len(entries), 256):
            part = entries[n : n + 256]
            path = self.log / entries_path(n // 256, len(part))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_bundle(part))
        made = Checkpoint(SIGNER.verifier.name, len(entries), edge.root())
        (self.log / "checkpoint").write_bytes(SIGNER.sign(made.text()))
        (self.settings.state_dir / LOG_VKEY).write_text(f"{SIGNER.vkey}\n")

    def check(self) -> Checked:
        return check_records(self.settings, self.log)

    async def write(self, *statements: Any) -> None:
        def run(tx: Tx) -> None:
            for statement in statements:
                tx.execute(statement)

        await self.shop.vault.rooms.changes.write(run)

    async def row(self, table: Any, **where: str) -> dict[str, Any]:
        conditions = [table.c[name] == value for name, value in where.items()]
        found = await self.shop.vault.rooms.changes.read(
            lambda c: c.execute(select(table).where(*conditions)).mappings().one()
        )
        return dict(found)

    async def alias(self, id_: str) -> str:
        return str((await self.row(alias, record=id_))["alias"])


@pytest.fixture
async def shelf(shop: Shop, tmp_path: Path) -> Shelf:
    return Shelf(shop, tmp_path)


async def named(shelf: Shelf, rule: str, id_: str, place: str = "basic/0") -> None:
    """Exactly one row differs, and it is named by alias, class and volume."""
    name = await shelf.alias(id_)
    for published in (False, True):
        if published:
            await shelf.publish()
        found = shelf.check()
        assert [(d.rule, d.party, d.alias, d.folio) for d in found.found] == [
            (rule, "seller", name, place)
        ]
        assert not found.holds
        (line,) = told(found.found)
        assert name in line
        assert place in line


async def test_a4_an_honest_vault_holds(shelf: Shelf) -> None:
    id_ = await shelf.shop.seller.create(JANE)
    other = await shelf.shop.seller.create(person(2))
    await shelf.publish()
    change = {"documents": {"basic": {"city": "Musterstadt"}}}
    await shelf.shop.seller.send("PATCH", f"/v1/records/{id_}", change, if_match='"1"')
    answer = await shelf.shop.seller.send(
        "DELETE", f"/v1/records/{other}", keyturn_purpose="rights_request"
    )
    assert answer.status_code == 200, answer.text
    found = shelf.check()
    assert found.holds, (found.chain, list(told(found.found)))
    assert found.rows == 3


async def rolled_back(shelf: Shelf) -> str:
    """Put a whole earlier state of one folio back, as its database's owner could."""
    id_ = await shelf.shop.seller.create(person(1))
    before = await shelf.row(folio, record=id_, **{"class": "basic"})
    change = {"documents": {"basic": {"name": "Somebody Else"}}}
    await shelf.shop.seller.send("PATCH", f"/v1/records/{id_}", change, if_match='"1"')
    await shelf.publish()
    await shelf.write(update(folio).where(folio.c.record == id_).values(before))
    return id_


async def test_a4_a_record_row_put_back_is_named(shelf: Shelf) -> None:
    id_ = await rolled_back(shelf)
    # A read does not notice: every byte was sealed here, for this place.
    assert "Person 1" in (await shelf.shop.seller.read(id_)).text
    await named(shelf, "put-back", id_)


async def test_a4_an_altered_payload_is_named(shelf: Shelf) -> None:
    id_ = await shelf.shop.seller.create(person(1))
    await shelf.publish()
    at = (await shelf.row(folio, record=id_))["current_version"]
    stored = (await shelf.row(version, id=at))["payload"]
    flipped = stored[:-1] + bytes([stored[-1] ^ 1])
    await shelf.write(update(version).where(version.c.id == at).values(payload=flipped))
    await named(shelf, "altered", id_)


async def test_a4_a_removed_folio_is_named(shelf: Shelf) -> None:
    id_ = await shelf.shop.seller.create(person(1))
    await shelf.publish()
    await shelf.write(delete(folio).where(folio.c.record == id_))
    await named(shelf, "missing", id_)


async def test_a4_an_erased_record_put_back_is_named(shelf: Shelf) -> None:
    id_ = await shelf.shop.seller.create(person(1))
    tables = (record, folio, custody, alias)
    kept = [(t, await shelf.row(t, **{_key(t): id_})) for t in tables]
    kept.append((version, await shelf.row(version, id=kept[1][1]["current_version"])))
    await shelf.shop.seller.send(
        "DELETE", f"/v1/records/{id_}", keyturn_purpose="rights_request"
    )
    await shelf.publish()
    await shelf.write(*(insert(table).values(row) for table, row in kept))
    await named(shelf, "erased", id_)


def _key(table: Any) -> str:
    return "id" if table is record else "record"


@pytest.mark.parametrize("way", ["deleted", "altered", "cut off"])
async def test_a4_an_event_that_was_changed_before_it_was_published_is_named(
    shelf: Shelf, way: str
) -> None:
    await shelf.publish()
    for number in (1, 2):
        await shelf.shop.seller.create(person(number))
    box, lane = CHANGES_LANES.outbox, CHANGES_LANES.lane
    event = (await shelf.shop.vault.events("record.created"))[way == "cut off"]
    here = (box.c.lane == event.lane) & (box.c.seq == event.seq)
    changes: dict[str, Callable[[], list[Any]]] = {
        "deleted": lambda: [delete(box).where(here)],
        "altered": lambda: [
            update(box)
            .where(here)
            .values(event=event.raw.replace(b'"client":"crm"', b'"client":"erp"'))
        ],
        "cut off": lambda: [
            delete(box).where(here),
            update(lane)
            .where(lane.c.id == event.lane)
            .values(seq=event.seq - 1, leaf_hash=event.prev),
        ],
    }
    ends = await shelf.row(lane, id=event.lane)
    await shelf.write(*changes[way]())
    found = shelf.check()
    # A vault whose lane was moved under it stops at its next commit.
    await shelf.write(update(lane).where(lane.c.id == event.lane).values(ends))
    assert any(event.lane in line for line in found.chain), found.chain


async def test_a4_a_log_that_is_not_whole_is_no_measure(shelf: Shelf) -> None:
    await shelf.shop.seller.create(person(1))
    await shelf.publish()
    (bundle,) = [p for p in (shelf.log / "tile").rglob("*") if p.is_file()]
    octets = bundle.read_bytes()
    bundle.write_bytes(octets.replace(b'"client":"crm"', b'"client":"erp"'))
    with pytest.raises(LogUnreadable):
        shelf.check()
    other = NoteSigner(SIGNER.verifier.name, b"\x08" * 32)
    bundle.write_bytes(octets)
    (shelf.settings.state_dir / LOG_VKEY).write_text(f"{other.vkey}\n")
    with pytest.raises(LogUnreadable):
        shelf.check()


async def test_a4_the_command_says_it_and_ends_with_1(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(shelf.settings)
    for name in ("state_dir", "keys_dir", "database_url", "keys_database_url"):
        value = getattr(settings, name)
        if value is not None:
            text = value.reveal() if hasattr(value, "reveal") else str(value)
            monkeypatch.setenv(settings.variable(name), text)
    id_ = await rolled_back(shelf)
    assert main(["check-records", "--log", str(shelf.log)]) == 1
    told_ = capsys.readouterr().out
    assert f"record {await shelf.alias(id_)}: basic/0: is an earlier state" in told_
    assert "Person 1" not in told_
