# SPDX-License-Identifier: Apache-2.0
"""Promises of `init` and `enrol`: nothing is lost, doubled or made anew beside data."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.officers import OfficerRole
from contracts.purposes import Purpose
from contracts.scopes import Scope
from services.chassis.auth import PLATFORM
from services.chassis.key_files import KeyFileRefused
from services.chassis.settings import SettingsError
from services.chassis.slots import SlotTaken
from services.vault import __main__ as command
from services.vault import host, opening
from services.vault.app import create_app
from services.vault.errors import (
    RootKeyMissing,
    RootKeyUnreadable,
    RootKeyWrong,
    VaultError,
)
from services.vault.keys.errors import KeysNotReady
from services.vault.keys.providers import FileRootKey
from services.vault.opening import open_vault
from services.vault.parties.errors import CallerRevoked, EnrolmentRefused
from tests.integration.vault.house import House


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in {".json", ".key", ".keys", ".txt"}
    }


async def test_init_makes_everything_once_and_changes_nothing_again(
    bare_house: House,
) -> None:
    first = bare_house.init()
    assert first.recovery_sheet is not None
    assert len(first.installation) == 16
    before = contents(bare_house.settings.state_dir.parent)
    second = bare_house.init()
    assert second.recovery_sheet is None
    assert (second.installation, second.root) == (first.installation, first.root)
    assert contents(bare_house.settings.state_dir.parent) == before
    async with bare_house.running() as vault:
        # The second init found everything and opened no lane.
        opened = [e for e in await vault.events("lane.opened") if "host" in str(e.data)]
        assert len(opened) == 1
        enrolled = await vault.events("client.enrolled")
        assert sorted(e.data["client"] for e in enrolled) == ["audit", "transfer"]
        assert [e.parties[0].party for e in await vault.events("party.enrolled")] == [
            PLATFORM
        ]


def test_every_key_file_is_for_its_owner_only(house: House) -> None:
    found = [p for p in house.settings.keys_dir.rglob("*") if p.is_file()]
    assert len(found) >= 6
    for path in [*found, *house.settings.state_dir.rglob("*.db")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert stat.S_IMODE(house.settings.keys_dir.stat().st_mode) == 0o700


def test_sources_name_the_vault_and_keep_the_others(house: House) -> None:
    path = house.settings.state_dir / "sources.json"
    document = json.loads(path.read_text())
    assert [s["service"] for s in document["sources"]] == ["vault"]
    other = {"service": "transfer", "public_key": "x"}
    path.write_text(json.dumps({**document, "sources": [*document["sources"], other]}))
    house.init()
    again = json.loads(path.read_text())
    assert {s["service"] for s in again["sources"]} == {"vault", "transfer"}


async def test_migrate_makes_missing_tables_and_touches_nothing_else(
    house: House,
) -> None:
    engines = open_vault(house.settings).records_engines()
    line = opening.RECORDS_LINE
    with engines.writer.begin() as connection:
        for table in (*line.metadata.tables, line.version_table):
            connection.exec_driver_sql(f'DROP TABLE "{table}"')
    engines.dispose()
    before = contents(house.settings.state_dir.parent)
    host.migrate(house.settings)
    assert contents(house.settings.state_dir.parent) == before
    async with house.running() as vault:
        await vault.rooms.changes.read(
            lambda c: c.exec_driver_sql("SELECT count(*) FROM batch").scalar()
        )


def test_every_table_module_of_a_room_is_in_the_databases() -> None:
    rooms = Path(opening.__file__).parent
    found = {path.parent.name for path in rooms.glob("*/tables.py")}
    known = {module.__name__.split(".")[-2] for module in opening.ROOMS_WITH_TABLES}
    assert found == known


def test_migrate_creates_no_vault(bare_house: House) -> None:
    with pytest.raises(SettingsError):
        host.migrate(bare_house.settings)


def test_a_missing_root_key_beside_data_is_refused_and_not_made_anew(
    house: House,
) -> None:
    house.settings.root_key_path.unlink()
    with pytest.raises(RootKeyMissing, match="Restore the key"):
        house.init()
    assert not house.settings.root_key_path.exists()
    with pytest.raises(RootKeyMissing):
        create_app(house.settings)


def test_a_lost_state_directory_beside_a_begun_key_database_is_refused(
    house: House,
) -> None:
    if house.settings.keys_database_url is None:
        pytest.skip("on SQLite the key database is in the state directory")
    house.settings.root_key_path.unlink()
    house.settings.database_keys_path.unlink()
    with pytest.raises(RootKeyMissing):
        house.init()
    assert not house.settings.root_key_path.exists()


def test_missing_database_keys_beside_data_are_refused(house: House) -> None:
    house.settings.database_keys_path.unlink()
    with pytest.raises(KeysNotReady, match="Restore it"):
        house.init()
    assert not house.settings.database_keys_path.exists()


def test_another_root_key_is_recognised_before_anything_is_opened(
    house: House,
) -> None:
    before = contents(house.settings.state_dir)
    house.settings.root_key_path.unlink()
    FileRootKey.create(house.settings.root_key_path)
    for open_it in (house.init, lambda: create_app(house.settings)):
        with pytest.raises(RootKeyWrong, match="recovery sheet"):
            open_it()
    with pytest.raises(RootKeyWrong), house.enrolling():
        pass
    assert contents(house.settings.state_dir) == before


def test_damaged_files_are_refused_with_the_way_to_mend_them(house: House) -> None:
    def refused(path: Path, content: bytes, error: type[Exception]) -> None:
        good = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(error) as caught:
            create_app(house.settings)
        assert str(path.name) in str(caught.value) or "root key" in str(caught.value)
        path.write_bytes(good)

    keys = house.settings.keys_dir
    refused(keys / "root.key", b"keyturn-root-key/1\n", RootKeyUnreadable)
    refused(keys / "vault-source.key", b"nonsense", KeyFileRefused)
    refused(
        keys / "issuer.key", (keys / "vault-source.key").read_bytes(), KeyFileRefused
    )
    refused(house.settings.database_keys_path, b"{}", KeysNotReady)
    document = json.loads(house.settings.database_keys_path.read_text())
    names = list(document["keys"])
    swapped = {**document["keys"], names[0]: document["keys"][names[1]]}
    refused(
        house.settings.database_keys_path,
        json.dumps({**document, "keys": swapped}).encode(),
        KeysNotReady,
    )
    foreign = {**document, "installation": "ffffffffffffffff"}
    refused(
        house.settings.database_keys_path, json.dumps(foreign).encode(), KeysNotReady
    )
    (keys / "issuer.key").chmod(0o644)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        create_app(house.settings)


def test_another_installation_in_the_settings_is_refused(house: House) -> None:
    changed = replace(house.settings, installation="ffffffffffffffff")
    with pytest.raises(SettingsError):
        host.init(changed, house.clock)


def test_a_crash_between_the_client_file_and_its_enrolment_loses_nothing(
    bare_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("services.vault.host.Enrolment.client", die)
        with pytest.raises(KeyboardInterrupt):
            bare_house.init()
    written = bare_house.service_secret("transfer")
    bare_house.init()
    assert bare_house.service_secret("transfer") == written


def test_a_secret_that_is_kept_elsewhere_is_left_alone(house: House) -> None:
    (house.settings.keys_dir / "clients" / "transfer.json").unlink()
    done = house.init()
    assert any("transfer" in note for note in done.notes)


async def test_enrolment_works_while_the_vault_runs(house: House) -> None:
    async with house.running() as vault:
        house.party("alpha")
        house.client("alpha", "crm", [Scope.CATALOGUE_READ])
        officer = house.officer("alpha", "so")
        await vault.as_client("crm")
        await vault.as_officer(officer)
        types = [event.type for event in await vault.events("enrolled")]
        assert "org.keyturn.officer.enrolled.v1" in types


async def test_each_enrolment_writes_its_event_and_no_name(house: House) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.RECORDS_READ], [Purpose.INVOICING])
    officer = house.officer("alpha", "anna.b", OfficerRole.COMPLIANCE)
    async with house.running() as vault:
        keys = await vault.events("officer.enrolled")
        assert {e.data["key_id"] for e in keys} == {
            officer.login.key_id,
            officer.sign.key_id,
        }
        assert {e.data["use"] for e in keys} == {"login", "sign"}
        everything = b"".join(event.raw for event in await vault.events())
        for never in (b"anna", b"GmbH", house.secrets["crm"].encode()):
            assert never not in everything


def test_the_same_again_changes_nothing_and_otherwise_is_refused(house: House) -> None:
    house.party("alpha")
    officer = house.officer("alpha", "so")
    with house.enrolling() as on_host:
        assert on_host.party("alpha", "alpha GmbH", "DE", "Europe/Berlin") is None
        keys = {"login": officer.login.public_key, "sign": officer.sign.public_key}
        role = OfficerRole.OWNER
        assert on_host.officer("alpha", "so", role, **keys) == []
        for refuse in (
            lambda: on_host.party("alpha", "alpha GmbH", "AT", "Europe/Berlin"),
            lambda: on_host.officer("alpha", "other", role, **keys),
            lambda: on_host.officer("alpha", "so", OfficerRole.MONITOR, **keys),
            lambda: on_host.officer("nobody", "so", role, **keys),
            lambda: on_host.officer("alpha", "Ärger", role, **keys),
            lambda: on_host.officer(
                "alpha", "x", role, login=b"1" * 32, sign=b"1" * 32
            ),
            lambda: on_host.client("audit", "alpha", frozenset()),
            lambda: on_host.client("c", "nobody", frozenset()),
            lambda: on_host.client(
                "c", "alpha", frozenset(), frozenset({Purpose.MARKETING})
            ),
            lambda: on_host.client(
                "c", "alpha", frozenset(), frozenset(), Purpose.INVOICING
            ),
            lambda: on_host.party("Alpha", "A", "DE", "UTC"),
            lambda: on_host.party("a", "A", "XX", "UTC"),
            lambda: on_host.party("a", "A", "DE", "Mars/Olympus"),
        ):
            with pytest.raises(EnrolmentRefused):
                refuse()


async def test_what_is_revoked_on_the_host_opens_nothing_any_more(
    house: House,
) -> None:
    house.party("alpha")
    house.client("alpha", "crm", [Scope.CATALOGUE_READ])
    officer = house.officer("alpha", "so")
    async with house.running() as vault:
        verify = vault.app.state.verifier.verify
        callers = [
            await verify(await vault.client_token("crm")),
            await verify((await vault.as_officer(officer))["Authorization"][7:]),
        ]
        for caller in callers:
            await vault.rooms.parties.terms(caller)
        with house.enrolling() as on_host:
            assert on_host.revoke_officer(officer.sign.key_id) is not None
            assert on_host.revoke_officer(officer.sign.key_id) is None
            assert on_host.revoke_client("crm") is not None
            assert on_host.revoke_client("crm") is None
            with pytest.raises(EnrolmentRefused):
                on_host.revoke_client("nobody")
            with pytest.raises(EnrolmentRefused):
                on_host.officer(
                    "alpha",
                    "so",
                    OfficerRole.OWNER,
                    login=officer.login.public_key,
                    sign=officer.sign.public_key,
                )
        answer = await vault.login(vault.assert_for(officer.login))
        assert answer.status_code == 401
        # Tokens that were issued before stop within two seconds.
        house.clock.advance(2.1)
        for caller in callers:
            with pytest.raises(CallerRevoked):
                await vault.rooms.parties.terms(caller)
        assert len(await vault.events("officer.revoked")) == 2
        assert len(await vault.events("client.revoked")) == 1


def test_two_processes_of_one_worker_name_do_not_share_a_slot(house: House) -> None:
    with house.enrolling(), pytest.raises(SlotTaken, match="host"), house.enrolling():
        pass
    with house.enrolling():
        pass


async def test_a_second_vault_of_the_same_worker_is_refused_and_another_is_not(
    house: House,
) -> None:
    async with house.running("vault-1"):
        with pytest.raises(SlotTaken):
            async with house.running("vault-1"):
                pass
        async with house.running("vault-2") as other:
            assert (await other.http.get("/readyz")).status_code == 200
    async with house.running("vault-1") as again:
        lanes = await again.events("lane.opened")
        mine = [e for e in lanes if e.data["slot"] == "vault-1/changes"]
        # Each start opens a new lane that names the one before it; the refused
        # second vault opened none.
        assert len(mine) == 2
        assert {e.data["previous"] for e in mine} - {""} <= {e.lane for e in mine}
        assert {e.data["previous"] for e in mine} != {""}


def test_the_command_line_enrols_and_refuses_with_a_reason(
    bare_house: House,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = bare_house.settings
    monkeypatch.setenv("KEYTURN_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("KEYTURN_KEYS_DIR", str(settings.keys_dir))
    for name in ("database_url", "keys_database_url"):
        url = getattr(settings, name)
        if url is not None:
            monkeypatch.setenv(f"KEYTURN_VAULT_{name.upper()}", url.reveal())
    party = ["enrol", "party", "--id", "alpha", "--name", "A", "--region", "DE"]
    party += ["--timezone", "Europe/Berlin", "--json"]
    assert command.main(party) == 1
    assert "init" in capsys.readouterr().err
    assert command.main(["init", "--json"]) == 0
    # With --json the sheet stays in its file and out of whatever collects the output.
    shown = capsys.readouterr().out
    assert set(json.loads(shown)) == {"installation", "root"}
    assert (settings.keys_dir / "recovery-sheet.txt").exists()
    assert command.main(party) == 0
    assert json.loads(capsys.readouterr().out)["party"] == "alpha"
    client = ["enrol", "client", "--id", "crm", "--party", "alpha", "--scope"]
    client += ["records:read", "--purpose", "invoicing"]
    assert command.main(client) == 0
    said = capsys.readouterr().out
    secret = bare_house.service_secret("crm")
    assert secret not in said
    assert command.main([*client, "--renew"]) == 0
    assert bare_house.service_secret("crm") != secret
    assert command.main(["revoke", "--client", "crm", "--json"]) == 0


def test_prepared_and_drawn_secrets_show_themselves_in_no_repr(
    bare_house: House,
) -> None:
    prepared = bare_house.init()
    assert prepared.recovery_sheet is not None
    key = prepared.recovery_sheet.split("key ")[1][:8]
    assert key not in repr(prepared)
    bare_house.party("alpha")
    with bare_house.enrolling() as on_host:
        client = on_host.client("crm", "alpha", frozenset())
    assert client.secret not in repr(client)


def test_every_refusal_of_the_command_line_is_one_it_knows() -> None:
    assert VaultError in command.REFUSALS
