# SPDX-License-Identifier: Apache-2.0
"""Promise: rows moved in the database open to nobody; nothing lies there in plain."""

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import Table, select, update

from services.chassis.database import Tx
from services.vault.custody.tables import custody, folio, index_entry, record, version
from services.vault.schema import KEYS, READS, RECORDS
from tests.integration.vault.records.shop import JANE, Shop, person

PLAIN = [
    "Quillfeather",
    "jane.quillfeather",
    "1234567",
    "Musterhausen",
    "Zimtschnecken",
    "Teekessel",
    "C-1001",
    "12.50",
]


def swap(table: Table, column: str, first: dict[str, str], second: dict[str, str]):  # type: ignore[no-untyped-def]
    """Return a transaction that exchanges one column between two rows."""

    def write(tx: Tx) -> None:
        def row(where: dict[str, str]):  # type: ignore[no-untyped-def]
            return [table.c[name] == value for name, value in where.items()]

        values = [
            tx.execute(select(table.c[column]).where(*row(one))).scalar_one()
            for one in (first, second)
        ]
        for one, value in zip((first, second), reversed(values), strict=True):
            tx.execute(update(table).where(*row(one)).values({column: value}))

    return write


async def refuses(shop: Shop, ids: list[str], *plain: str) -> None:
    for id_ in ids:
        before = len(await shop.vault.events("record.seal_broken"))
        answer = await shop.seller.read(id_)
        assert (answer.status_code, answer.json()["code"]) == (500, "seal-broken")
        for text in (*plain, *PLAIN):
            assert text not in answer.text
        await alarmed(shop, answer, before, id_)


async def alarmed(shop: Shop, answer: httpx.Response, before: int, id_: str) -> None:
    """The alarm stands in the log, in the answer's header and in the metrics."""
    events = await shop.vault.events("record.seal_broken")
    assert len(events) == before + 1
    event = next(
        e for e in events if f"{e.lane}/{e.seq}" == answer.headers["audit-event"]
    )
    resolved = await shop.seller.send("POST", "/v1/aliases:resolve", {"records": [id_]})
    assert event.data["record"] == resolved.json()["items"][0]["alias"]
    assert event.data["class"] in {"basic", "habits", "purchases", "identity"}
    assert event.data["fault"] in {"commitment", "ciphertext"}
    assert {one.party for one in event.parties} == {"seller"}
    counted = shop.vault.rooms.access.metrics.render().decode()
    assert "keyturn_seal_broken_total{" in counted


@pytest.mark.attack("A1")
@pytest.mark.parametrize("column", ["payload", "digest"])
async def test_a1_payloads_swapped_between_records_are_refused(
    shop: Shop, column: str
) -> None:
    ids = [await shop.seller.create(one) for one in (person(1), person(2))]
    versions = [await current(shop, id_, "basic") for id_ in ids]
    await shop.vault.rooms.changes.write(
        swap(version, column, {"id": versions[0]}, {"id": versions[1]})
    )
    await refuses(shop, ids, "Person 1", "Person 2")


@pytest.mark.attack("A1")
async def test_a1_whole_versions_swapped_between_records_are_refused(
    shop: Shop,
) -> None:
    ids = [await shop.seller.create(one) for one in (person(1), person(2))]
    for column in ("payload", "digest"):
        versions = [await current(shop, id_, "basic") for id_ in ids]
        await shop.vault.rooms.changes.write(
            swap(version, column, {"id": versions[0]}, {"id": versions[1]})
        )
    for column in ("wrap",):
        await shop.vault.rooms.changes.write(
            swap(
                custody,
                column,
                {"party": "seller", "record": ids[0]},
                {"party": "seller", "record": ids[1]},
            )
        )
    await refuses(shop, ids, "Person 1", "Person 2")


