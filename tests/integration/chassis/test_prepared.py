# SPDX-License-Identifier: Apache-2.0
"""Promise: a prepared statement says what SQLAlchemy's own execution would say."""

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from services.chassis.outbox import stats
from services.chassis.prepared import OneOf, Prepared
from tests.integration.chassis.conftest import World
from tests.integration.chassis.test_group_commit import draft


@pytest.fixture
def connection(world: World) -> Connection:
    engines = world.connect()
    with engines.writer.connect() as opened:
        yield opened
    engines.dispose()


def test_rows_are_those_of_sqlalchemy(world: World, connection: Connection) -> None:
    box = world.tables.outbox
    columns = {column.name: bindparam(column.name) for column in box.columns}
    rows = [
        {
            "lane": "l",
            "seq": seq,
            "event": bytes([seq]) * 40,
            "leaf_hash": bytes(32),
            "head": b"h" if seq % 2 else None,
            "created_at": 2**40 + seq,
        }
        for seq in range(1, 6)
    ]
    Prepared(insert(box).values(**columns)).execute_many(connection, rows)
    wanted = (
        select(box, box.c.seq.label("class"))
        .where(box.c.lane == "l", box.c.seq > bindparam("after"))
        .order_by(box.c.seq)
    )
    theirs = connection.execute(wanted, {"after": 2}).all()
    ours = Prepared(wanted).all(connection, after=2)
    assert [tuple(row) for row in ours] == [tuple(row) for row in theirs]
    assert ours[0].event == bytes([3]) * 40
    assert Prepared(wanted).first(connection, after=99) is None
    assert Prepared(wanted).scalar(connection, after=4) == "l"


def test_a_change_tells_how_many_rows_it_touched(
    world: World, connection: Connection
) -> None:
    thing = world.thing
    connection.execute(
        insert(thing), [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
    )
    rename = Prepared(
        update(thing).where(thing.c.id == bindparam("which")).values(name="x")
    )
    assert rename.execute(connection, which="1") == 1
    assert rename.execute(connection, which="9") == 0


def test_errors_are_sqlalchemys(world: World, connection: Connection) -> None:
    thing = world.thing
    add = Prepared(insert(thing).values(id=bindparam("id"), name=bindparam("name")))
    add.execute(connection, id="1", name="a")
    with pytest.raises(IntegrityError) as refused:
        add.execute(connection, id="2", name="a")
    assert "parameters" not in str(refused.value)
    connection.rollback()


async def test_what_waits_is_counted_without_counting_it(world: World) -> None:
    journal = world.journal()
    journal.start()
    for _ in range(4):
        await journal.append(draft(), draft())
    found = await journal.read(lambda c: stats(c, world.tables, 2**62))
    assert found.rows == 1 + 8  # the lane's opening and what was appended
    assert found.oldest_seconds > 0


@pytest.mark.postgres
async def test_a_broken_connection_is_given_up(world: World) -> None:
    if world.where[0] != "postgres":
        pytest.skip("a file has no connection that breaks")
    engines = world.connect()
    one = Prepared(select(world.thing.c.id))
    with engines.reader.connect() as broken, engines.writer.connect() as other:
        assert one.all(broken) == []
        pid = broken.execute(text("SELECT pg_backend_pid()")).scalar()
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(OperationalError):
            one.all(broken)
        assert broken.invalidated
    engines.dispose()


def test_a_list_of_any_length_is_asked_for_in_parts() -> None:
    listed = OneOf("id", 3)
    assert list(listed.parts([])) == []
    assert list(listed.parts(["a", "b", "a", "c", "d"])) == [
        {"id_0": "a", "id_1": "b", "id_2": "c"},
        {"id_0": "d", "id_1": "d", "id_2": "d"},
    ]


def test_a_list_finds_what_in_finds(world: World, connection: Connection) -> None:
    box = world.tables.outbox
    listed = OneOf("wanted", 2)
    found = Prepared(select(box.c.seq).where(listed.holds(box.c.seq)))
    add = Prepared.insert(box)
    for seq in range(1, 6):
        row = {"lane": "l", "seq": seq, "event": b"e", "leaf_hash": bytes(32)}
        add.execute(connection, **row, head=None, created_at=1)
    parts = listed.parts([1, 3, 5, 7])
    rows = [row.seq for part in parts for row in found.all(connection, **part)]
    assert sorted(rows) == [1, 3, 5]
