# SPDX-License-Identifier: Apache-2.0
"""People's steps: who may, what must be signed, what an edit voids, what is written."""

import hashlib
from datetime import UTC, datetime

import pytest

from contracts.custody.signing import APPROVAL_TYPE
from contracts.custody.statement import STATEMENT_TYPE, Statement, statement_bytes
from contracts.events import envelope as events
from services.chassis import outbox
from services.chassis.auth import PrincipalKind
from services.chassis.idempotency import REPLAYED
from tests.integration.transfer.house import (
    BUYER,
    INSTALLATION,
    SCOPE,
    SELLER,
    Running,
    envelope,
)


async def events_of(running: Running) -> list[events.Event]:
    journal = running.base.journal

    def read(connection):
        found = []
        for head in outbox.heads(connection, journal.tables):
            found += outbox.rows_from(connection, journal.tables, head.lane, 1)
        return found

    return [events.parse(row.event) for row in await journal.read(read)]


# --- opening ------------------------------------------------------------------------


async def test_a_repeated_create_opens_one_handover(running: Running) -> None:
    first = await running.create(key="same")
    again = await running.create(key="same")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers[REPLAYED] == "true"
    assert again.headers["audit-event"] == first.headers["audit-event"]
    other = await running.create(key="same", deal_type="merger")
    assert other.status_code == 422
    created = [e for e in await events_of(running) if "created" in e.type]
    assert len(created) == 1


async def test_only_an_owner_of_the_seller_opens_a_handover(running: Running) -> None:
    for role in ("SC", "SR", "BO", "PR", "XO"):
        answer = await running.create(role)
        assert answer.status_code == 403, role
        assert answer.json()["reason"] == "not-the-sellers-owner"


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"buyer": SELLER}, "/buyer"),
        ({"reviewer": BUYER}, "/buyer"),
        ({"path": "no_handover"}, "/path"),
        ({"path": "no_successor"}, "/path"),
    ],
    ids=["seller-is-buyer", "reviewer-is-buyer", "share-sale", "no-successor"],
)
async def test_parties_are_distinct_and_the_path_hands_something_over(
    running: Running, changed: dict[str, str], pointer: str
) -> None:
    answer = await running.create(**changed)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("member", ["buyer", "reviewer"])
async def test_a_party_that_the_vault_does_not_know_is_no_party_of_a_handover(
    running: Running, member: str
) -> None:
    answer = await running.create(**{member: "sauth"})
    assert answer.status_code == 422
    assert answer.json()["reason"] == "no-such-party"
    assert answer.json()["errors"][0]["pointer"] == f"/{member}"
    assert "sauth" not in answer.text
    assert not [e for e in await events_of(running) if "created" in e.type]


async def test_a_create_without_a_key_is_refused(running: Running) -> None:
    answer = await running.http.post(
        "/v1/handovers",
        json={
            "seller": SELLER,
            "buyer": BUYER,
            "deal_type": "merger",
            "path": "succession",
        },
        headers=running.headers("SO"),
    )
    assert answer.json()["code"] == "idempotency-key-required"


# --- who may know, who may act ------------------------------------------------------


async def test_others_do_not_learn_that_a_handover_exists(running: Running) -> None:
    handover = await running.to("approval")
    for path in ("", "/history", "/plan", "/scope", "/documents", "/report"):
        assert (await running.get(handover, path, "XO")).status_code == 404, path
        assert (await running.get(handover, path, "BO")).status_code == 200, path
    assert (await running.get(handover, "/progress", "XO")).status_code == 404
    assert (await running.post(handover, "cancel", "XO")).status_code == 404
    listed = await running.http.get("/v1/handovers", headers=running.headers("XO"))
    assert listed.json()["items"] == []
    nobody = "01890000-0000-7000-8000-000000000000"
    assert (await running.get(nobody)).status_code == 404


async def test_a_system_of_the_seller_sees_no_handover(running: Running) -> None:
    handover = await running.to("necessity")
    token = running.house.token("SO", kind=PrincipalKind.CLIENT)
    headers = {"authorization": f"Bearer {token}"}
    answer = await running.http.get(f"/v1/handovers/{handover}", headers=headers)
    assert answer.status_code == 404


async def test_a_monitor_reads_and_does_nothing(running: Running) -> None:
    handover = await running.to("necessity")
    assert (await running.get(handover, role="MO")).status_code == 200
    answer = await running.post(handover, "cancel", "MO")
    assert (answer.status_code, answer.json()["reason"]) == (403, "role")


async def test_a_step_of_another_state_is_refused_and_loses_nothing(
    running: Running,
) -> None:
    handover = await running.to("necessity")
    before = await running.view(handover)
    answer = await running.post(handover, "freeze", "SC")
    assert answer.status_code == 409
    assert answer.json()["reason"] == "state"
    assert answer.json()["state"] == "necessity"
    assert await running.view(handover) == before
    for unknown in ("fly", "frozen", "turned", "mandated"):
        answer = await running.post(handover, unknown, "SC")
        assert answer.status_code in {403, 404, 409}, unknown
    assert await running.view(handover) == before


