# SPDX-License-Identifier: Apache-2.0
"""Promise: of two that come together at a collision, whichever is second sees the other.

Two workers of the vault stand on one database; the interleavings are forced.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from services.vault import custody as vault_custody
from services.vault.custody import handover as custody
from services.vault.mandate import merging, settling
from tests.integration.vault.mandate.gate import Gate, hold
from tests.integration.vault.mandate.settlement import (
    EMAIL,
    OWN,
    Turned,
    officer_of,
    slots,
)
from tests.integration.vault.mandate.two import Two, blocked
from tests.integration.vault.records.shop import Crm

THIRD = {"documents": {"basic": {"name": "Third", "email": EMAIL}}}


async def opened(two: Two) -> tuple[Turned, Turned, str, str]:
    """Return both workers' views of an open collision, the own and the arrived id."""
    own = await two.here.shop.buyer.create(OWN)
    await two.here.turned()
    await two.here.room.settled()
    here = Turned(two.here, await officer_of(two.here))
    there = Turned(two.there, Crm(two.there.vault, here.officer.headers))
    return here, there, own, (await here.listed())[0]["record"]


def hold_after_prepare(patch: pytest.MonkeyPatch) -> Gate:
    """Hold a merge between what it prepared and its transaction."""
    gate, prepare = Gate(), merging.prepare

    async def nothing() -> None:
        return None

    pause: Callable[[], Awaitable[None]] = gate.wrap_async(nothing)

    async def then_held(*args: Any) -> merging.Prepared:
        prepared = await prepare(*args)
        await pause()
        return prepared

    patch.setattr(merging, "prepare", then_held)
    return gate


