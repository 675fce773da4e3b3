# SPDX-License-Identifier: Apache-2.0
"""A party's export shows offline that nothing is missing, whoever left it out."""

import base64
import dataclasses
import io
import json
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from contracts.events.envelope import parse
from contracts.events.party_heads import PartyHeads, PartyLane, SignedPartyHeads
from contracts.scopes import Scope
from services.audit.search import party_view
from services.chassis import outbox
from services.cli.verify_party import verify_party
from services.cli.verify_report import Level, Report
from tests.fakes.evidence import SIGNER, SOURCE_KEYS
from tests.integration.audit.search.library import AUDIT_KEY, Library, bearer
from tests.integration.audit.search.selling import House, opened

KEYS = {**SOURCE_KEYS, "audit": AUDIT_KEY}
PINS = {name: bytes(key.verify_key) for name, key in KEYS.items()}


@pytest.fixture
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, library: Library
) -> AsyncIterator[House]:
    kind = request.node.callspec.params["library"]
    async with opened(kind, tmp_path, library) as made:
        yield made


async def trade(house: House) -> None:
    """Two lanes of the vault, one of transfer, one of audit, and other people's."""
    await house.vault.write(5, "seller")
    await house.vault.write(3, "buyer")
    house.vault.restart()
    await house.vault.write(300, "seller")
    await house.transfer.write(4, "seller", "buyer")
    await house.settled()
    await house.library.get("/v1/events")  # whose trace is an event of the seller
    await house.settled()


async def exported(house: House, folder: Path, party: str = "seller") -> Path:
    """Export as the party does; unpack with the standard library."""
    answer = await house.library.http.post(
        "/v1/exports", json={}, headers=bearer(party)
    )
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def verified(folder: Path, party: str = "seller") -> Report:
    return verify_party(folder, party, vkey=SIGNER.vkey, source_keys=PINS)


def rules(report: Report) -> set[str]:
    assert report.ok is not any(f.level is Level.FAILURE for f in report.findings)
    return {f.rule for f in report.findings if f.level is Level.FAILURE}


def lines(folder: Path) -> list[bytes]:
    pages = sorted(folder.glob("events/*"))
    return [line for page in pages for line in page.read_bytes().splitlines()]


def rewrite(folder: Path, kept: list[bytes]) -> None:
    """Put these lines into one page: an attacker is free in how files are cut."""
    shutil.rmtree(folder / "events", ignore_errors=True)
    (folder / "events").mkdir()
    for at in range(0, len(kept), 256):
        page = b"".join(line + b"\n" for line in kept[at : at + 256])
        (folder / "events" / f"{at:012}.txt").write_bytes(page)


def statement(folder: Path, service: str) -> tuple[Path, SignedPartyHeads]:
    path = folder / "party-heads" / f"{service}.json"
    return path, SignedPartyHeads.from_json(path.read_bytes())


def event_of(line: bytes):
    return parse(line.split(b" ", 1)[1])


async def test_a_partys_own_export_verifies_offline(
    house: House, tmp_path: Path
) -> None:
    await trade(house)
    for party, events in (("seller", 5 + 300 + 4), ("buyer", 3 + 4)):
        folder = await exported(house, tmp_path / party, party)
        report = verified(folder, party)
        assert report.findings == []
        # The party's own looks at the log and earlier exports are events of it too.
        assert report.checked["events"] >= events
        signed = {heads.service: len(heads.lanes) for heads in report.heads}
        assert signed["vault"] == (2 if party == "seller" else 1)
        assert signed["transfer"] == 1
        assert all(event_of(x).parties for x in lines(folder))
    assert len(list((tmp_path / "seller" / "events").iterdir())) > 1
    assert rules(verified(tmp_path / "seller", "buyer")) >= {"head-signature"}


async def test_a_lane_whose_rows_are_trimmed_stays_in_the_heads(
    house: House, tmp_path: Path
) -> None:
    await trade(house)
    tables, database = house.vault.tables, house.vault.journal.database
    ends = await database.read(lambda c: outbox.heads(c, tables))
    upto = {end.lane: end.seq for end in ends}
    await database.write(lambda tx: outbox.receipt(tx, tables, upto))
    assert await database.write(lambda tx: outbox.trim(tx, tables, 2**62)) > 0
    report = verified(await exported(house, tmp_path / "out"))
    assert report.findings == []
    assert {h.service: len(h.lanes) for h in report.heads}["vault"] == 2