@pytest.mark.attack("A1")
async def test_a1_classes_swapped_within_a_record_are_refused(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    mine = {"party": "seller", "record": id_}
    await shop.vault.rooms.changes.write(
        swap(custody, "wrap", {**mine, "class": "basic"}, {**mine, "class": "habits"})
    )
    await refuses(shop, [id_])


@pytest.mark.attack("A1")
async def test_a1_wraps_and_numbers_swapped_between_parties_are_refused(
    shop: Shop,
) -> None:
    mine, theirs = (
        await shop.seller.create(person(1)),
        await shop.buyer.create(person(2)),
    )
    seller, buyer = (
        {"party": "seller", "record": mine},
        {"party": "buyer", "record": theirs},
    )
    await shop.vault.rooms.changes.write(swap(custody, "wrap", seller, buyer))
    await refuses(shop, [mine], "Person 1", "Person 2")
    await shop.vault.rooms.changes.write(swap(custody, "wrap", seller, buyer))
    assert (await shop.seller.read(mine)).status_code == 200
    await shop.vault.rooms.changes.write(
        swap(
            record,
            "external_id_sealed",
            {"party": "seller", "id": mine},
            {"party": "buyer", "id": theirs},
        )
    )
    await refuses(shop, [mine], "C-2")


@pytest.mark.attack("A1")
async def test_a1_an_older_version_put_back_is_not_a_current_one(shop: Shop) -> None:
    id_ = await shop.seller.create(person(1))
    old = await current(shop, id_, "basic")
    patch = {"documents": {"basic": {"name": "Somebody Else"}}}
    await shop.seller.send("PATCH", f"/v1/records/{id_}", patch, if_match='"1"')
    new = await current(shop, id_, "basic")
    await shop.vault.rooms.changes.write(
        swap(version, "payload", {"id": old}, {"id": new})
    )
    await refuses(shop, [id_], "Person 1", "Somebody Else")


@pytest.mark.attack("A1")
async def test_a1_an_index_entry_moved_to_another_record_changes_nobody(
    shop: Shop,
) -> None:
    ids = [await shop.seller.create(one) for one in (person(1), person(2))]
    numbers = [
        {"party": "seller", "field": "external_id", "record": id_} for id_ in ids
    ]
    spare = {"party": "seller", "field": "external_id", "record": "x" * 36}
    await shop.vault.rooms.changes.write(rename(numbers[0], spare["record"]))
    await shop.vault.rooms.changes.write(rename(numbers[1], ids[0]))
    await shop.vault.rooms.changes.write(rename(spare, ids[1]))
    change = {"external_id": "C-1", "documents": {"basic": {"name": "Overwritten"}}}
    answer = await shop.seller.send("POST", "/v1/records", change)
    assert (answer.status_code, answer.json()["code"]) == (500, "seal-broken")
    await alarmed(shop, answer, 0, ids[1])
    for id_ in ids:
        assert "Overwritten" not in (await shop.seller.read(id_)).text


def rename(where: dict[str, str], to: str) -> Callable[[Tx], None]:
    """Return a transaction that gives an index entry to another record."""

    def write(tx: Tx) -> None:
        conditions = [index_entry.c[name] == value for name, value in where.items()]
        tx.execute(update(index_entry).where(*conditions).values(record=to))

    return write


@pytest.mark.attack("A5")
async def test_a5_no_row_of_any_table_holds_plaintext(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    await shop.seller.read(id_)
    await shop.seller.read(id_, keyturn_purpose="advertising")
    await shop.seller.send("POST", "/v1/records", JANE, idempotency_key="plain")
    lookup = {"identifiers": [{"field": "external_id", "value": "C-1001"}]}
    await shop.seller.send("POST", "/v1/records/lookup", lookup)
    rooms = shop.vault.rooms
    stores: list[tuple[object, Callable[..., object]]] = [
        (RECORDS, rooms.changes.read),
        (KEYS, rooms.keys.read),
    ]
    if rooms.reads.tables is not rooms.changes.tables:
        stores.append((READS, rooms.reads.read))
    seen = 0
    for metadata, read in stores:
        for table in metadata.sorted_tables:  # type: ignore[attr-defined]
            rows = await read(lambda c, t=table: c.execute(select(t)).all())  # type: ignore[misc]
            for row in rows:  # type: ignore[attr-defined]
                seen += 1
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    for text in PLAIN:
                        assert text.encode() not in raw, table.name
    assert seen > 50


@pytest.mark.attack("A5")
async def test_a5_no_file_holds_plaintext(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    id_ = await shop.seller.create(JANE)
    await shop.seller.read(id_)
    await shop.seller.send("GET", f"/v1/records/{id_}?view=masked")
    wrong = {"documents": {"basic": {"email": "jane.quillfeather@"}}}
    await shop.seller.send("POST", "/v1/records", wrong)
    logged = capsys.readouterr()
    counted = shop.vault.rooms.access.metrics.render().decode()
    settings = shop.vault.house.settings
    files = [
        path
        for folder in (settings.state_dir, settings.keys_dir)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert files
    for text in PLAIN:
        assert text not in logged.out + logged.err + counted
        for path in files:
            assert text.encode() not in path.read_bytes(), path.name


async def current(shop: Shop, id_: str, class_: str) -> str:
    return await shop.vault.rooms.changes.read(
        lambda c: str(
            c.execute(
                select(folio.c.current_version).where(
                    folio.c.record == id_, folio.c["class"] == class_
                )
            ).scalar_one()
        )
    )