async def test_a_create_that_waits_for_a_slice_is_refused(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = hold(monkeypatch, custody, "settle_unique")
    await two.here.turned()
    await gate.reached()
    creating = asyncio.create_task(
        two.there.shop.buyer.send("POST", "/v1/records", THIRD)
    )
    await blocked(creating)
    gate.open()
    refused = await creating
    assert (refused.status_code, refused.json()["code"]) == (409, "unique-conflict")
    await two.here.room.settled()
    ((kind, records),) = (await slots(two.here)).items()
    assert (kind, len(records)) == (("native", "unique"), 1)


async def test_a_create_before_the_turn_is_a_collision_after_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.verified()
    gate = hold(monkeypatch, vault_custody, "insert_values")
    creating = asyncio.create_task(
        two.there.shop.buyer.send("POST", "/v1/records", THIRD)
    )
    await gate.reached()
    turning = asyncio.create_task(two.here.turn())
    await blocked(turning)
    gate.open()
    assert (await creating).status_code == 201
    assert (await turning).status_code == 200
    await two.here.room.settled()
    view = Turned(two.here, await officer_of(two.here))
    (one,) = await view.listed()
    assert one["other"] == (await creating).json()["id"]
    assert await slots(two.here) == {
        ("native", "unique"): [one["other"]],
        ("native", "beside"): [one["record"]],
    }


async def test_two_workers_settle_a_handover_once(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.here.shop.buyer.create(OWN)
    gate = hold(monkeypatch, custody, "insert_collisions")
    await two.here.turned()
    await gate.reached()
    other = asyncio.create_task(
        settling.settle_all(two.there.room._ground, two.here.handover)
    )
    await blocked(other)
    gate.open()
    await other
    await two.here.room.settled()
    view = Turned(two.here, await officer_of(two.here))
    assert [one["position"] for one in await view.listed()] == [1]
    assert len(await two.here.vault.events("collision.found")) == 1
    seen = (await two.here.get("", view.officer)).json()["settlement"]
    assert (seen["state"], seen["records"], seen["open"]) == ("settled", 1, 1)


async def test_a_value_that_moves_between_the_two_looks_is_looked_at_again(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another record holds the value than the one whose lock the slice took."""
    own = await two.here.shop.buyer.create(OWN)
    looks = []
    look = settling._look

    def misled(*args: Any) -> Any:
        found = look(*args)
        looks.append(found)
        return replace(found, holders={}) if len(looks) == 1 else found

    monkeypatch.setattr(settling, "_look", misled)
    await two.here.turned()
    await two.here.room.settled()
    view = Turned(two.here, await officer_of(two.here))
    assert [one["other"] for one in await view.listed()] == [own]
    # Each slice is looked at twice: one slice, one that was overtaken, and the end.
    assert len(looks) == 6


@pytest.mark.parametrize("erased", ["kept", "absorbed"])
async def test_an_erasure_between_a_merges_look_and_its_write_voids_it(
    two: Two, monkeypatch: pytest.MonkeyPatch, erased: str
) -> None:
    here, there, own, arrived = await opened(two)
    gate = hold_after_prepare(monkeypatch)
    merging_task = asyncio.create_task(here.settle(own))
    await gate.reached()
    gone, left = (own, arrived) if erased == "kept" else (arrived, own)
    await _erase(there, gone)
    gate.open()
    refused = await merging_task
    assert (refused.status_code, refused.json()["state"]) == (409, "void")
    assert await here.found() == [left]
    assert not await two.here.vault.events("record.merged")


async def test_an_erasure_that_waits_for_a_merge_finds_what_is_left(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, own, arrived = await opened(two)
    gate = hold(monkeypatch, custody, "close_collision")
    merging_task = asyncio.create_task(here.settle(own))
    await gate.reached()
    erasing = asyncio.create_task(
        there.deal.shop.buyer.send(
            "DELETE", f"/v1/records/{arrived}", keyturn_purpose="rights_request"
        )
    )
    await blocked(erasing)
    gate.open()
    assert (await merging_task).status_code == 200
    assert (await erasing).status_code == 404
    await _erase(there, own)
    assert await here.found() == []
    assert await slots(two.here) == {}


async def _erase(view: Turned, record: str) -> None:
    done = await view.deal.shop.buyer.send(
        "DELETE", f"/v1/records/{record}", keyturn_purpose="rights_request"
    )
    assert done.status_code == 200, done.text


async def test_a_patch_between_a_merges_look_and_its_write_is_not_lost(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, own, arrived = await opened(two)
    gate = hold_after_prepare(monkeypatch)
    merging_task = asyncio.create_task(here.settle(own))
    await gate.reached()
    patched = await there.deal.shop.buyer.send(
        "PATCH",
        f"/v1/records/{arrived}",
        {"documents": {"basic": {"phone": "+49 30 999999"}}},
        if_match=(await there.deal.shop.buyer.read(arrived)).headers["etag"],
    )
    assert patched.status_code == 200, patched.text
    gate.open()
    assert (await merging_task).status_code == 200
    shown = await here.shown(own)
    assert shown["documents"]["basic"]["phone"] == "+49 30 999999"
    assert await here.found("phone", "+49 30 999999") == [own]
    assert await here.found("phone", "+49 171 1234567") == []


@pytest.mark.parametrize("first", ["merge", "keep_both"])
async def test_of_two_decisions_the_first_counts(
    two: Two, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    here, there, own, arrived = await opened(two)
    gate = hold(monkeypatch, custody, "close_collision")
    deciding = asyncio.create_task(here.settle(own, first))
    await gate.reached()
    same = asyncio.create_task(there.settle(own, first))
    other = asyncio.create_task(there.settle(arrived, "keep_both"))
    await blocked(same)
    gate.open()
    done = await deciding
    assert done.status_code == 200, done.text
    assert (await same).json() == done.json()
    refused = await other
    assert (refused.status_code, refused.json()["state"]) == (409, "settled")
    assert len(await two.here.vault.events("collision.settled")) == 1
    unique = (await slots(two.here))[("native", "unique")]
    assert unique == [own]
