# SPDX-License-Identifier: Apache-2.0
"""A caller finds what concerns it, all of it, each with its proof, and nothing else."""

import base64
import json

import pytest

from contracts.events import transfer as transfer_events
from contracts.events import vault as vault_events
from contracts.events.envelope import canonical_json, parse
from contracts.log.checkpoint import open_checkpoint
from contracts.log.merkle import leaf_hash
from contracts.log.proof import TlogProof
from contracts.scopes import Scope
from tests.fakes.evidence import SIGNER, Lane
from tests.integration.audit.search.library import Library, bearer

HANDOVER = "018f0000-0000-7000-8000-000000000001"
ALIAS, OTHER = "ab" * 16, "cd" * 16


def reading(alias: str = ALIAS, client: str = "crm"):
    return vault_events.RecordRead(
        client=client,
        purpose="contract",
        record=alias,
        classes=["basic"],
        view="full",
        policy="p1",
    )


async def filled(library: Library) -> tuple[Lane, list[bytes], Lane, list[bytes]]:
    vault, transfer = Lane("a"), Lane("b", "transfer-1/handovers", "transfer")
    raws = [vault.open()]
    raws += [vault.write(reading().draft("seller")) for _ in range(3)]
    raws += [vault.write(reading(OTHER, "desk").draft("buyer"))]
    created = transfer_events.HandoverCreated(
        handover=HANDOVER, seller="seller", buyer="buyer", deal_type="asset_sale"
    )
    steps = [transfer.open(), transfer.write(created.draft("seller", "buyer"))]
    await library.add(vault, raws)
    await library.add(transfer, steps)
    return vault, raws, transfer, steps


def raws_of(answer) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(item["raw"]) for item in answer.json()["items"]]


async def test_a_party_finds_what_concerns_it_and_nothing_else(
    library: Library,
) -> None:
    _vault, raws, _transfer, steps = await filled(library)
    assert raws_of(await library.get("/v1/events", "seller"))[:4] == [
        *raws[1:4],
        steps[1],
    ]
    assert raws_of(await library.get("/v1/events", "buyer"))[:2] == [raws[4], steps[1]]
    assert raws_of(await library.get("/v1/events", "stranger")) == []


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"alias": ALIAS}, ["a/2", "a/3", "a/4"]),
        ({"alias": OTHER}, ["a/5"]),
        ({"handover": HANDOVER}, ["b/2"]),
        ({"actor": "desk"}, ["a/5"]),
        ({"type": "org.keyturn.lane.opened.v1"}, ["audit/1", "a/1", "b/1"]),
        ({"party": "buyer"}, ["a/5", "b/2"]),
        ({"party": "buyer", "alias": OTHER}, ["a/5"]),
        ({"to": "2026-11-24T10:00:00Z", "alias": ALIAS}, []),
        ({"from": "2026-11-24T10:00:00Z", "alias": OTHER}, ["a/5"]),
        ({"to": "2026-11-24T18:00:00.001+08:00", "alias": OTHER}, ["a/5"]),
    ],
)
async def test_each_filter_finds_its_events(
    library: Library, query: dict[str, str], wanted: list[str]
) -> None:
    await filled(library)
    answer = await library.get("/v1/events", "platform", **query)
    own = library.journal.lane
    found = [
        item["id"].replace(own, "audit").replace("a" * 32, "a").replace("b" * 32, "b")
        for item in answer.json()["items"]
    ]
    assert found == wanted
    assert answer.json()["size"] >= 8


async def test_the_scope_monitor_sees_every_party(library: Library) -> None:
    await filled(library)
    headers = bearer("seller", Scope.AUDIT_EVENTS, Scope.AUDIT_MONITOR)
    answer = await library.http.get(f"/v1/events?alias={OTHER}", headers=headers)
    assert len(answer.json()["items"]) == 1


async def test_pages_give_each_event_once(library: Library) -> None:
    _vault, raws, _transfer, _steps = await filled(library)
    found, cursor = [], None
    while True:
        query = {"limit": "2", "type": "org.keyturn.record.read.v1"}
        if cursor is not None:
            query["cursor"] = cursor
        answer = await library.get("/v1/events", "seller", **query)
        found += raws_of(answer)
        cursor = answer.json()["next_cursor"]
        assert answer.json()["has_more"] is (cursor is not None)
        if cursor is None:
            break
    assert found == raws[1:4]


