# SPDX-License-Identifier: Apache-2.0
"""Promise: other people's tools read the log and the papers, and see a change.

The log is audit's own, published by it; the proofs are its answers over HTTP.
"""

import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contracts.log import merkle, tiles
from contracts.log.edge import TileEdge
from deploy import strangers
from deploy.strangers import Verdict
from tests.fakes.evidence import Lane, write_handover
from tests.integration.audit.search.library import opened

PROVEN = 12


@pytest.fixture
async def evidence(tmp_path: Path) -> AsyncIterator[Path]:
    """A log of more than one tile, with proofs as audit gives them."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    async with opened("sqlite", folder) as library:
        lane = Lane("a")
        await library.add(lane, [lane.open()])
        for _ in range(6):
            await library.add(lane, [lane.read("seller") for _ in range(50)])
        (folder / "proofs").mkdir()
        for seq in range(2, lane.seq, lane.seq // PROVEN):
            proof = await library.get(f"/v1/events/{lane.id}/{seq}/proof", "seller")
            assert proof.status_code == 200
            path = folder / "proofs" / f"{lane.id}-{seq}.tlog-proof"
            path.write_bytes(proof.content)
        write_handover(folder)
        yield folder


def bundle(evidence: Path) -> Path:
    return evidence / "log" / "tile" / "entries" / "000"


def flip(path: Path, at: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[at] ^= 1
    path.write_bytes(bytes(octets))


def retell(evidence: Path) -> None:
    """Change one event, and make every tile of the copy agree with the change."""
    leaves = strangers.entries(evidence / "log")
    assert b'"seller"' in leaves[5]
    leaves[5] = leaves[5].replace(b'"seller"', b'"Seller"')
    _, made = TileEdge().append([merkle.leaf_hash(leaf) for leaf in leaves])
    files = {tile.id.path: tile.octets for tile in made}
    for piece in tiles.new_bundles(0, len(leaves)):
        start = piece.n * strangers.TILE
        part = leaves[start : start + piece.width]
        files[piece.path] = tiles.encode_bundle(part)
    for path, octets in files.items():
        (evidence / "log" / path).write_bytes(octets)


async def test_tlog_scales_proves_leaves_from_the_tiles(evidence: Path) -> None:
    assert strangers.tlog_scales(evidence).accepted is True
    retell(evidence)
    assert strangers.tlog_scales(evidence).accepted is False


async def test_proofbundle_accepts_the_proofs_that_audit_gives(evidence: Path) -> None:
    verdict = strangers.proofbundle(evidence)
    assert verdict.accepted is True, verdict
    assert int(verdict.detail.split()[0]) >= PROVEN


@pytest.mark.parametrize("what", ["leaf", "root", "path", "key"])
async def test_proofbundle_refuses_what_was_changed(what: str, evidence: Path) -> None:
    proofs = sorted((evidence / "proofs").glob("*.tlog-proof"))
    if what == "leaf":
        retell(evidence)
        leaf = json.loads(strangers.entries(evidence / "log")[5])
        source = proofs[0].read_text()
        proofs[0].with_name(f"{leaf['lane']}-{leaf['seq']}.tlog-proof").write_text(
            source
        )
    elif what == "root":
        text = proofs[0].read_text()
        body = text.index("\n\n") + 2
        root_at = text.index("\n", text.index("\n", body) + 1) + 1
        changed = "B" if text[root_at] == "A" else "A"
        proofs[0].write_text(text[:root_at] + changed + text[root_at + 1 :])
    elif what == "path":
        lines = proofs[0].read_text().split("\n")
        lines[2], lines[3] = lines[3], lines[2]
        proofs[0].write_text("\n".join(lines))
    else:
        other = (
            "keyturn.demo/2026+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
        )
        (evidence / "log.vkey").write_text(other)
    assert strangers.proofbundle(evidence).accepted is False


async def test_openssl_accepts_signed_documents_and_sees_a_change(
    evidence: Path,
) -> None:
    verdict = strangers.openssl(evidence)
    if verdict.accepted is None:
        pytest.skip(verdict.detail)
    assert verdict.accepted is True
    (path,) = (evidence / "handover").glob("*.dsse.json")
    envelope = json.loads(path.read_text())
    for name, value in (
        ("payload", "e30="),
        ("payloadType", envelope["payloadType"].replace("approval", "release")),
    ):
        path.write_text(json.dumps({**envelope, name: value}))
        assert strangers.openssl(evidence).accepted is False, name


def fsck(evidence: Path, seconds: float = 60) -> Verdict:
    verdict = strangers.tessera_fsck(evidence, seconds)
    if verdict.accepted is None:
        pytest.skip(verdict.detail)
    return verdict


def unsign(evidence: Path) -> None:
    checkpoint = evidence / "log" / "checkpoint"
    text = checkpoint.read_text()
    at = text.rindex("=") - 12
    changed = "B" if text[at] == "A" else "A"
    checkpoint.write_text(text[:at] + changed + text[at + 1 :])


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_tessera_fsck_finds_the_log_whole(evidence: Path) -> None:
    verdict = fsck(evidence)
    assert verdict.accepted is True, verdict
    size = len(strangers.entries(evidence / "log"))
    assert verdict.detail.startswith(f"{size} leaves")
    assert size > strangers.TILE


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(retell, "but checkpoint claims", id="retold"),
        pytest.param(unsign, "verify checkpoint", id="unsigned"),
    ],
)
async def test_tessera_fsck_names_a_changed_copy(
    change: Callable[[Path], None], named: str, evidence: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(evidence / "log", copy / "log")
    shutil.copyfile(evidence / "log.vkey", copy / "log.vkey")
    assert fsck(copy).accepted is True
    change(copy)
    verdict = fsck(copy)
    assert verdict.accepted is False
    assert named in verdict.detail


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_tessera_fsck_never_accepts_one_flipped_bit(evidence: Path) -> None:
    assert fsck(evidence).accepted is True
    flip(bundle(evidence), 100)
    assert fsck(evidence, seconds=8).accepted is False
