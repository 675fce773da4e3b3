# SPDX-License-Identifier: Apache-2.0
"""Promises of the running vault: guarded, silent about secrets, whole after its end."""

import base64
import io
import json
from pathlib import Path

import httpx
import pytest

from contracts.events.head import Head
from contracts.log import merkle
from contracts.officers import OfficerRole
from contracts.scopes import Scope
from services.chassis import telemetry
from services.chassis.auth import public_routes
from services.chassis.database import DatabaseUnavailable
from services.vault.parties.roles import INSTALLATION_ONLY
from tests.integration.vault.house import House


async def test_only_what_must_be_is_public(house: House) -> None:
    async with house.running() as vault:
        served = {path.split()[1] for path in public_routes(vault.app)}
        assert served - {
            "/docs",
            "/docs/start.js",
            "/docs/{file}",
            "/openapi.json",
        } == {
            "/",
            "/livez",
            "/readyz",
            "/problems",
            "/problems/{code}",
            "/v1/token",
            "/v1/jwks",
            "/v1/installation",
        }


async def test_ready_means_that_all_three_databases_take_a_write(house: House) -> None:
    operator = house.officer("platform", "op", OfficerRole.OPERATOR)
    async with house.running() as vault:
        watching = await vault.as_officer(operator)
        assert (await vault.http.get("/readyz")).status_code == 200
        vault.rooms.keys.close()
        assert (await vault.http.get("/readyz")).status_code == 503
        # What waits for audit or the bus is a metric, never readiness.
        metrics = await vault.http.get("/metrics", headers=watching)
        assert "keyturn_outbox_events" in metrics.text


async def test_audit_reads_every_lane_with_its_signed_head(house: House) -> None:
    house.party("alpha")
    async with house.running() as vault:
        audit = await vault.as_client("audit")
        answer = await vault.http.get("/v1/outbox/heads", headers=audit)
        heads = {head["lane"]: head for head in answer.json()["items"]}
        slots = {head["slot"] for head in heads.values()}
        assert slots == {"host", "vault-1/changes", "vault-1/reads"}
        key = vault.rooms.changes.source.key.verify_key
        for lane, head in heads.items():
            page = await vault.http.get(
                "/v1/outbox", params={"lane": lane, "from": 1}, headers=audit
            )
            rows = page.json()["events"]
            assert [row["seq"] for row in rows] == list(range(1, head["seq"] + 1))
            last = base64.b64decode(rows[-1]["event"])
            assert head["leaf_hash"] == f"sha256:{merkle.leaf_hash(last).hex()}"
            signed = Head(house.installation, lane, head["seq"], merkle.leaf_hash(last))
            assert signed.verifies(base64.b64decode(rows[-1]["head"]), key)
            some = await vault.http.get(
                "/v1/outbox", params={"lane": lane, "from": 1, "to": 1}, headers=audit
            )
            # Extended to the next head: nothing of a group counts without it.
            assert some.json()["events"][-1]["head"] is not None


async def test_the_outbox_is_for_audit_alone_and_refuses_odd_questions(
    house: House,
) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [*set(Scope) - INSTALLATION_ONLY])
    async with house.running() as vault:
        crm = await vault.as_client("crm")
        for path in ("/v1/outbox/heads", "/v1/outbox?lane=" + "0" * 32):
            assert (await vault.http.get(path, headers=crm)).status_code == 403
            assert (await vault.http.get(path)).status_code == 401
        audit = await vault.as_client("audit")
        unknown = await vault.http.get("/v1/outbox?lane=" + "0" * 32, headers=audit)
        assert unknown.json()["events"] == []
        for query in ("lane=x", "", "lane=" + "0" * 32 + "&from=0"):
            odd = await vault.http.get(f"/v1/outbox?{query}", headers=audit)
            assert odd.status_code == 422


async def test_secrets_and_tokens_are_in_no_log_line(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ])
    officer = house.officer("alpha", "so")
    stream = io.StringIO()
    telemetry.configure("vault", "debug", stream)
    async with house.running() as vault:
        token = await vault.client_token("crm")
        signed = vault.assert_for(officer.login)
        await vault.login(signed)
        await vault.login(signed)  # refused: used before
        await vault.http.post(
            "/v1/token",
            data={"grant_type": "client_credentials"},
            auth=httpx.BasicAuth("crm", house.secrets["crm"] + "x"),
        )
        await vault.http.get(
            "/v1/catalogue", headers={"Authorization": f"Bearer {token}x"}
        )
    lines = stream.getvalue()
    assert '"route": "/v1/token"' in lines
    for secret in (house.secrets["crm"], token, signed, officer.login.seed.hex()):
        assert secret not in lines
        assert secret[-20:] not in lines


async def test_secrets_stand_in_no_file_of_the_state_directory(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ])
    async with house.running() as vault:
        keys = await vault.rooms.keyring.of("alpha", creating=["basic"])
        token = await vault.client_token("crm")
        secret = keys.primary("basic").key.secret
        never = [
            house.secrets["crm"].encode(),
            token.encode(),
            secret,
            secret.hex().encode(),
            base64.b64encode(secret),
            b"alpha GmbH",
        ]
        for path in house.settings.state_dir.rglob("*"):
            raw = path.read_bytes() if path.is_file() else b""
            assert not [value for value in never if value in raw], path.name


async def test_a_stopped_vault_has_ended_its_lanes_and_takes_no_more(
    house: House,
) -> None:
    async with house.running() as vault:
        rooms = vault.rooms
    with pytest.raises(DatabaseUnavailable):
        await rooms.changes.write(lambda _tx: None)
    async with house.running() as again:
        closed = await again.events("lane.closed")
        slots = {event.data["slot"] for event in closed}
        assert {"vault-1/changes", "vault-1/reads"} <= slots


async def test_a_busy_journal_is_told_as_a_problem(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_WRITE])
    async with house.running() as vault:
        crm = await vault.as_client("crm")

        async def down(*_args: object) -> None:
            raise DatabaseUnavailable

        monkeypatch.setattr(vault.rooms.changes.database, "write", down)
        answer = await vault.http.put(
            "/v1/catalogue/classes/basic", json={"form": "document"}, headers=crm
        )
        assert answer.status_code == 503
        assert answer.json()["code"] == "audit-unavailable"
        assert answer.headers["retry-after"]


async def test_the_openapi_document_describes_the_form_and_every_answer(
    house: House,
) -> None:
    async with house.running() as vault:
        document = (await vault.http.get("/openapi.json")).json()
        token = document["paths"]["/v1/token"]["post"]
        form = token["requestBody"]["content"]["application/x-www-form-urlencoded"]
        assert form["schema"]["required"] == ["grant_type"]
        # No secret of this installation got into the document.
        assert house.service_secret("audit") not in json.dumps(document)


def test_the_house_keeps_keys_and_state_apart(house: House, tmp_path: Path) -> None:
    inside = list(house.settings.state_dir.rglob("root.key"))
    assert inside == []
    assert house.settings.root_key_path.is_relative_to(tmp_path / "keys")