async def test_one_person_keeps_one_role_in_a_handover(running: Running) -> None:
    handover = await running.to("necessity")
    running.house.people["SO"].enrolled_as = "compliance"
    answer = await running.post(handover, "confirm", "SO")
    assert (answer.status_code, answer.json()["reason"]) == (403, "person")


async def test_whoever_drafted_the_plan_may_not_approve_it(running: Running) -> None:
    handover = await running.to("planning")
    answer = await running.post(handover, "ready", "BC", plan=running.plan())
    assert answer.status_code == 200, answer.text
    assert (await running.signed(handover, "pass", "PR")).status_code == 200
    answer = await running.signed(handover, "approve", "BC")
    assert (answer.status_code, answer.json()["reason"]) == (403, "drafter")


# --- signatures ---------------------------------------------------------------------


async def approve(running: Running, handover_: str, signer: str = "SC", **changed):
    view = await running.view(handover_)
    payload = running.approval(view, "SC", **changed)
    signed = envelope(payload, APPROVAL_TYPE, running.house.people[signer])
    return await running.post(handover_, "approve", "SC", document=signed)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"plan_hash": "sha256:" + "0" * 64}, "wrong-plan"),
        ({"role": "SO"}, "wrong-role"),
        ({"person": "p-so"}, "wrong-person"),
        ({"installation": "ffff"}, "wrong-installation"),
        ({"handover": "01890000-0000-7000-8000-000000000000"}, "wrong-handover"),
        ({"expires": "2026-01-01T00:00:00Z"}, "document-expired"),
    ],
    ids=["plan", "role", "person", "installation", "handover", "expired"],
)
async def test_an_approval_of_anything_else_is_refused(
    running: Running, changed: dict[str, str], reason: str
) -> None:
    handover = await running.to("approval")
    answer = await approve(running, handover, **changed)
    assert (answer.status_code, answer.json()["reason"]) == (403, reason)
    assert (await running.view(handover))["signed"] == ["agree:BO", "agree:SO"]


async def test_nobody_hands_in_a_colleague_s_signature(running: Running) -> None:
    handover = await running.to("approval")
    answer = await approve(running, handover, signer="SO")
    assert (answer.status_code, answer.json()["reason"]) == (403, "wrong-person")
    answer = await approve(running, handover, signer="XO")
    assert (answer.status_code, answer.json()["reason"]) == (403, "signature-invalid")


