# SPDX-License-Identifier: Apache-2.0
"""Promise: a vault killed anywhere in a handover loses and doubles nothing.

A child process serves the same installation, is armed, takes one step and dies by
SIGKILL at the point; the next start goes on from what is durable.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.custody.decision import decision_root, summarise
from services.vault.custody import handover as custody
from tests.integration.vault.conftest import bare_house, house
from tests.integration.vault.house import House
from tests.integration.vault.mandate.deal import Deal, People, enrol_all, open_deal
from tests.integration.vault.mandate.settlement import Turned, officer_of, slots
from tests.integration.vault.records.shop import JANE, Crm, Shop, person

__all__ = ["bare_house", "house"]

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from services.chassis.crashpoints import CRASH_POINTS
from services.chassis.variables import Secret
from services.vault.mandate import freezing, settling
from tests.integration.vault.house import House, settings_in

async def main(told):
    urls = {name: Secret(url) for name, url in told["urls"].items()}
    house = House(settings_in(Path(told["folder"]), **urls))
    freezing.SLICE_RECORDS = settling.SLICE_RECORDS = told["slice"]
    async with house.running() as vault:
        headers = await vault.as_client("transfer")
        CRASH_POINTS.arm(told["point"], told["hits"])
        answer = await vault.http.request(
            told["method"], told["path"], json=told["body"], headers=headers
        )
        print(answer.status_code, answer.text, flush=True)
        await vault.rooms.mandates.settled()

asyncio.run(main(json.loads(sys.stdin.read())))
"""


def die_at(
    deal: Deal, point: str, method: str, path: str, body: Any = None, hits: int = 1
) -> None:
    settings = deal.vault.house.settings
    urls = {
        name: value.reveal()
        for name in ("database_url", "keys_database_url")
        if (value := getattr(settings, name)) is not None
    }
    told = {
        "folder": str(settings.state_dir.parent),
        "urls": urls,
        "point": point,
        "hits": hits,
        "method": method,
        "path": deal.path + path,
        "body": body,
        "slice": 1,
    }
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(told).encode(),
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, (child.stdout, child.stderr[-2000:])


async def at_rest(house: House, people: People, step: str) -> Deal:
    """Bring a deal to a step with six customers, and let the vault stop."""
    async with house.running() as vault:
        deal = await open_deal(vault, people)
        await deal.consent(await deal.shop.seller.create(JANE))
        for number in range(5):
            await deal.consent(await deal.shop.seller.create(person(number)))
        await deal.lodge()
        if step != "lodged":
            await getattr(deal, step)()
        return deal


def again(deal: Deal, vault: Any) -> Deal:
    """The same deal at the vault that was started again; tokens outlive a restart."""
    seller, buyer = (Crm(vault, c.headers) for c in (deal.shop.seller, deal.shop.buyer))
    return Deal(
        Shop(vault, seller, buyer, narrow=seller),
        deal.people,
        Crm(vault, deal.transfer.headers),
        deal.handover,
        deal.changed,
    )


@pytest.mark.parametrize("hits", [1, 2, 4, 8])
async def test_a_decision_is_finished_after_a_kill(house: House, hits: int) -> None:
    people = enrol_all(house)
    deal = await at_rest(house, people, "lodged")
    body = {"approvals": deal.approvals()}
    die_at(deal, "database.after_commit", "POST", "/snapshot", body, hits)
    async with house.running() as vault:
        deal = again(deal, vault)
        await deal.room.settled()
        status = await deal.status()
        assert (status["state"], status["decided"]) == ("decided", 8)
        rows = await vault.rooms.changes.read(
            lambda c: custody.rows_after(c, deal.handover, -1)
        )
        scope = await vault.rooms.changes.read(
            lambda c: custody.find_scope(c, "seller", deal.handover)
        )
        assert scope is not None
        secret = vault.rooms.mandates._ground.secret_of(scope)
        recomputed = summarise([one.row for one in rows], secret)
        assert decision_root(recomputed) == status["decision_root"]
        assert len(await vault.events("decision.made")) == 1
        assert sum(one["folios"] for one in await deal.batches()) == 8


