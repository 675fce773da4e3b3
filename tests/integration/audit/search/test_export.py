# SPDX-License-Identifier: Apache-2.0
"""An export is checked offline, with its own files alone; a view shows no other's."""

import io
import json
import tarfile
from pathlib import Path

import httpx

from contracts.log import merkle, tiles
from contracts.log.checkpoint import open_checkpoint
from contracts.log.proof import TlogProof
from contracts.scopes import Scope
from services.cli.verify import verify_directory
from tests.fakes.evidence import SIGNER, Lane
from tests.integration.audit.search.library import Library, bearer
from tests.integration.audit.search.test_search import HANDOVER, filled, reading


async def export(
    library: Library, party: str, folder: Path, **body: str
) -> httpx.Response:
    """Export and unpack with the standard library."""
    answer = await library.http.post("/v1/exports", json=body, headers=bearer(party))
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        tar.extractall(folder, filter="data")
    return answer


async def test_the_whole_log_verifies_offline(library: Library, tmp_path: Path) -> None:
    vault, raws, _transfer, _steps = await filled(library)
    more = [vault.write(reading().draft("seller")) for _ in range(600)]
    await library.add(vault, more)
    out = tmp_path / "out"
    answer = await export(library, "platform", out)
    report = verify_directory(out, vkey=SIGNER.vkey)
    assert report.findings == []
    assert report.size == 1 + len(raws) + 2 + len(more)
    assert (out / "log/tile/0/002.p").is_dir()
    assert answer.headers["Audit-Event"] == f"{library.journal.lane}/2"


async def test_a_handovers_view_is_proven_and_holds_no_others(
    library: Library, tmp_path: Path
) -> None:
    _vault, raws, _transfer, steps = await filled(library)
    out = tmp_path / "out"
    await export(library, "seller", out, handover=HANDOVER)
    found = sorted(out.glob("events/*/*.json"))
    assert [p.read_bytes() for p in found] == [steps[1]]
    for path in found:
        proof = TlogProof.parse(path.with_suffix(".tlog-proof").read_bytes())
        proof.verify(path.read_bytes(), SIGNER.verifier)
    assert not (out / "log/tile/entries").exists()
    everything = b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file())
    assert raws[4] not in everything


async def test_a_partys_view_holds_its_exact_events_and_no_others(
    library: Library, tmp_path: Path
) -> None:
    _vault, raws, _transfer, steps = await filled(library)
    out = tmp_path / "out"
    await export(library, "seller", out)
    pages = [path.read_bytes() for path in sorted(out.glob("events/*"))]
    lines = [line.split(b" ", 1) for page in pages for line in page.splitlines()]
    assert [line[1] for line in lines] == [*raws[1:4], steps[1]]
    assert not (out / "log/tile/entries").exists()
    everything = b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file())
    assert raws[4] not in everything


async def test_a_view_holds_the_tree_that_its_checkpoint_signs(
    library: Library, tmp_path: Path
) -> None:
    await filled(library)
    out = tmp_path / "out"
    await export(library, "buyer", out)
    checkpoint = open_checkpoint((out / "log/checkpoint").read_bytes(), SIGNER.verifier)

    def read(level: int, n: int, width: int) -> bytes:
        return (out / "log" / tiles.tile_path(level, n, width)).read_bytes()

    assert tiles.root_from_tiles(checkpoint.size, read) == checkpoint.root
    leaves = tiles.leaf_hashes_from_tiles(0, checkpoint.size, checkpoint.size, read)
    assert merkle.tree_root(leaves) == checkpoint.root
    view = json.loads((out / "view.json").read_text())
    assert view == {
        "party": "buyer",
        "leaves_in_log": 8,
        "leaves_searched": 8,
        "heads_missing": [],
    }


async def test_an_export_needs_its_scope(library: Library) -> None:
    headers = bearer("seller", Scope.AUDIT_EVENTS)
    answer = await library.http.post("/v1/exports", json={}, headers=headers)
    assert answer.status_code == 403


async def test_an_export_leaves_its_event_first(
    library: Library, tmp_path: Path
) -> None:
    await filled(library)
    answer = await export(library, "seller", tmp_path / "out")
    trace = await library.get(f"/v1/events/{answer.headers['Audit-Event']}")
    assert trace.json()["event"]["type"] == "org.keyturn.log.exported.v1"
    lane = Lane("a")
    assert lane.id not in str(trace.json()["event"]["data"])