async def test_a_revoked_or_login_key_signs_nothing(running: Running) -> None:
    handover = await running.to("approval")
    officers = running.house.vault.officers
    index = next(i for i, key in enumerate(officers) if key.person == "p-sc")
    good = officers[index]
    for changed, reason in (
        ({"use": "login"}, "key-not-for-signing"),
        ({"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)}, "key-revoked"),
    ):
        members = {name: getattr(good, name) for name in type(good).__slots__}
        officers[index] = type(good)(**{**members, **changed})
        answer = await approve(running, handover)
        assert (answer.status_code, answer.json()["reason"]) == (403, reason)
    officers[index] = good
    assert (await approve(running, handover)).status_code == 200


async def test_a_step_that_must_be_signed_is_refused_without_a_document(
    running: Running,
) -> None:
    handover = await running.to("approval")
    answer = await running.post(handover, "approve", "SC")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/document"


async def test_a_necessity_statement_says_why_for_each_class(running: Running) -> None:
    handover = await running.to("necessity")
    subject = (await running.view(handover))["to_sign"][0]["subject"]
    for body in ({}, {"classes": {"basic": {"service": "x", "why": "y"}}}):
        payload = statement_bytes(
            Statement(
                installation=INSTALLATION,
                handover=handover,
                kind="necessity",
                role="SC",
                person="p-sc",
                body=body,
                subject=subject,
            )
        )
        signed = envelope(payload, STATEMENT_TYPE, running.house.people["SC"])
        answer = await running.post(handover, "confirm", "SC", document=signed)
        assert answer.status_code == 422, body


async def test_the_vault_is_asked_for_keys_and_its_silence_loses_nothing(
    running: Running,
) -> None:
    handover = await running.to("approval")
    running.house.vault.away_once("/officers")
    answer = await running.signed(handover, "approve", "SC")
    assert answer.status_code == 502
    assert (await running.signed(handover, "approve", "SC")).status_code == 200


# --- scope and plan -----------------------------------------------------------------


async def test_a_scope_holds_only_classes_whose_necessity_was_stated(
    running: Running,
) -> None:
    handover = await running.to("scoping")
    wider = {
        **SCOPE,
        "classes": ["basic", "habits"],
        "purposes": {"basic": [], "habits": []},
        "denied_purposes": {"basic": [], "habits": []},
    }
    answer = await running.post(handover, "propose", "SR", scope=wider)
    assert (answer.status_code, answer.json()["reason"]) == (
        422,
        "necessity-not-stated",
    )
    answer = await running.post(handover, "agree", "SO")
    assert answer.json()["reason"] == "no-scope"


async def test_a_plan_is_what_the_owners_agreed_to(running: Running) -> None:
    handover = await running.to("planning")
    for changed, reason in (
        ({"classes": ["basic"]}, "differs-from-scope"),
        ({"buyer": "somebody"}, "differs-from-deal"),
        ({"expires": "2026-01-01T00:00:00Z"}, "expired"),
        ({"profile": "small"}, "not-built"),
        ({"rule_pack_hash": "sha256:" + "1" * 64}, "pack-mismatch"),
    ):
        answer = await running.post(
            handover, "ready", "SR", plan=running.plan(**changed)
        )
        assert (answer.status_code, answer.json()["reason"]) == (422, reason)
    plan = running.plan(as_of="2026-03-02")
    answer = await running.post(handover, "ready", "SR", plan=plan)
    assert (answer.status_code, answer.json()["code"]) == (403, "demonstration-only")
    answer = await running.post(handover, "ready", "SR", plan=running.plan(**SCOPE))
    assert answer.status_code == 200, answer.text
    served = await running.get(handover, "/plan", role="BC")
    assert served.headers["content-type"] == "application/vnd.keyturn.plan.v1+json"
    digest = "sha256:" + hashlib.sha256(served.content).hexdigest()
    assert (await running.view(handover))["plan_hash"] == digest


async def test_an_edit_voids_approvals_and_they_never_count_again(
    running: Running,
) -> None:
    handover = await running.to("approval")
    kept = await running.sign(handover, "approve", "SO")
    await running.post(handover, "approve", "SO", document=kept)
    await running.signed(handover, "approve", "BO")
    assert (await running.post(handover, "changes", "BC")).status_code == 200
    view = await running.view(handover)
    assert view["state"] == "planning"
    assert view["plan_hash"] is None
    assert (await running.get(handover, "/plan")).status_code == 404

    plan = running.plan(contract_hash="sha256:" + "d" * 64)
    assert (await running.post(handover, "ready", "SR", plan=plan)).status_code == 200
    assert (await running.signed(handover, "pass", "PR")).status_code == 200
    answer = await running.post(handover, "approve", "SO", document=kept)
    assert (answer.status_code, answer.json()["reason"]) == (403, "wrong-plan")
    report = (await running.get(handover, "/report")).json()
    approvals = [s for s in report["signatures"] if s["kind"] == "approval"]
    assert [s["counts"] for s in approvals] == [False, False]
    opinions = [s for s in report["signatures"] if s["kind"] == "opinion"]
    assert [s["counts"] for s in opinions] == [False, True]


# --- evidence -----------------------------------------------------------------------


async def test_every_step_is_one_row_and_one_event_and_names_no_person(
    running: Running,
) -> None:
    handover = await running.to("seller_restricted")
    history = (await running.get(handover, "/history")).json()["items"]
    found = await events_of(running)
    steps = [e for e in found if e.type == "org.keyturn.handover.advanced.v1"]
    assert [e.data["step"] for e in steps] == [step["step"] for step in history]
    assert [e.data["event"] for e in steps] == [step["event"] for step in history]
    filed = [e for e in found if e.type == "org.keyturn.document.filed.v1"]
    documents = (await running.get(handover, "/documents")).json()["items"]
    assert [e.data["digest"] for e in filed] == [d["digest"] for d in documents]
    batches = [e for e in found if e.type == "org.keyturn.batch.reconciled.v1"]
    assert sorted(e.data["n"] for e in batches) == [1, 2, 3, 4]
    assert {p.party for e in batches for p in e.parties} == {SELLER}
    whole = b"".join(str(e.data).encode() for e in found)
    for person in running.house.people.values():
        assert person.name.encode() not in whole


async def test_the_list_is_paged_and_filtered(running: Running) -> None:
    made = [(await running.create(key=f"k{n}")).json()["id"] for n in range(3)]
    await running.post(made[0], "cancel", "SO")
    headers = running.headers("BO")
    first = await running.http.get("/v1/handovers?limit=2", headers=headers)
    assert [item["id"] for item in first.json()["items"]] == made[:0:-1]
    cursor = first.json()["next_cursor"]
    rest = await running.http.get(
        f"/v1/handovers?limit=2&cursor={cursor}", headers=headers
    )
    assert [item["id"] for item in rest.json()["items"]] == made[:1]
    assert rest.json()["has_more"] is False
    gone = await running.http.get("/v1/handovers?state=cancelled", headers=headers)
    assert [item["id"] for item in gone.json()["items"]] == made[:1]
