# SPDX-License-Identifier: Apache-2.0
"""Promise: what an integrator does with the client, three running services do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn_client import AsyncKeyturn, Keyturn, LogView, verify_proof
from keyturn_client.errors import (
    Conflict,
    Denied,
    NotFound,
    ProofWrong,
    Refused,
    Stale,
)
from keyturn_client.models.vault import BatchItemIn, PatchIn, RecordIn
from tests.integration.client.standing import Standing

pytestmark = pytest.mark.slow


@pytest.fixture
def keyturn(stands: Standing) -> Iterator[Keyturn]:
    with Keyturn(stands.house, stands.login) as opened:
        opened.catalogue.put_class("basic", {"form": "document"})
        opened.catalogue.put_class("orders", {"form": "entries"})
        opened.catalogue.put_field("name", {"class": "basic", "kind": "name"})
        opened.catalogue.put_field("city", {"class": "basic", "kind": "text"})
        opened.catalogue.put_field(
            "email",
            {"class": "basic", "kind": "email", "searchable": True, "unique": True},
        )
        opened.catalogue.put_field("item", {"class": "orders", "kind": "text"})
        yield opened


def record(name: str, **basic: str) -> RecordIn:
    return {"external_id": name, "documents": {"basic": {"name": "Jane", **basic}}}


def items(prefix: str, count: int) -> Iterator[BatchItemIn]:
    for n in range(count):
        yield {"ref": f"row-{n}", "record": record(f"{prefix}-{n}")}


def test_the_same_external_id_changes_one_record(keyturn: Keyturn) -> None:
    first = keyturn.records.upsert(record("U-1", city="Berlin"))
    again = keyturn.records.upsert(record("U-1", city="Hamburg"))
    assert (first.status, again.status) == (201, 200)
    assert first.body["id"] == again.body["id"]
    with pytest.raises(Conflict) as refused:
        keyturn.records.create(record("U-1"), must_be_new=True)
    assert refused.value.code == "already-exists"


def test_one_key_does_a_call_once(keyturn: Keyturn) -> None:
    nameless: RecordIn = {"documents": {"basic": {"name": "Once"}}}
    first = keyturn.records.create(nameless, key="client-test-once")
    again = keyturn.records.create(nameless, key="client-test-once")
    assert first.body["id"] == again.body["id"]
    assert again.replayed
    assert not first.replayed


def test_many_records_go_in_hundreds_and_come_back_in_pages(keyturn: Keyturn) -> None:
    done = list(keyturn.records.batch(items("B", 250)))
    assert [item.ref for item in done] == [f"row-{n}" for n in range(250)]
    assert all(item.accepted and item.status == 201 for item in done)
    listed = {found["id"] for found in keyturn.records.each(limit=60)}
    assert {item.id for item in done} <= listed


def test_a_refused_item_says_where_and_the_others_are_kept(keyturn: Keyturn) -> None:
    bad: BatchItemIn = {
        "ref": "bad",
        "record": {"documents": {"basic": {"nickname": "J"}}},
    }
    done = list(keyturn.records.batch([*items("R", 1), bad]))
    assert [item.accepted for item in done] == [True, False]
    assert done[1].code == "field-unknown"
    assert done[1].faults[0].pointer.startswith("/items/1/")


def test_a_patch_is_made_from_a_version(keyturn: Keyturn) -> None:
    made = keyturn.records.upsert(record("P-1", city="Berlin"))
    name = made.body["id"]
    read = keyturn.records.read(name)
    assert read.body["documents"]["basic"]["city"] == "Berlin"
    change: PatchIn = {"documents": {"basic": {"city": "Hamburg"}}}
    keyturn.records.patch(name, change, etag=read.etag or "")
    with pytest.raises(Stale):
        keyturn.records.patch(name, change, etag=read.etag or "")
    listed = {found["id"]: found["etag"] for found in keyturn.records.each()}
    keyturn.records.patch(name, {"tags": ["retail"]}, etag=listed[name])


def test_an_edit_reads_anew_when_somebody_was_faster(keyturn: Keyturn) -> None:
    name = keyturn.records.upsert(record("E-1", city="A")).body["id"]
    seen: list[str] = []

    def change(found: dict[str, Any]) -> PatchIn:
        seen.append(found["documents"]["basic"]["city"])
        if len(seen) == 1:
            keyturn.records.upsert(record("E-1", city="B"))
        return {"documents": {"basic": {"city": seen[-1] * 2}}}

    assert keyturn.records.edit(name, change) is not None
    assert seen == ["A", "B"]
    assert keyturn.records.read(name).body["documents"]["basic"]["city"] == "BB"


def test_what_a_person_wants_is_filed(keyturn: Keyturn) -> None:
    name = keyturn.records.upsert(record("W-1", email="w@example.com")).body["id"]
    order = {"entry_id": "O-1", "at": "2026-05-04T10:00:00Z", "item": "Mop"}
    assert keyturn.records.append(name, "orders", [order]).body["entries"] == 1
    keyturn.records.consent(
        name,
        {
            "kind": "separate",
            "recipient": "birch",
            "classes": ["basic"],
            "given_at": "2026-06-02T12:00:00Z",
        },
    )
    keyturn.records.object(
        name, {"recipient": "birch", "objected_at": "2026-06-03T08:00:00Z"}
    )
    wanted = [{"field": "email", "value": "W@example.com"}]
    assert keyturn.records.look_up(wanted).body["items"][0]["records"] == [name]
    assert keyturn.records.history(name).body["items"]
    erased = keyturn.records.erase(name, purpose="rights_request")
    assert erased.body["id"] == name
    with pytest.raises(NotFound):
        keyturn.records.read(name)


def test_a_denial_names_its_event_and_repeats_nothing(keyturn: Keyturn) -> None:
    name = keyturn.records.upsert(record("D-1")).body["id"]
    with pytest.raises(Denied) as denied:
        keyturn.records.read(name, purpose="marketing")
    assert denied.value.audit_event
    with pytest.raises(Refused) as refused:
        keyturn.records.upsert(
            {"external_id": "D-2", "documents": {"basic": {"nickname": "Secretive"}}}
        )
    assert refused.value.faults
    assert "Secretive" not in f"{refused.value}{refused.value!r}{refused.value.faults}"


def test_a_caller_proves_its_own_access(
    keyturn: Keyturn, stands: Standing, tmp_path: Path
) -> None:
    name = keyturn.records.upsert(record("A-1")).body["id"]
    event = keyturn.records.read(name).audit_event
    assert event is not None
    pin = tmp_path / "log.pin"
    proven = keyturn.log.prove(LogView(stands.vkey, pin), event)
    document = proven.event.document
    assert document is not None
    assert document["type"] == "org.keyturn.record.read.v1"
    verify_proof(proven.event.raw, proven.proof, stands.vkey)
    with pytest.raises(ProofWrong):
        verify_proof(proven.event.raw + b" ", proven.proof, stands.vkey)
    alias = keyturn.records.aliases(records=[name]).body["items"][0]["alias"]
    found = [one.document for one in keyturn.log.each({"alias": alias}, limit=1)]
    assert event in {one["id"] for one in found if one}


def test_a_view_follows_a_growing_log_over_restarts(
    keyturn: Keyturn, stands: Standing, tmp_path: Path
) -> None:
    pin = tmp_path / "log.pin"
    first = keyturn.log.advance(LogView(stands.vkey, pin))
    made = list(keyturn.records.batch(items("G", 120)))
    last = keyturn.records.read(made[-1].id or "").audit_event
    view = LogView(stands.vkey, pin)
    assert view.seen == first
    keyturn.log.prove(view, last or "")
    assert keyturn.log.advance(view).size > first.size + 120


def test_the_stream_brings_what_happens(keyturn: Keyturn, stands: Standing) -> None:
    with Keyturn(stands.house, stands.login) as follower:
        stream = follower.log.follow(0)
        opening = next(stream)
        assert opening.index >= 0
        event = keyturn.records.upsert(record("S-1")).audit_event
        ended = threading.Timer(60, follower.close)
        ended.start()
        followed = (one for one in stream if (one.document or {}).get("id") == event)
        found = next(followed)
        ended.cancel()
        back = follower.log.follow(after=found.index - 1)
        assert next(back).raw == found.raw
        stream.close()  # type: ignore[attr-defined]
        back.close()  # type: ignore[attr-defined]


def test_an_officer_follows_a_handover_to_its_end(stands: Standing) -> None:
    with Keyturn(stands.house, stands.owner) as owner:
        draft = owner.handovers.create(
            {
                "seller": "acme",
                "buyer": "birch",
                "deal_type": "asset_sale",
                "path": "separate_consent",
            }
        )
        name = draft.body["id"]
        assert draft.audit_event
        assert name in {one["id"] for one in owner.handovers.each(limit=1)}
        followed = owner.handovers.follow(name)
        assert next(followed)["state"] == "draft"
        owner.handovers.step(name, "cancel")
        assert [seen["state"] for seen in followed][-1] == "cancelled"
        assert owner.handovers.show(name).body["state"] == "cancelled"
        assert owner.handovers.history(name).body["items"]
        assert owner.handovers.documents(name).body["items"] == []
        assert owner.handovers.report(name).body
        with pytest.raises(NotFound):
            owner.handovers.plan(name)


def test_a_system_knows_of_no_handover(keyturn: Keyturn) -> None:
    with pytest.raises(NotFound):
        next(keyturn.handovers.each())


def test_an_export_is_a_tar(keyturn: Keyturn) -> None:
    assert keyturn.log.export().body[257:262] == b"ustar"


def test_the_installation_is_named(keyturn: Keyturn, stands: Standing) -> None:
    named = keyturn.installation().body["installation"]
    assert stands.vkey.startswith(f"keyturn-{named}") or named in stands.vkey


async def test_the_awaited_client_does_the_same(
    keyturn: Keyturn, stands: Standing
) -> None:
    async with AsyncKeyturn(stands.house, stands.login) as awaited:
        done = [item async for item in awaited.records.batch(items("Y", 101))]
        assert len(done) == 101
        assert all(item.accepted for item in done)
        read = await awaited.records.read(done[0].id or "")
        view = LogView(stands.vkey)
        proven = await awaited.log.prove(view, read.audit_event or "")
        listed = [found["id"] async for found in awaited.records.each(limit=50)]
        assert {item.id for item in done} <= set(listed)
        stream = awaited.log.follow(proven.event.index)
        async for event in stream:
            assert event.raw == proven.event.raw
            break
        await stream.aclose()  # type: ignore[attr-defined]
        edited = await awaited.records.edit(done[0].id or "", lambda _: {"tags": ["x"]})
        assert edited is not None