async def test_a_party_without_any_event_has_a_whole_empty_view(
    house: House, tmp_path: Path
) -> None:
    await trade(house)
    folder = await exported(house, tmp_path / "out", "stranger")
    assert lines(folder) == []
    assert verified(folder, "stranger").findings == []


async def test_a_source_that_is_away_is_told(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trade(house)
    house.transfer.reachable = False
    folder = await exported(house, tmp_path / "out")
    view = json.loads((folder / "view.json").read_text())
    assert view["heads_missing"] == ["transfer"]
    assert rules(verified(folder)) == {"unchecked"}
    softened = verify_party(folder, "seller", allow_unchecked=True)
    assert softened.ok
    assert {f.rule for f in softened.findings} == {"unchecked", "believed"}


async def test_what_a_source_signs_is_waited_for_until_the_log_holds_it(
    house: House, tmp_path: Path
) -> None:
    await trade(house)
    await house.vault.write(40, "seller")  # committed, not yet in the log
    report = verified(await exported(house, tmp_path / "out"))
    assert report.findings == []


async def test_a_log_that_withholds_a_sources_end_is_told(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await trade(house)
    monkeypatch.setattr(party_view, "WAIT_SECONDS", 0)
    await house.vault.write(40, "seller")
    assert rules(verified(await exported(house, tmp_path / "out"))) == {"party-short"}


def omit_one(folder: Path) -> None:
    kept = lines(folder)
    del kept[7]
    rewrite(folder, kept)


def truncate(folder: Path) -> None:
    kept = lines(folder)
    last = next(x for x in reversed(kept) if event_of(x).service == "vault")
    rewrite(folder, [x for x in kept if x != last])


def omit_lane(folder: Path) -> None:
    kept = lines(folder)
    lane = event_of(kept[0]).lane
    rewrite(folder, [x for x in kept if event_of(x).lane != lane])


def omit_heads(folder: Path) -> None:
    statement(folder, "vault")[0].unlink()


def omit_source(folder: Path) -> None:
    """Leave a whole service out: its key, its statement, its events."""
    path = folder / "sources.json"
    document = json.loads(path.read_text())
    document["sources"] = [
        one for one in document["sources"] if one["service"] != "transfer"
    ]
    path.write_text(json.dumps(document))
    statement(folder, "transfer")[0].unlink()
    rewrite(folder, [x for x in lines(folder) if event_of(x).service != "transfer"])


def alter_event(folder: Path) -> None:
    kept = lines(folder)
    kept[3] = kept[3].replace(b'"client":"crm"', b'"client":"mrc"')
    rewrite(folder, kept)


def move_event(folder: Path) -> None:
    kept = lines(folder)
    index, event = kept[3].split(b" ", 1)
    kept[3] = b"%d %s" % (int(index) + 1, event)
    rewrite(folder, kept)


def swap_order(folder: Path) -> None:
    kept = lines(folder)
    kept[3], kept[4] = kept[4], kept[3]
    rewrite(folder, kept)


def double_event(folder: Path) -> None:
    kept = lines(folder)
    rewrite(folder, [*kept[:4], *kept[3:]])


def cut_page(folder: Path) -> None:
    page = min(folder.glob("events/*"))
    page.write_bytes(page.read_bytes()[:-1])


def lower(heads: PartyHeads) -> PartyHeads:
    """What the source would have signed to hide its last event."""
    first, *rest = heads.lanes
    short = PartyLane(first.lane, first.seq, first.pseq - 1)
    return dataclasses.replace(heads, lanes=(short, *rest))


def forge_head(folder: Path) -> None:
    """Lower a lane's end, and sign it with a key of one's own."""
    path, signed = statement(folder, "vault")
    forged = lower(signed.heads)
    key = SigningKey(b"\x09" * 32)
    path.write_bytes(SignedPartyHeads(forged, forged.sign(key)).to_json())


def forge_with_another_sources_key(folder: Path) -> None:
    path, signed = statement(folder, "vault")
    forged = lower(signed.heads)
    key = SOURCE_KEYS["transfer"]
    path.write_bytes(SignedPartyHeads(forged, forged.sign(key)).to_json())


def swap_statements(folder: Path) -> None:
    vault, _signed = statement(folder, "vault")
    vault.write_bytes(statement(folder, "transfer")[1].to_json())


def replace_source_key(folder: Path) -> None:
    """Forge a head, and the key in `sources.json` with it."""
    forge_head(folder)
    key = base64.b64encode(bytes(SigningKey(b"\x09" * 32).verify_key)).decode()
    path = folder / "sources.json"
    document = json.loads(path.read_text())
    for one in document["sources"]:
        if one["service"] == "vault":
            one["public_key"] = key
    path.write_text(json.dumps(document))


def of_another_log(folder: Path) -> None:
    """The source really signed, but was shown a checkpoint of nobody's log."""
    path, signed = statement(folder, "vault")
    heads = dataclasses.replace(signed.heads, root=bytes(32))
    signature = heads.sign(SOURCE_KEYS["vault"])
    path.write_bytes(SignedPartyHeads(heads, signature).to_json())


def sources_own_lie(folder: Path) -> None:
    """The source itself signs less than the log held when it was asked."""
    path, signed = statement(folder, "vault")
    heads = lower(signed.heads)
    signature = heads.sign(SOURCE_KEYS["vault"])
    path.write_bytes(SignedPartyHeads(heads, signature).to_json())


def tamper_tile(folder: Path) -> None:
    tile = max(p for p in folder.glob("log/tile/0/**/*") if p.is_file())
    octets = bytearray(tile.read_bytes())
    octets[0] ^= 1
    tile.write_bytes(octets)


@pytest.mark.parametrize(
    ("attack", "found"),
    [
        (omit_one, {"party-gap"}),
        (truncate, {"party-short"}),
        (omit_lane, {"lane-missing"}),
        (omit_heads, {"unchecked"}),
        (omit_source, {"key", "unchecked"}),
        (alter_event, {"leaf"}),
        (move_event, {"leaf"}),
        (swap_order, {"order"}),
        (double_event, {"order", "double"}),
        (cut_page, {"events"}),
        (forge_head, {"head-signature"}),
        (forge_with_another_sources_key, {"head-signature"}),
        (swap_statements, {"head-signature"}),
        (replace_source_key, {"key", "head-signature"}),
        (of_another_log, {"head-checkpoint"}),
        (sources_own_lie, {"head-differs", "head-behind"}),
        (tamper_tile, {"root"}),
    ],
)
async def test_each_attack_on_an_export_is_found(
    house: House,
    tmp_path: Path,
    attack: Callable[[Path], None],
    found: set[str],
) -> None:
    await trade(house)
    folder = await exported(house, tmp_path / "out")
    assert rules(verified(folder)) == set()
    attack(folder)
    assert rules(verified(folder)) >= found


async def test_an_event_of_another_party_in_its_place_is_found(
    house: House, tmp_path: Path
) -> None:
    await trade(house)
    folder = await exported(house, tmp_path / "seller")
    others = await exported(house, tmp_path / "buyer", "buyer")
    foreign = next(x for x in lines(others) if len(event_of(x).parties) == 1)
    own = lines(folder)
    # One in the middle of its lane, so that the lane goes on behind the hole.
    own[next(i for i, x in enumerate(own) if event_of(x).seq == 100)] = foreign
    rewrite(folder, sorted(own, key=lambda line: int(line.split(b" ", 1)[0])))
    assert {"not-named", "party-gap"} <= rules(verified(folder))


async def test_a_party_asks_a_source_for_its_own_heads_alone(house: House) -> None:
    await trade(house)
    seen = house.library.readings.published().checkpoint
    query = f"size={seen.size}&root=sha256:{seen.root.hex()}"
    own = f"/v1/party-heads?{query}"
    answer = await house.vault.get(own, bearer("buyer"))
    assert answer.status_code == 200, answer.text
    signed = SignedPartyHeads.from_json(answer.content)
    assert signed.heads.party == "buyer"
    assert signed.heads.verifies(signed.signature, SOURCE_KEYS["vault"].verify_key)
    anyones = f"/v1/outbox/party-heads?party=seller&{query}"
    assert (await house.vault.get(anyones, bearer("buyer"))).status_code == 403
    scope = bearer("buyer", Scope.AUDIT_EVENTS)
    assert (await house.vault.get(own, scope)).status_code == 403
