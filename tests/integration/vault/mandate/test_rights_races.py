# SPDX-License-Identifier: Apache-2.0
"""Promise: what a person asked for in mid-handover holds, whoever comes second.

Two workers stand on one database: one is held inside its transaction, or before it,
while the other acts.
"""

import asyncio
from typing import Any

import pytest

from services.chassis.clock import rfc3339
from services.vault import custody as vault_custody
from services.vault.access.operations import Access
from services.vault.custody import handover as custody
from services.vault.mandate import batches, turning
from tests.integration.vault.mandate.deal import CLASSES, Deal
from tests.integration.vault.mandate.gate import Gate, hold
from tests.integration.vault.mandate.two import Two, blocked
from tests.integration.vault.records.shop import JANE, person

LEAVE = {"withdrawal": "consent", "correction": "corrected", "erasure": "erased"}


async def _act(deal: Deal, jane: str, right: str) -> Any:
    """Withdraw the consent to all classes, correct a name, or erase the person."""
    path = f"/v1/records/{jane}"
    purpose = {"keyturn_purpose": "rights_request"}
    if right == "withdrawal":
        now = rfc3339(deal.vault.house.clock.now())
        await deal.consent(jane, CLASSES, withdrawn_at=now)
        return None
    if right == "correction":
        read = await deal.shop.seller.read(jane)
        change = {"documents": {"basic": {"name": "Jane Quill"}}}
        etag = {"if_match": read.headers["etag"]}
        return await deal.shop.seller.send("PATCH", path, change, **etag, **purpose)
    return await deal.shop.seller.send("DELETE", path, **purpose)


async def _nothing_of_her_moves(two: Two, right: str) -> None:
    assert await two.pending() == {}
    assert await two.left_by() <= {""}
    for batch in await two.here.batches():
        verified = await two.here.verify(batch)
        assert verified.json()["folios"] == 0, verified.text
    turned = await two.here.turn()
    assert turned.status_code == 200, turned.text
    for outcomes in turned.json()["counts"].values():
        moved = outcomes.get("transfer", {})
        assert set(moved.values()) <= {0}
        assert sum(outcomes["excluded"].values()) == 1
    kept = await two.here.shop.seller.read(two.jane)
    assert kept.status_code == (404 if right == "erasure" else 200)


@pytest.mark.parametrize("right", LEAVE)
async def test_a_right_used_between_a_batchs_look_and_its_write(
    two: Two, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, batches, "_prepare")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    done = await _act(two.there, two.jane, right)
    assert done is None or done.status_code == 200, done.text
    gate.open()
    executed = await running
    assert executed.status_code == 200, executed.text
    assert (executed.json()["folios"], executed.json()["dropped"]) == (0, 3)
    await _nothing_of_her_moves(two, right)


@pytest.mark.parametrize("right", LEAVE)
async def test_a_right_that_waits_for_a_batch_undoes_it(
    two: Two, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, custody, "insert_pending")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    acting = asyncio.create_task(_act(two.there, two.jane, right))
    await blocked(acting)
    gate.open()
    assert (await running).json()["folios"] == 3
    done = await acting
    assert done is None or done.status_code == 200, done.text
    await _nothing_of_her_moves(two, right)


async def test_a_cancellation_that_waits_for_a_batch_leaves_nothing_of_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, custody, "insert_pending")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    ending = asyncio.create_task(two.there.end())
    await blocked(ending)
    gate.open()
    assert (await running).status_code == 200
    assert (await ending).status_code == 202
    assert (await two.here.status())["state"] == "cancelled"
    assert await two.pending() == {}
    assert (await two.here.shop.seller.read(two.jane)).status_code == 200
    other = await two.there.another().turned()
    assert await two.left_by() == {other.handover}
    assert (await two.here.shop.seller.read(two.jane)).status_code == 403


async def test_a_read_whose_answer_meets_the_turn_is_denied_and_logged_so(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.verified()
    gate = Gate()
    original = Access._disclose

    async def appended(self: Access, caller: Any, drafts: Any) -> Any:
        event = await original(self, caller, drafts)
        await held()
        return event

    async def nothing() -> None:
        return

    held = gate.wrap_async(nothing)
    monkeypatch.setattr(Access, "_disclose", appended)
    reading = asyncio.create_task(two.there.shop.seller.read(two.jane))
    await gate.reached()
    assert (await two.here.turn()).status_code == 200
    gate.open()
    answer = await reading
    assert (answer.status_code, answer.json()["reason"]) == (403, "restricted")
    assert b"Quillfeather" not in answer.content
    assert len(await two.there.vault.events("record.read")) == 1
    (denied,) = await two.there.vault.events("access.denied")
    assert denied.data["reason"] == "restricted"


async def test_a_nightly_upsert_that_waits_for_the_turn_creates_nobody(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.verified()
    gate = hold(monkeypatch, turning, "bump_epoch")
    turning_task = asyncio.create_task(two.here.turn())
    await gate.reached()
    order = {"entry_id": "o-2", "at": "2026-01-05T10:00:00Z", "product": "Kanne"}
    nightly = {"external_id": JANE["external_id"], "entries": {"purchases": [order]}}
    syncing = asyncio.create_task(
        two.there.shop.seller.send("POST", "/v1/records", nightly)
    )
    await blocked(syncing)
    gate.open()
    assert (await turning_task).status_code == 200
    refused = await syncing
    assert (refused.status_code, refused.json()["code"]) == (409, "handed-over")
    again = await two.there.shop.seller.send("POST", "/v1/records", JANE)
    assert (again.status_code, again.json()["code"]) == (409, "handed-over")
    assert len(await two.here.vault.events("record.created")) == 1
    assert await two.here.vault.events("entries.appended") == []


async def test_of_two_workers_creating_one_unique_email_one_wins(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (
        {**person(n), "documents": {"basic": {"email": "one@example.org"}}}
        for n in (71, 72)
    )
    gate = hold(monkeypatch, vault_custody, "insert_record")
    first = asyncio.create_task(two.here.shop.seller.send("POST", "/v1/records", one))
    await gate.reached()
    second = asyncio.create_task(
        two.there.shop.seller.send("POST", "/v1/records", other)
    )
    await blocked(second)
    gate.open()
    assert (await first).status_code == 201
    refused = await second
    assert (refused.status_code, refused.json()["code"]) == (409, "unique-conflict")
