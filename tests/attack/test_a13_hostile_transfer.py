# SPDX-License-Identifier: Apache-2.0
"""A13: a transfer service in the attacker's hands carries documents; nothing moves."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.custody.plan import canonical_bytes
from contracts.officers import OfficerFile
from services.vault.custody import handover as custody
from tests.integration.vault.house import House
from tests.integration.vault.mandate.deal import Deal, enrol_all, open_deal
from tests.integration.vault.records.shop import JANE


@pytest.fixture
async def deal(house: House) -> AsyncIterator["Attacked"]:
    people = enrol_all(house)
    async with house.running() as vault:
        made = await open_deal(vault, people)
        jane = await made.shop.seller.create(JANE)
        await made.consent(jane)
        yield Attacked(made, jane)


class Attacked:
    """A deal, one customer, and people who have no say in it."""

    def __init__(self, deal: Deal, jane: str) -> None:
        self.deal = deal
        self.jane = jane
        self.stranger = deal.people.stranger
        self.second = deal.people.second
        self.operator = deal.people.operator

    async def nothing_moved(self) -> None:
        assert (await self.deal.shop.seller.read(self.jane)).status_code == 200
        pending = await self.deal.vault.rooms.changes.read(
            lambda c: custody.pending_counts(c, self.deal.handover, "buyer")
        )
        assert pending == {}
        answer = await self.deal.turn()
        assert answer.status_code == 409, answer.text

    async def revoke(self, officer: OfficerFile, by: OfficerFile) -> None:
        answer = await self.deal.vault.http.post(
            f"/v1/officers/{officer.sign.key_id}:revoke",
            headers=await self.deal.vault.as_officer(by),
        )
        assert answer.status_code == 200, answer.text


def _reason(answer: Any) -> str:
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] == "mandate-refused"
    return str(answer.json()["reason"])


@pytest.mark.attack("A13")
async def test_a13_a_forged_plan_voids_every_approval(deal: Attacked) -> None:
    approvals = deal.deal.approvals()
    deal.deal.changed["denied_purposes"] = {
        name: [] for name in ("basic", "habits", "purchases")
    }
    await deal.deal.lodge()
    answer = await deal.deal.freeze(approvals)
    assert _reason(answer) == "wrong-plan"
    assert (await deal.deal.status())["state"] == "planned"
    (refused,) = await deal.deal.vault.events("mandate.refused")
    assert refused.data["reason"] == "wrong-plan"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
@pytest.mark.parametrize("missing", ["SO", "SC", "BO", "BC"])
async def test_a13_every_approval_is_needed(deal: Attacked, missing: str) -> None:
    await deal.deal.lodge()
    approvals = [
        deal.deal.approval(r) for r in ("SO", "SC", "BO", "BC") if r != missing
    ]
    assert _reason(await deal.deal.freeze(approvals)) == "role-missing"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_foreign_login_and_forged_signatures_do_not_count(
    deal: Attacked,
) -> None:
    one = deal.deal
    await one.lodge()
    owner = one.people.SO
    cases: list[tuple[Any, str]] = [
        (one.approval("SO", deal.stranger), "signature-invalid"),
        (one.approval("SO", seed=owner.login.seed), "key-not-for-signing"),
        (one.approval("SO", deal.operator), "wrong-role"),
        (one.approval("SO", person="sc"), "wrong-person"),
        (one.approval("BO", deal.deal.people.SO), "wrong-role"),
        (one.approval("SO", handover=one.another().handover), "wrong-handover"),
        (one.approval("SO", installation="another"), "wrong-installation"),
        (one.approval("SO", expires="2026-03-01T00:00:00Z"), "document-expired"),
    ]
    altered = json.loads(json.dumps(one.approval("SO")))
    altered["payload"] = one.approval("SO", expires="2026-03-20T00:00:00Z")["payload"]
    cases.append((altered, "signature-invalid"))
    for envelope, reason in cases:
        answer = await one.freeze(one.approvals(SO=envelope))
        assert _reason(answer) == reason
    twice = await one.freeze([*one.approvals(), one.approval("SO", deal.second)])
    assert _reason(twice) == "role-twice"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_a_revoked_key_approves_nothing(deal: Attacked) -> None:
    await deal.deal.lodge()
    await deal.revoke(deal.deal.people.SO, deal.deal.people.SC)
    assert _reason(await deal.deal.freeze()) == "key-revoked"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
@pytest.mark.parametrize("role", ["SC", "BC"])
async def test_a13_a_swapped_decision_is_not_released(
    deal: Attacked, role: str
) -> None:
    one = await deal.deal.decided()
    swapped = await one.release(role, decision_root="sha256:" + "00" * 32)
    assert _reason(
        await one.mandate(releases=await one.releases(**{role: swapped}))
    ) == ("wrong-decision")
    counts = {"basic": {"transfer": {"eligible": 0}}}
    lied = await one.release(role, counts=counts)
    assert _reason(await one.mandate(releases=await one.releases(**{role: lied}))) == (
        "wrong-counts"
    )
    other = await one.release(role, snapshot_id="another")
    assert _reason(await one.mandate(releases=await one.releases(**{role: other}))) == (
        "wrong-snapshot"
    )
    only = [await one.release(role)]
    assert _reason(await one.mandate(releases=only)) == "role-missing"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_documents_of_another_handover_open_nothing(deal: Attacked) -> None:
    one = await deal.deal.decided()
    other = one.another()
    await other.lodge()
    assert _reason(await other.freeze(one.approvals())) == "wrong-handover"
    await other.freeze()
    answer = await other.mandate(releases=await one.releases())
    assert _reason(answer) == "wrong-handover"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_no_batch_runs_without_a_mandate(deal: Attacked) -> None:
    one = await deal.deal.decided()
    (batch,) = await one.batches()
    answer = await one.execute(batch)
    assert (answer.status_code, answer.json()["state"]) == (409, "decided")
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_a_key_revoked_later_stops_the_next_batch(deal: Attacked) -> None:
    one = await deal.deal.mandated()
    await deal.revoke(one.people.SO, one.people.SC)
    (batch,) = await one.batches()
    assert _reason(await one.execute(batch)) == "key-revoked"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_a_key_revoked_at_the_end_stops_the_turn(deal: Attacked) -> None:
    one = await deal.deal.verified()
    await deal.revoke(one.people.BC, one.people.BO)
    answer = await one.turn()
    assert (answer.status_code, answer.json()["reason"]) == (409, "key-revoked")
    assert (await one.shop.seller.read(deal.jane)).status_code == 200
    cancelled = await one.end()
    assert cancelled.status_code == 202
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_a_mandate_that_expired_moves_nothing(deal: Attacked) -> None:
    one = await deal.deal.decided()
    soon = "2026-03-02T09:05:00.000Z"
    releases = await one.releases(SC=await one.release("SC", expires=soon))
    assert (await one.mandate(releases=releases)).status_code == 200
    one.vault.house.clock.advance(301)
    (batch,) = await one.batches()
    assert _reason(await one.execute(batch)) == "document-expired"
    # Fresh releases over the same decision make it whole again.
    assert (await one.mandate()).status_code == 200
    assert (await one.execute(batch)).status_code == 200


@pytest.mark.attack("A13")
async def test_a13_a_batch_replayed_a_hundred_times_moves_once(deal: Attacked) -> None:
    one = await deal.deal.mandated()
    (batch,) = await one.batches()
    answers = [(await one.execute(batch)).json() for _ in range(100)]
    assert all(answer == answers[0] for answer in answers)
    pending = await one.vault.rooms.changes.read(
        lambda c: custody.pending_counts(c, one.handover, "buyer")
    )
    assert pending == {"basic": 1, "habits": 1, "purchases": 1}


@pytest.mark.attack("A13")
async def test_a13_no_other_party_and_no_lesser_scope_moves_a_step(
    deal: Attacked,
) -> None:
    one = await deal.deal.decided()
    stranger = await one.vault.as_officer(deal.stranger)
    owner = await one.vault.as_officer(one.people.SO)
    for headers, steps in (
        (
            stranger,
            [("GET", "", 404), ("POST", ":cancel", 404), ("GET", "/decision", 404)],
        ),
        (owner, [("POST", ":turn", 403), ("POST", "/batches/1:verify", 403)]),
    ):
        for method, path, status in steps:
            answer = await one.vault.http.request(
                method, one.path + path, headers=headers
            )
            assert answer.status_code == status, (path, answer.text)
    sent = await one.vault.http.put(
        f"{one.path}/plan",
        content=canonical_bytes(one.plan),
        headers={**owner, "content-type": "application/vnd.keyturn.plan.v1+json"},
    )
    assert sent.status_code == 403
    assert (await one.status())["state"] == "decided"
    await deal.nothing_moved()


@pytest.mark.attack("A13")
async def test_a13_fewer_people_are_not_enough_by_another_profile(
    deal: Attacked,
) -> None:
    deal.deal.changed["profile"] = "small"
    answer = await deal.deal.lodge()
    assert answer.status_code == 409, answer.text
    assert answer.json()["reason"] == "profile-not-built"
    assert (await deal.deal.shop.seller.read(deal.jane)).status_code == 200
