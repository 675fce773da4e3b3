# SPDX-License-Identifier: Apache-2.0
"""Promise: officers see each other's public keys and revoke lost ones, and no more."""

from contracts.custody.officers import Role
from contracts.officers import OfficerRole
from contracts.scopes import Scope
from services.vault.parties import officer_keys
from services.vault.parties.roles import INSTALLATION_ONLY
from tests.integration.vault.house import House


async def test_public_keys_of_a_party_are_listed_to_its_own_officers(
    house: House,
) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    other = house.officer("alpha", "mo", OfficerRole.MONITOR)
    async with house.running() as vault:
        headers = await vault.as_officer(other)
        answer = await vault.http.get("/v1/parties/alpha/officers", headers=headers)
        found = {item["key_id"]: item for item in answer.json()["items"]}
        assert set(found) == {
            key.key_id for file in (officer, other) for key in (file.login, file.sign)
        }
        assert found[officer.sign.key_id]["use"] == "sign"
        assert found[officer.sign.key_id]["revoked"] is False
        nobody = await vault.http.get("/v1/parties/gamma/officers", headers=headers)
        assert nobody.status_code == 404
        unasked = await vault.http.get("/v1/parties/alpha/officers")
        assert unasked.status_code == 401


async def test_another_partys_officers_are_as_those_of_no_party(house: House) -> None:
    for party in ("alpha", "beta"):
        house.party(party)
    house.officer("alpha", "so")
    house.client("beta", "crm", set(Scope) - INSTALLATION_ONLY)
    owner = house.officer("beta", "bo")
    async with house.running() as vault:
        for headers in (await vault.as_officer(owner), await vault.as_client("crm")):
            theirs, nobodys = [
                await vault.http.get(f"/v1/parties/{party}/officers", headers=headers)
                for party in ("alpha", "gamma")
            ]
            assert theirs.status_code == nobodys.status_code == 404
            assert theirs.json()["code"] == nobodys.json()["code"]


async def test_who_checks_signatures_of_others_sees_their_keys(house: House) -> None:
    for party in ("alpha", "lex"):
        house.party(party)
    officer = house.officer("alpha", "so")
    reviewer = house.officer("lex", "pr", OfficerRole.REVIEWER)
    partner = house.officer("lex", "boss")
    async with house.running() as vault:

        async def seen(headers: dict[str, str]) -> set[str]:
            answer = await vault.http.get("/v1/parties/alpha/officers", headers=headers)
            return {item["key_id"] for item in answer.json().get("items", [])}

        keys = {officer.login.key_id, officer.sign.key_id}
        assert await seen(await vault.as_officer(reviewer)) == keys
        assert await seen(await vault.as_client("transfer")) == keys
        assert await seen(await vault.as_officer(partner)) == set()


async def test_another_officer_of_the_party_revokes_a_lost_file(house: House) -> None:
    house.party("alpha")
    lost = house.officer("alpha", "so")
    kept = house.officer("alpha", "sc", OfficerRole.COMPLIANCE)
    async with house.running() as vault:
        headers = await vault.as_officer(kept)
        url = f"/v1/officers/{lost.sign.key_id}:revoke"
        answer = await vault.http.post(url, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["audit-event"].count("/") == 1
        again = await vault.http.post(url, headers=headers)
        assert again.status_code == 200
        assert "audit-event" not in again.headers
        # Both keys stood in the file that was lost.
        answer = await vault.login(vault.assert_for(lost.login))
        assert answer.status_code == 401
        revoked = await vault.events("officer.revoked")
        assert {event.data["key_id"] for event in revoked} == {
            lost.login.key_id,
            lost.sign.key_id,
        }
        assert all(len(event.data["actor"]) == 32 for event in revoked)


async def test_nobody_revokes_an_own_key_or_another_partys(house: House) -> None:
    house.party("alpha")
    house.party("beta")
    owner = house.officer("alpha", "so")
    stranger = house.officer("beta", "bo")
    operator = house.officer("alpha", "sr", OfficerRole.OPERATOR)
    house.client("alpha", "crm", [Scope.OFFICERS_WRITE])
    async with house.running() as vault:

        async def revoke(key_id: str, headers: dict[str, str]) -> tuple[int, str]:
            answer = await vault.http.post(
                f"/v1/officers/{key_id}:revoke", headers=headers
            )
            return answer.status_code, answer.json()["code"]

        mine = await vault.as_officer(owner)
        assert await revoke(owner.sign.key_id, mine) == (403, "denied")
        assert await revoke(stranger.sign.key_id, mine) == (404, "not-found")
        assert await revoke("0" * 64, mine) == (404, "not-found")
        system = await vault.as_client("crm")
        assert await revoke(owner.sign.key_id, system) == (403, "denied")
        lesser = await vault.as_officer(operator)
        assert await revoke(owner.sign.key_id, lesser) == (403, "scope-missing")
        assert (await vault.events("officer.revoked")) == []


async def test_a_handovers_officers_have_the_roles_of_their_side(house: House) -> None:
    for party in ("alpha", "beta", "firm"):
        house.party(party)
    roles = {
        house.officer("alpha", "so").sign.key_id: Role.SELLER_OWNER,
        house.officer("alpha", "sc", OfficerRole.COMPLIANCE).sign.key_id: (
            Role.SELLER_COMPLIANCE
        ),
        house.officer("alpha", "sr", OfficerRole.OPERATOR).sign.key_id: (
            Role.SELLER_OPERATOR
        ),
        house.officer("beta", "bo").sign.key_id: Role.BUYER_OWNER,
        house.officer("firm", "pr", OfficerRole.REVIEWER).sign.key_id: Role.REVIEWER,
    }
    # A reviewer of one of the two is not independent, an owner of a third no party.
    absent = [
        house.officer("beta", "own", OfficerRole.REVIEWER).sign.key_id,
        house.officer("firm", "boss").sign.key_id,
    ]
    async with house.running() as vault:
        found = await vault.rooms.changes.read(
            lambda c: officer_keys(c, "alpha", "beta")
        )
        signing = {k: v.role for k, v in found.items() if v.use == "sign"}
        assert signing == roles
        assert not set(absent) & set(found)


async def test_a_revoked_officers_token_revokes_nobody(house: House) -> None:
    house.party("alpha")
    thief = house.officer("alpha", "so")
    keeper = house.officer("alpha", "sc", OfficerRole.COMPLIANCE)
    third = house.officer("alpha", "sr", OfficerRole.OPERATOR)
    async with house.running() as vault:
        stolen = await vault.as_officer(thief)
        url = "/v1/officers/{}:revoke"
        await vault.http.post(
            url.format(thief.sign.key_id), headers=await vault.as_officer(keeper)
        )
        for victim in (keeper, third):
            answer = await vault.http.post(
                url.format(victim.sign.key_id), headers=stolen
            )
            assert answer.status_code == 401, answer.text
        assert len(await vault.events("officer.revoked")) == 2  # both keys of one file
