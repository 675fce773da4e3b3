# SPDX-License-Identifier: Apache-2.0
"""What the system does by itself: resumed after any loss, never done twice."""

import asyncio
import json

import httpx
import pytest

from services.transfer.execution import Executions
from services.transfer.execution import store as batches
from services.transfer.handovers import State
from tests.integration.transfer.house import Running


async def finish(running: Running, handover: str, rounds: int = 60) -> dict:
    """Let everybody go on from wherever the handover stands, to its end."""
    for _ in range(rounds):
        view = await running.view(handover)
        for event, role in (
            ("freeze", "SC"),
            ("back_up", "SR"),
            ("release", "SC"),
            ("release", "BC"),
            ("receive", "BC"),
            ("pass", "PR"),
        ):
            if role not in view["waiting_for"]:
                continue
            signed = [w for w in view["to_sign"] if w["event"] == event]
            if signed:
                await running.signed(handover, event, role)
            elif event in {"freeze", "back_up"}:
                await running.post(handover, event, role)
        await running.work(4)
        running.house.clock.advance(20)
        view = await running.view(handover)
        if not view["waiting_for"]:
            return view
    raise AssertionError(view)


@pytest.mark.parametrize(
    "path",
    [
        "/plan$",
        "/snapshot$",
        "/decision$",
        "/backup$",
        "/mandate$",
        "/batches$",
        "/batches/2$",
        "/batches/3:verify$",
        ":turn$",
    ],
)
@pytest.mark.parametrize("how", ["lost", "away"])
async def test_a_lost_answer_or_an_absent_vault_stops_and_doubles_nothing(
    running: Running, path: str, how: str
) -> None:
    if how == "lost":
        running.house.vault.lost_answers.append(path)
    else:
        running.house.vault.away_once(path)
    handover = await running.to("freeze")
    view = await finish(running, handover)
    assert view["state"] == "seller_restricted"
    assert view["progress"]["verified"] == 4
    assert running.house.vault.turns[handover] == 1
    history = (await running.get(handover, "/history")).json()["items"]
    once = [step["event"] for step in history if step["role"] == "SYS"]
    assert len(once) == len(set(once))


async def test_a_decision_whose_root_is_not_its_own_is_disputed(
    running: Running,
) -> None:
    running.house.vault.root_lies = True
    handover = await running.to("freeze")
    await running.post(handover, "freeze", "SC")
    await running.work()
    view = await running.view(handover)
    assert view["state"] == "disputed"
    history = (await running.get(handover, "/history")).json()["items"]
    assert history[-1]["reason"] == "decision-root"


async def test_a_batch_that_is_not_what_was_signed_disputes_the_handover(
    running: Running,
) -> None:
    running.house.vault.refuse(r"/batches/2$", 409, "batch-digest-mismatch")
    handover = await released(running)
    await running.work()
    view = await running.view(handover)
    assert view["state"] == "disputed"
    assert view["progress"]["failed"] == 1
    await running.post(handover, "cancel", "BO")
    await running.work()
    assert (await running.view(handover))["state"] == "cancelled"


async def test_counts_that_do_not_add_up_are_disputed_after_the_turn(
    running: Running,
) -> None:
    running.house.vault.counts_lie = 1
    handover = await running.to("verify")
    await running.signed(handover, "receive", "BC")
    await running.work()
    view = await running.view(handover)
    assert view["state"] == "disputed"
    answer = await running.post(handover, "cancel", "SO")
    assert (answer.status_code, answer.json()["reason"]) == (409, "turned")


async def test_a_dropped_folio_is_counted_under_its_own_reason(
    running: Running,
) -> None:
    handover = await running.to("verify")
    running.house.vault.custodies[handover].dropped.add(0)
    view = await finish(running, handover)
    assert view["state"] == "seller_restricted"
    report = (await running.get(handover, "/report")).json()
    assert report["turned_counts"]["basic"] == {
        "transfer": {"eligible": 6},
        "excluded": {"objected": 2, "withdrawn": 1},
    }


async def released(running: Running) -> str:
    handover = await running.to("await_release")
    for role in ("SC", "BC"):
        assert (await running.signed(handover, "release", role)).status_code == 200
    return handover


async def test_a_failed_drill_waits_until_the_operator_asks_again(
    running: Running,
) -> None:
    running.house.vault.drills.append("failed")
    handover = await running.to("backup")
    await running.post(handover, "back_up", "SR")
    await running.work()
    running.house.clock.advance(60)
    await running.work()
    view = await running.view(handover)
    assert (view["state"], view["fault"]) == ("backup", "backup-failed")
    assert running.house.vault.calls["POST /v1/custody/H/backup"] == 1
    await running.post(handover, "back_up", "SR")
    await running.work()
    assert (await running.view(handover))["state"] == "await_release"


async def test_a_mandate_the_vault_refuses_is_shown_and_moves_nothing(
    running: Running,
) -> None:
    handover = await released(running)
    running.house.vault.refuse("/mandate$", 403, "mandate-refused")
    await running.work()
    view = await running.view(handover)
    assert (view["state"], view["fault"]) == ("await_release", "mandate-refused")
    running.house.vault.faults.clear()
    running.house.clock.advance(20)
    await running.work(3)
    assert (await running.view(handover))["state"] in {"executing", "verify"}


async def test_one_release_is_no_mandate(running: Running) -> None:
    handover = await running.to("await_release")
    await running.signed(handover, "release", "SC")
    await running.work()
    view = await running.view(handover)
    assert view["state"] == "await_release"
    assert view["waiting_for"] == ["BC"]
    assert running.house.vault.calls["PUT /v1/custody/H/mandate"] == 0