@pytest.mark.parametrize(
    "point",
    ["vault.batch.before_write", "database.before_commit", "database.after_commit"],
)
async def test_a_batch_killed_anywhere_moves_once(house: House, point: str) -> None:
    people = enrol_all(house)
    deal = await at_rest(house, people, "mandated")
    async with house.running() as vault:
        (batch,) = await again(deal, vault).batches()
        # The buyer's keys are made by then: the next commit is the batch's own.
        for party in ("buyer", "seller"):
            await vault.rooms.keyring.of(
                party, creating=["identity", "basic", "habits", "purchases"]
            )
    die_at(deal, point, "POST", "/batches/1", {"digest": batch["digest"]})
    async with house.running() as vault:
        deal = again(deal, vault)
        executed = (await deal.status())["batches"]["executed"]
        assert executed == (1 if point == "database.after_commit" else 0)
        answer = await deal.execute(batch)
        assert (answer.status_code, answer.json()["folios"]) == (200, 8), answer.text
        assert len(await vault.events("batch.executed")) == 1
        assert (await deal.verify(batch)).json()["folios"] == 8
        assert (await deal.turn()).status_code == 200


async def test_a_turn_killed_after_its_commit_has_turned_once(house: House) -> None:
    people = enrol_all(house)
    deal = await at_rest(house, people, "verified")
    die_at(deal, "vault.turn.after_write", "POST", ":turn")
    async with house.running() as vault:
        deal = again(deal, vault)
        assert (await deal.status())["state"] == "turned"
        answer = await deal.turn()
        assert answer.status_code == 200
        assert answer.json()["counts"]["basic"] == {"transfer": {"eligible": 6}}
        assert len(await vault.events("custody.turned")) == 1


@pytest.mark.parametrize("hits", [1, 3, 5])
async def test_a_settlement_killed_between_slices_goes_on(
    house: House, hits: int
) -> None:
    people = enrol_all(house)
    async with house.running() as vault:
        deal = await open_deal(vault, people)
        for number in range(4):
            await deal.consent(await deal.shop.seller.create(person(number)))
        for number in (0, 3):
            await deal.shop.buyer.create(person(number))
        await deal.verified()
    die_at(deal, "vault.settlement.after_slice", "POST", ":turn", hits=hits)
    async with house.running() as vault:
        deal = again(deal, vault)
        await deal.room.settled()
        view = Turned(deal, await officer_of(deal))
        listed = await view.listed()
        assert [one["position"] for one in listed] == [1, 2]
        assert await slots(deal) == {
            ("native", "unique"): sorted(
                {one["other"] for one in listed}
                | set(await view.found(value="p1@example.org"))
                | set(await view.found(value="p2@example.org"))
            ),
            ("native", "beside"): sorted(one["record"] for one in listed),
        }
        assert len(await vault.events("collision.found")) == 2
        seen = (await deal.get("", view.officer)).json()["settlement"]
        assert seen == {"state": "settled", "records": 4, "collisions": 2, "open": 2}


async def test_a_turn_killed_before_its_commit_has_not_turned(house: House) -> None:
    people = enrol_all(house)
    deal = await at_rest(house, people, "verified")
    die_at(deal, "database.before_commit", "POST", ":turn")
    async with house.running() as vault:
        deal = again(deal, vault)
        assert (await deal.status())["state"] == "mandated"
        assert (await deal.turn()).status_code == 200
        assert len(await vault.events("custody.turned")) == 1


@pytest.mark.parametrize("verb", ["cancel", "revoke"])
async def test_what_a_cancelled_handover_prepared_goes_after_a_kill(
    house: House, verb: str
) -> None:
    people = enrol_all(house)
    deal = await at_rest(house, people, "verified")
    die_at(deal, "database.after_commit", "POST", f":{verb}")
    async with house.running() as vault:
        deal = again(deal, vault)
        await deal.room.settled()
        ended = {"cancel": "cancelled", "revoke": "revoked"}[verb]
        assert (await deal.status())["state"] == ended
        left = await vault.rooms.changes.read(
            lambda c: custody.pending_counts(c, deal.handover, "buyer")
        )
        assert left == {}


async def test_a_backup_that_was_killed_is_made_again(house: House) -> None:
    people = enrol_all(house)
    deal = await at_rest(house, people, "decided")
    die_at(deal, "database.after_commit", "POST", "/backup")
    async with house.running() as vault:
        deal = again(deal, vault)
        await deal.room.settled()
        backup = (await deal.status())["backup"]
        assert (backup["state"], backup["drill"], backup["folios"]) == (
            "passed",
            "passed",
            8,
        )
