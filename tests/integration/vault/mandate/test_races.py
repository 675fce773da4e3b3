# SPDX-License-Identifier: Apache-2.0
"""Promise: whichever of two comes second sees the other. The interleavings are forced.

Two vault processes' worth of rooms stand on one database: one is held inside its
transaction, or between its preparation and its transaction, while the other acts.
"""

import asyncio
from typing import Any

import pytest

from services.vault import custody as vault_custody
from services.vault.custody import handover as custody
from services.vault.mandate import batches, turning
from tests.integration.vault.mandate.deal import Deal
from tests.integration.vault.mandate.gate import hold
from tests.integration.vault.mandate.two import Two, blocked


async def test_an_objection_between_a_batchs_look_and_its_write(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, batches, "_prepare")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    await two.there.object(two.jane)
    gate.open()
    done = await running
    assert done.status_code == 200, done.text
    assert (done.json()["folios"], done.json()["dropped"]) == (0, 3)
    assert await two.pending() == {}
    assert await two.left_by() == {""}
    await _turned_without_her(two)


async def test_an_objection_that_waits_for_a_batch_undoes_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, custody, "insert_pending")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    objecting = asyncio.create_task(two.there.object(two.jane))
    await blocked(objecting)
    gate.open()
    done = await running
    assert done.json()["folios"] == 3, done.text
    await objecting
    assert await two.pending() == {}
    assert await two.left_by() == {""}
    await _turned_without_her(two)


async def _turned_without_her(two: Two) -> None:
    for batch in await two.here.batches():
        verified = await two.here.verify(batch)
        assert verified.json()["folios"] == 0, verified.text
    turned = await two.here.turn()
    assert turned.status_code == 200, turned.text
    for outcomes in turned.json()["counts"].values():
        assert outcomes["excluded"] == {"objected": 1}
        assert outcomes["transfer"] == {"eligible": 0}
    assert (await two.here.shop.seller.read(two.jane)).status_code == 200


async def test_a_patch_that_waits_for_the_freeze_is_refused(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.lodge()
    etag = (await two.there.shop.seller.read(two.jane)).headers["etag"]
    gate = hold(monkeypatch, custody, "insert_scope")
    freezing_task = asyncio.create_task(two.here.freeze())
    await gate.reached()
    patching = asyncio.create_task(_patch(two.there, two.jane, etag))
    await blocked(patching)
    gate.open()
    assert (await freezing_task).status_code == 202
    refused = await patching
    assert (refused.status_code, refused.json()["code"]) == (409, "folio-frozen")


async def test_the_freeze_waits_for_a_patch_and_decides_on_what_it_wrote(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.lodge()
    etag = (await two.there.shop.seller.read(two.jane)).headers["etag"]
    gate = hold(monkeypatch, vault_custody, "move_folio")
    patching = asyncio.create_task(_patch(two.there, two.jane, etag))
    await gate.reached()
    freezing_task = asyncio.create_task(two.here.freeze())
    await blocked(freezing_task)
    gate.open()
    assert (await patching).status_code == 200
    assert (await freezing_task).status_code == 202
    await two.here.mandate()
    for batch in await two.here.batches():
        await two.here.execute(batch)
        await two.here.verify(batch)
    assert (await two.here.turn()).status_code == 200
    found = await two.here.shop.buyer.send(
        "POST",
        "/v1/records/lookup",
        {"identifiers": [{"field": "phone", "value": "+49 171 1234567"}]},
    )
    (moved,) = found.json()["items"][0]["records"]
    read = await two.here.shop.buyer.read(moved)
    assert read.json()["documents"]["basic"]["city"] == "Anderswo"


async def _patch(deal: Deal, record: str, etag: str) -> Any:
    change = {"documents": {"basic": {"city": "Anderswo"}}}
    return await deal.shop.seller.send(
        "PATCH", f"/v1/records/{record}", change, if_match=etag
    )


async def test_a_turn_that_waits_for_a_batch_is_refused_or_sees_it_whole(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, custody, "insert_pending")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    refused = await two.there.turn()
    assert (refused.status_code, refused.json()["reason"]) == (409, "batch-open")
    gate.open()
    assert (await running).status_code == 200


async def test_an_objection_between_the_sum_and_the_flip_is_counted(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.verified()
    gate = hold(monkeypatch, turning, "_flip")
    turning_task = asyncio.create_task(two.here.turn())
    await gate.reached()
    await two.there.object(two.jane)
    gate.open()
    turned = await turning_task
    assert turned.status_code == 200, turned.text
    assert turned.json()["counts"]["basic"] == {
        "excluded": {"objected": 1},
        "transfer": {"eligible": 0},
    }
    assert (await two.here.shop.seller.read(two.jane)).status_code == 200


async def test_an_objection_that_waits_for_the_turn_takes_nothing_back(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.verified()
    gate = hold(monkeypatch, turning, "bump_epoch")
    turning_task = asyncio.create_task(two.here.turn())
    await gate.reached()
    objecting = asyncio.create_task(two.there.object(two.jane))
    await blocked(objecting)
    gate.open()
    assert (await turning_task).status_code == 200
    await objecting
    assert await two.pending() == {"basic": 1, "habits": 1, "purchases": 1}
    again = await two.here.turn()
    assert again.json()["counts"]["basic"] == {"transfer": {"eligible": 1}}


async def test_a_cancellation_that_waits_for_the_turn_is_refused(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.verified()
    gate = hold(monkeypatch, turning, "bump_epoch")
    turning_task = asyncio.create_task(two.here.turn())
    await gate.reached()
    ending = asyncio.create_task(two.there.end())
    await blocked(ending)
    gate.open()
    assert (await turning_task).status_code == 200
    refused = await ending
    assert (refused.status_code, refused.json()["state"]) == (409, "turned")


async def test_a_batch_prepared_before_a_cancellation_writes_nothing_after_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, batches, "_prepare")
    running = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    assert (await two.there.end()).status_code == 202
    gate.open()
    refused = await running
    assert refused.status_code == 409, refused.text
    assert await two.pending() == {}
    assert (await two.here.status())["state"] == "cancelled"


async def test_after_a_cancellation_another_handover_takes_the_same_records(
    two: Two,
) -> None:
    await two.here.verified()
    assert await two.left_by() == {two.here.handover}
    answer = await two.here.end()
    assert answer.json()["state"] == "cancelling"
    await two.here.room.settled()
    assert (await two.here.status())["state"] == "cancelled"
    assert await two.pending() == {}
    assert (await two.here.shop.seller.read(two.jane)).status_code == 200
    again = await two.here.end("revoke")
    assert again.json()["state"] == "cancelled"
    other = await two.here.another().turned()
    assert await two.left_by() == {other.handover}
    assert (await two.here.shop.seller.read(two.jane)).status_code == 403
    assert (await other.get()).json()["state"] == "turned"


async def test_two_workers_execute_one_batch_once(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.mandated()
    (batch,) = await two.here.batches()
    gate = hold(monkeypatch, custody, "insert_pending")
    first = asyncio.create_task(two.here.execute(batch))
    await gate.reached()
    second = asyncio.create_task(two.there.execute(batch))
    await blocked(second)
    gate.open()
    one, other = await first, await second
    assert one.status_code == other.status_code == 200
    assert one.json() == other.json()
    assert len(await two.here.vault.events("batch.executed")) == 1
