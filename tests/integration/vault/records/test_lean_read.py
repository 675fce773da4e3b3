# SPDX-License-Identifier: Apache-2.0
"""Promise: the lean way of a read keeps every promise of the whole way."""

from __future__ import annotations

from typing import Any

from services.chassis import outbox
from tests.integration.vault.records.shop import JANE, Shop, person


async def test_both_ways_answer_alike(shop: Shop) -> None:
    for customer in (JANE, person(7)):
        id_ = await shop.seller.create(customer)
        lean = await shop.seller.read(id_)
        whole = await shop.seller.send("GET", f"/v1/records/{id_}?view=full")
        assert (lean.status_code, lean.content) == (200, whole.content)
        own = {"request-id", "audit-event"}
        assert {n: v for n, v in lean.headers.items() if n not in own} == {
            n: v for n, v in whole.headers.items() if n not in own
        }
        first, second = (await shop.vault.events("record.read"))[-2:]
        assert (lean.headers["audit-event"], whole.headers["audit-event"]) == (
            first.id,
            second.id,
        )
        assert {n: v for n, v in first.data.items() if n != "parties"} == {
            n: v for n, v in second.data.items() if n != "parties"
        }


async def test_the_event_is_durable_before_the_first_byte(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    reads = shop.vault.rooms.reads
    seen: list[list[bytes]] = []

    async def send(message: Any) -> None:
        # What a connection of its own sees is on disk.
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            named = dict(message["headers"])[b"audit-event"].decode()
            lane, _, seq = named.partition("/")
            rows = reads.database.read_now(
                lambda c: outbox.rows_from(c, reads.tables, lane, int(seq))
            )
            seen.append([row.event for row in rows])

    async def receive() -> Any:
        raise AssertionError("a read has no body")

    path = f"/v1/records/{id_}"
    headers = {"host": "127.0.0.1", **shop.seller.headers}
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
    }  # fmt: skip
    await shop.vault.app(scope, receive, send)
    [[event]] = seen
    assert b"record.read.v1" in event


async def test_a_denial_on_the_lean_way_is_logged_and_named(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    denied = await shop.seller.read(id_, keyturn_purpose="advertising")
    assert denied.status_code == 403
    assert denied.headers["content-type"] == "application/problem+json"
    [event] = await shop.vault.events("access.denied")
    assert denied.headers["audit-event"] == event.id


async def test_foreign_and_absent_are_one_answer_on_the_lean_way(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)
    foreign = await shop.buyer.read(id_)
    absent = await shop.buyer.read("01a20ebe-2c03-76fa-aa5a-2d2650f156e8")
    for answer in (foreign, absent):
        assert answer.status_code == 404
    strip = ("request_id",)
    assert {n: v for n, v in foreign.json().items() if n not in strip} == {
        n: v for n, v in absent.json().items() if n not in strip
    }