async def test_a_release_of_another_decision_is_refused(running: Running) -> None:
    handover = await running.to("await_release")
    view = await running.view(handover)
    from contracts.custody.signing import RELEASE_TYPE
    from tests.integration.transfer.house import envelope

    for changed, reason in (
        ({"decision_root": "sha256:" + "0" * 64}, "wrong-decision"),
        ({"counts": {"basic": {}}}, "wrong-counts"),
        ({"as_of": "2026-01-01"}, "wrong-day"),
        ({"snapshot_id": "another"}, "wrong-snapshot"),
    ):
        payload = await running.release(view, **changed)
        signed = envelope(payload, RELEASE_TYPE, running.house.people["SC"])
        answer = await running.post(handover, "release", "SC", document=signed)
        assert (answer.status_code, answer.json()["reason"]) == (403, reason)


# --- cancelling ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", ["draft", "approval", "freeze", "backup", "await_release", "verify"]
)
async def test_either_side_cancels_until_the_turn(running: Running, state: str) -> None:
    handover = await running.to(state)
    answer = await running.post(handover, "cancel", "BC", note="closing fell through")
    assert answer.status_code == 200
    await running.work()
    view = await running.view(handover)
    assert view["state"] == "cancelled"
    assert running.house.vault.turns[handover] == 0
    custody = running.house.vault.custodies.get(handover)
    assert custody is None or custody.state == "cancelled"


async def test_a_cancel_while_the_vault_turned_unnoticed_tells_the_truth(
    running: Running,
) -> None:
    handover = await running.to("verify")
    running.house.vault.lost_answers.append(":turn$")
    await running.signed(handover, "receive", "BC")
    await running.worker().look()  # the vault turned; its answer was lost
    assert running.house.vault.turns[handover] == 1
    assert (await running.view(handover))["fault"] == "vault-unavailable"
    assert (await running.post(handover, "cancel", "SO")).status_code == 200
    running.house.clock.advance(5)
    await running.work()
    assert (await running.view(handover))["state"] == "post_audit"


# --- batches ------------------------------------------------------------------------


async def test_leases_keep_workers_apart_and_run_out(running: Running) -> None:
    executions = Executions(running.base.journal, running.house.clock)
    handover = "h" * 36
    from services.transfer.vault_client import BatchItem

    items = [BatchItem(n=n, folios=1, digest=f"d{n}") for n in (1, 2)]
    await running.base.journal.write(lambda tx: batches.add(tx, handover, items))
    first = await executions.lease(handover, "waiting", "dead", 30)
    second = await executions.lease(handover, "waiting", "alive", 30)
    assert first is not None
    assert second is not None
    assert (first.n, second.n) == (1, 2)
    assert await executions.lease(handover, "waiting", "alive", 30) is None
    running.house.clock.advance(31)
    again = await executions.lease(handover, "waiting", "alive", 30)
    assert again is not None
    assert (again.n, again.attempts) == (1, 2)


async def test_two_workers_bring_each_batch_to_its_end_once(running: Running) -> None:
    handover = await released(running)
    one, two = running.worker("worker-1"), running.worker("worker-2")
    for _ in range(10):
        await asyncio.gather(one.look(), two.look())
        running.house.clock.advance(0.5)
    view = await running.view(handover)
    assert view["state"] == "verify"
    assert view["waiting_for"] == ["BC"]
    assert running.house.vault.calls["POST /v1/custody/H/batches/N"] == 4
    assert running.house.vault.calls["POST /v1/custody/H/batches/N:verify"] == 4


async def test_a_plan_whose_end_has_come_before_approval_expires(
    running: Running,
) -> None:
    handover = await running.to("approval")
    running.house.clock.advance(61 * 86_400)
    await running.work(1)
    assert (await running.view(handover))["state"] == "expired"


async def test_no_folio_to_transfer_still_turns_and_adds_up(running: Running) -> None:
    running.house.vault.inventory = {"basic": [("excluded", "objected")] * 3}
    handover = await running.to("seller_restricted")
    assert (await running.view(handover))["progress"]["batches"] == 0


# --- progress -----------------------------------------------------------------------


async def test_progress_streams_until_the_handover_has_ended(running: Running) -> None:
    handover = await running.to("draft")
    seen: list[dict] = []

    async def follow() -> None:
        answer = await running.get(handover, "/progress")
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.text.splitlines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.1)
    await running.post(handover, "cancel", "SO")
    await asyncio.wait_for(task, 5)
    assert [found["state"] for found in seen] == ["draft", "cancelled"]


async def test_progress_ends_when_the_service_stops(running: Running) -> None:
    handover = await running.to("necessity")
    task = asyncio.create_task(running.get(handover, "/progress"))
    await asyncio.sleep(0.1)
    running.app.state.stopping.set()
    answer: httpx.Response = await asyncio.wait_for(task, 5)
    assert answer.text.count("data: ") == 1


async def test_progress_ends_with_the_token(running: Running) -> None:
    handover = await running.to("draft")
    task = asyncio.create_task(running.get(handover, "/progress"))
    await asyncio.sleep(0.1)
    running.house.clock.advance(3601)
    answer: httpx.Response = await asyncio.wait_for(task, 5)
    assert answer.text.count("event: progress") == 1
    assert answer.text.rstrip().endswith(
        'event: closed\ndata: {"code": "token-expired"}'
    )


def test_every_state_the_system_works_in_is_looked_at() -> None:
    from services.transfer.execution.operations import _DRIVEN
    from services.transfer.handovers.states import RELEASERS, Event
    from services.transfer.handovers.steps import Position, next_vault_step

    every = frozenset((Event.RELEASE, role) for role in RELEASERS)
    owed = {
        state
        for state in State
        if next_vault_step(Position(state=state, asked=True, collected=every))
    }
    assert owed == set(_DRIVEN)
