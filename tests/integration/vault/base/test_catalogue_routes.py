# SPDX-License-Identifier: Apache-2.0
"""Promise: classes and fields are added by API; what is stored by them never changes."""

from typing import Any

from contracts.scopes import Scope
from services.vault.access.views import MASKS
from services.vault.catalogue import Mask
from services.vault.parties import epoch
from tests.integration.vault.house import House, Vault

EMAIL = {
    "class": "basic",
    "grade": "general",
    "kind": "email",
    "mask": "email",
    "searchable": True,
    "unique": True,
}


def furnished(house: House) -> House:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ, Scope.CATALOGUE_WRITE])
    house.party("beta")
    house.client("beta", "erp", [Scope.CATALOGUE_READ, Scope.CATALOGUE_WRITE])
    return house


async def put(
    vault: Vault, headers: dict[str, str], path: str, body: dict[str, Any]
) -> tuple[int, dict[str, Any], str]:
    answer = await vault.http.put(f"/v1/catalogue/{path}", json=body, headers=headers)
    return answer.status_code, answer.json(), answer.headers.get("audit-event", "")


async def test_classes_and_fields_are_added_once_with_their_events(
    house: House,
) -> None:
    async with furnished(house).running() as vault:
        crm = await vault.as_client("crm")
        status, _, event = await put(vault, crm, "classes/basic", {"form": "document"})
        assert (status, event.count("/")) == (200, 1)
        status, _, event = await put(vault, crm, "classes/basic", {"form": "document"})
        assert (status, event) == (200, "")
        status, body, event = await put(vault, crm, "fields/email", EMAIL)
        assert (status, body["mask"], event.count("/")) == (200, "email", 1)
        assert (await put(vault, crm, "fields/email", EMAIL))[2] == ""
        read = (await vault.http.get("/v1/catalogue", headers=crm)).json()
        assert read["classes"] == [{"name": "basic", "form": "document"}]
        assert read["fields"] == [{"name": "email", **EMAIL}]
        # Another party has a catalogue of its own.
        erp = await vault.as_client("erp")
        other = (await vault.http.get("/v1/catalogue", headers=erp)).json()
        assert other == {"classes": [], "fields": []}
        assert len(await vault.events("class.catalogued")) == 1
        [event_] = await vault.events("field.catalogued")
        assert event_.data["field"] == "email"


async def test_grade_and_mask_change_and_move_the_epoch_the_rest_does_not(
    house: House,
) -> None:
    async with furnished(house).running() as vault:
        crm = await vault.as_client("crm")
        await put(vault, crm, "classes/basic", {"form": "document"})
        await put(vault, crm, "fields/email", EMAIL)
        before = await vault.rooms.changes.read(lambda c: epoch(c, "alpha"))
        status, body, event = await put(
            vault, crm, "fields/email", {**EMAIL, "grade": "minor", "mask": "hide"}
        )
        assert (status, body["mask"], event != "") == (200, "hide", True)
        after = await vault.rooms.changes.read(lambda c: epoch(c, "alpha"))
        assert after == before + 1
        for change in ({"kind": "text"}, {"unique": False}, {"class": "habits"}):
            status, body, _ = await put(vault, crm, "fields/email", {**EMAIL, **change})
            assert (status, body["code"]) == (409, "already-exists")
        status, body, _ = await put(vault, crm, "classes/basic", {"form": "entries"})
        assert (status, body["code"]) == (409, "already-exists")


async def test_a_mask_is_one_of_those_there_are(house: House) -> None:
    assert set(MASKS) == set(Mask)
    async with furnished(house).running() as vault:
        crm = await vault.as_client("crm")
        await put(vault, crm, "classes/basic", {"form": "document"})
        garbage = {**EMAIL, "mask": "garbage"}
        status, answer, _ = await put(vault, crm, "fields/email", garbage)
        assert status == 422
        [fault] = answer["errors"]
        assert (fault["pointer"], fault["code"]) == ("/mask", "enum")
        assert all(f"'{mask}'" in fault["msg"] for mask in MASKS)
        for mask in MASKS:
            named = {**EMAIL, "mask": mask}
            status, body, _ = await put(vault, crm, "fields/email", named)
            assert (status, body["mask"]) == (200, mask)


async def test_what_a_catalogue_may_not_have_is_refused_by_place(house: House) -> None:
    async with furnished(house).running() as vault:
        crm = await vault.as_client("crm")
        await put(vault, crm, "classes/basic", {"form": "document"})
        await put(vault, crm, "classes/purchases", {"form": "entries"})
        plain = {"class": "basic", "kind": "text"}
        for path, body, pointer in (
            ("classes/identity", {"form": "document"}, "/name"),
            ("fields/entry_id", plain, "/name"),
            ("fields/x", {**plain, "class": "nowhere"}, "/class"),
            ("fields/x", {**plain, "unique": True}, "/unique"),
            ("fields/x", {**plain, "kind": "date", "searchable": True}, "/searchable"),
            (
                "fields/x",
                {**plain, "class": "purchases", "searchable": True},
                "/searchable",
            ),
        ):
            status, answer, _ = await put(vault, crm, path, body)
            assert status == 422, (path, answer)
            assert answer["errors"][0]["pointer"] == pointer
        for path, body in (
            ("classes/Basic", {"form": "document"}),
            ("classes/basic", {"form": "heap"}),
            ("fields/x", {**plain, "kind": "secret-word"}),
            ("fields/x", {**plain, "mask": "secret-word"}),
            ("fields/x", {**plain, "surprise": 1}),
        ):
            answer = await vault.http.put(
                f"/v1/catalogue/{path}", json=body, headers=crm
            )
            assert answer.status_code == 422
            assert "secret-word" not in answer.text
            assert "surprise" not in answer.text
            assert "Basic" not in answer.text


async def test_another_process_sees_a_change_within_its_time(house: House) -> None:
    async with furnished(house).running() as vault:
        crm = await vault.as_client("crm")
        async with house.running("vault-2") as other:
            assert (await other.rooms.catalogues.of("alpha")).classes == {}
            await put(vault, crm, "classes/basic", {"form": "document"})
            assert "basic" in (await vault.rooms.catalogues.of("alpha")).classes
            house.clock.advance(house.settings.catalogue_seconds + 1)
            assert "basic" in (await other.rooms.catalogues.of("alpha")).classes


async def test_a_client_without_the_scope_reads_and_writes_nothing(
    house: House,
) -> None:
    async with furnished(house).running() as vault:
        audit = await vault.as_client("audit")
        assert (await put(vault, audit, "classes/basic", {"form": "document"}))[
            0
        ] == 403
        assert (await vault.http.get("/v1/catalogue", headers=audit)).status_code == 403