async def test_the_newest_first_gives_the_same_events_backwards(
    library: Library,
) -> None:
    _vault, raws, _transfer, _steps = await filled(library)
    wanted = {"limit": "2", "type": "org.keyturn.record.read.v1", "order": "desc"}
    first = await library.get("/v1/events", "seller", **wanted)
    # What comes meanwhile is newer than the page and moves none of the rest.
    later = Lane("c")
    more = [later.open(), later.write(reading().draft("seller"))]
    await library.add(later, more)
    wanted["cursor"] = first.json()["next_cursor"]
    second = await library.get("/v1/events", "seller", **wanted)
    assert raws_of(first) + raws_of(second) == raws[3:0:-1]
    assert second.json()["next_cursor"] is None
    del wanted["cursor"]
    assert raws_of(await library.get("/v1/events", "seller", **wanted))[0] == more[1]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_cursor_belongs_to_its_order(library: Library, order: str) -> None:
    await filled(library)
    page = await library.get("/v1/events", "seller", limit="1", order=order)
    other = {"asc": "desc", "desc": "asc"}[order]
    wrong = {"cursor": page.json()["next_cursor"], "order": other}
    answer = await library.get("/v1/events", "seller", **wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor-invalid")


@pytest.mark.parametrize(
    ("query", "place", "told"),
    [
        ({"type": "record.read"}, "/type", "org.keyturn.record.read.v1"),
        (
            {"from": "2026-11-24T10:00:01Z", "to": "2026-11-24T10:00:00Z"},
            "/to",
            "after `from`",
        ),
        ({"party": "byer"}, "/party", "no party of any event"),
        ({"order": "newest"}, "/order", "'desc'"),
    ],
)
async def test_a_filter_that_can_find_nothing_is_no_empty_answer(
    library: Library, query: dict[str, str], place: str, told: str
) -> None:
    await filled(library)
    for who in ("seller", "platform"):
        answer = await library.get("/v1/events", who, **query)
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["errors"]
        assert (fault["in"], fault["pointer"]) == ("query", place)
        assert told in fault["msg"]
        assert "byer" not in answer.text


async def test_a_foreign_party_is_as_one_that_does_not_exist(library: Library) -> None:
    await filled(library)
    foreign = await library.get("/v1/events", "stranger", party="buyer")
    absent = await library.get("/v1/events", "stranger", party="nobody")
    assert foreign.status_code == 422
    assert foreign.json() | {"request_id": ""} == absent.json() | {"request_id": ""}
    assert raws_of(await library.get("/v1/events", "stranger", party="stranger")) == []


@pytest.mark.parametrize(
    "cursor", ["AAAA", "bGVhZjotMQ", "bGVhZjo5OTk5OTk5OTk5OTk5OTk5OQ", "x" * 500]
)
async def test_a_made_up_cursor_is_refused(library: Library, cursor: str) -> None:
    answer = await library.get("/v1/events", cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor-invalid")


@pytest.mark.parametrize(
    "query",
    [
        {"alias": "x"},
        {"from": "yesterday"},
        {"from": "2026-11-24T10:00:00"},
        {"handover": "1"},
        {"limit": "0"},
    ],
)
async def test_a_malformed_filter_is_refused(
    library: Library, query: dict[str, str]
) -> None:
    answer = await library.get("/v1/events", **query)
    assert answer.status_code in {400, 422}
    assert "yesterday" not in answer.text


async def test_a_search_leaves_a_trace_that_names_no_value(library: Library) -> None:
    await filled(library)
    answer = await library.get("/v1/events", "seller", alias=ALIAS)
    lane, seq = answer.headers["Audit-Event"].split("/")
    trace = await library.get(f"/v1/events/{lane}/{seq}", "seller")
    event = parse(base64.b64decode(trace.json()["raw"]))
    assert event.type == "org.keyturn.log.searched.v1"
    assert event.data["filters"] == ["alias"]
    assert event.data["hits"] == 3
    assert event.data["client"] == "crm"
    assert ALIAS.encode() not in event.raw


async def test_each_hit_has_a_proof_that_verifies(library: Library) -> None:
    await filled(library)
    answer = await library.get("/v1/events", "seller")
    for item in answer.json()["items"]:
        proof = await library.get(item["proof"], "seller")
        raw = base64.b64decode(item["raw"])
        checkpoint = TlogProof.parse(proof.content).verify(raw, SIGNER.verifier)
        assert checkpoint.size > item["index"]
        assert item["leaf_hash"] == f"sha256:{leaf_hash(raw).hex()}"
        assert canonical_json(item["event"]) == raw


async def test_anothers_event_is_as_if_it_were_not(library: Library) -> None:
    vault, _raws, _transfer, _steps = await filled(library)
    foreign = await library.get(f"/v1/events/{vault.id}/5", "seller")
    absent = await library.get(f"/v1/events/{vault.id}/99", "seller")
    proof = await library.get(f"/v1/events/{vault.id}/5/proof", "seller")
    seen = {(a.status_code, a.json()["code"]) for a in (foreign, absent, proof)}
    assert seen == {(404, "not-found")}
    told = [a.json()["errors"] for a in (foreign, absent, proof)]
    assert told[0] == told[1] == told[2]
    assert "appears within seconds" in told[0][0]["msg"]


async def test_an_unreadable_leaf_is_the_installations_own_to_see(
    library: Library,
) -> None:
    vault, _raws, _transfer, _steps = await filled(library)
    strange = canonical_json(
        {
            "lane": vault.id,
            "seq": 6,
            "prev": base64.b64encode(vault.leaf).decode(),
            "specversion": "9.9",
        }
    )
    await library.add(vault, [strange])
    answer = await library.get("/v1/events", "platform", type="unreadable")
    assert raws_of(answer) == [strange]
    assert answer.json()["items"][0]["event"] is None
    assert raws_of(await library.get("/v1/events", "seller", type="unreadable")) == []


async def test_nothing_is_found_without_its_scope(library: Library) -> None:
    for path in ("/v1/events", "/v1/stream", f"/v1/events/{'a' * 32}/1"):
        headers = bearer("seller", Scope.AUDIT_READ)
        assert (await library.http.get(path, headers=headers)).status_code == 403
        assert (await library.http.get(path)).status_code == 401


async def test_the_projection_is_rebuilt_when_it_is_another_logs(
    library: Library,
) -> None:
    from services.audit.search import store
    from services.audit.search.projection import Projection
    from services.audit.search.store import Progress, Wanted
    from services.audit.search.terms import Terms

    await filled(library)
    await library.projection.reached(library.log.size, 5)
    wrong = [Terms(0, "org.keyturn.wrong.one.v1")]

    def spoil(tx) -> None:
        store.clear(tx)
        store.add(tx, Progress(), wrong, b"\x00" * 32)

    await library.database.write(spoil)
    again = Projection(library.readings, library.database)
    import asyncio

    running = asyncio.create_task(again.run())
    try:
        assert await again.reached(library.log.size, 5) == library.log.size
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    found = library.database.read_now(
        lambda c: store.find(c, Wanted(type="org.keyturn.wrong.one.v1"), 0, 99, 9)
    )
    assert found == []
    note = library.log.files.checkpoint()
    assert open_checkpoint(note, SIGNER.verifier).size == again.size


async def test_each_bundle_read_is_in_the_log_before_it_is_shown(
    library: Library,
) -> None:
    await filled(library)
    headers = bearer("platform", Scope.AUDIT_MONITOR, id_="mirror")
    size = library.readings.size
    answer = await library.http.get(f"/tile/entries/000.p/{size}", headers=headers)
    assert answer.status_code == 200, answer.text
    lane, seq = answer.headers["audit-event"].split("/")
    event = json.loads((await library.readings.leaf(lane, int(seq))).event)
    assert event["type"] == "org.keyturn.log.searched.v1"
    del event["data"]["parties"]
    assert event["data"] == {"client": "mirror", "filters": ["bundle"], "hits": size}
    for place in ("000.p/255", "../checkpoint", "x"):
        refused = await library.http.get(f"/tile/entries/{place}", headers=headers)
        assert refused.status_code == 404
    assert library.readings.size == size + 1


async def test_bundles_and_lanes_are_for_who_may_see_every_party(
    library: Library,
) -> None:
    await filled(library)
    poor = bearer("seller", *(set(Scope) - {Scope.AUDIT_MONITOR}))
    rich = bearer("platform", Scope.AUDIT_MONITOR)
    size = library.readings.size
    for path in ("/v1/lanes", f"/tile/entries/000.p/{size}"):
        assert (await library.http.get(path, headers=poor)).status_code == 403
        assert (await library.http.get(path, headers=rich)).status_code == 200
