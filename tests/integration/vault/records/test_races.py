# SPDX-License-Identifier: Apache-2.0
"""Promise: a change prepared before a freeze or a turn is not written behind it.

The interleaving is forced: prepare, let the other side commit, then write.
"""

from collections.abc import Awaitable, Callable

import pytest

from services.chassis.clock import SystemClock, random_bytes, uuid7
from services.vault.access import Action
from services.vault.custody import FolioMoved
from services.vault.records import Writing
from services.vault.records.values import RecordContent
from tests.integration.vault.records.handover import Handover
from tests.integration.vault.records.shop import JANE, Shop

PATCH = RecordContent(documents={"basic": {"city": "Neustadt"}})
ENTRY = {"entry_id": "o-9", "at": "2026-01-05T10:00:00Z", "product": "Kanne"}
APPEND = RecordContent(entries={"purchases": [ENTRY]})


async def behind(
    shop: Shop, id_: str, change: RecordContent, between: Callable[[], Awaitable[None]]
) -> None:
    """Prepare `change`, run `between`, then write what was prepared."""
    rooms = shop.vault.rooms
    writing = Writing(
        rooms.changes,
        rooms.keyring,
        rooms.catalogues,
        rooms.access,
        clock=SystemClock(),
        new_id=lambda: str(uuid7()),
        random_bytes=random_bytes,
    )
    principal = await shop.vault.app.state.verifier.verify(
        shop.seller.headers["Authorization"].removeprefix("Bearer ")
    )
    caller = await rooms.access.caller(principal, None, Action.PATCH)
    prepared = await writing.prepare_change(caller, id_, change)
    await between()
    await rooms.changes.write(prepared.fn, prepared.locks)


@pytest.mark.parametrize("change", [PATCH, APPEND])
async def test_nothing_is_written_behind_a_freeze(
    shop: Shop, change: RecordContent
) -> None:
    id_ = await shop.seller.create(JANE)
    before = (await shop.seller.read(id_)).content
    handover = Handover(shop)
    with pytest.raises(FolioMoved):
        await behind(shop, id_, change, handover.freeze)
    assert (await shop.seller.read(id_)).content == before
    # Through the door the change is prepared again, and finds the freeze.
    patched = await shop.seller.send(
        "PATCH",
        f"/v1/records/{id_}",
        {"documents": {"basic": {"city": "Neustadt"}}},
        if_match='"1"',
    )
    assert patched.json()["code"] == "folio-frozen"


@pytest.mark.parametrize("change", [PATCH, APPEND])
async def test_nothing_is_written_behind_a_turn(
    shop: Shop, change: RecordContent
) -> None:
    id_ = await shop.seller.create(JANE)

    async def hand_over() -> None:
        handover = Handover(shop)
        await handover.freeze()
        await handover.decide(id_)
        await handover.execute()
        await handover.turn()

    with pytest.raises(FolioMoved):
        await behind(shop, id_, change, hand_over)
    assert not await shop.vault.events("record.patched")
    assert not await shop.vault.events("entries.appended")


async def test_a_change_between_is_not_overwritten(shop: Shop) -> None:
    id_ = await shop.seller.create(JANE)

    async def other() -> None:
        answer = await shop.seller.send(
            "PATCH",
            f"/v1/records/{id_}",
            {"documents": {"basic": {"name": "Jane Other"}}},
            if_match='"1"',
        )
        assert answer.status_code == 200

    with pytest.raises(FolioMoved):
        await behind(shop, id_, PATCH, other)
    basic = (await shop.seller.read(id_)).json()["documents"]["basic"]
    assert (basic["name"], basic["city"]) == ("Jane Other", "Musterhausen")
