# SPDX-License-Identifier: Apache-2.0
"""Promise: a log that shrank, forked or signs with another key is never believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from contracts.log import merkle
from contracts.log.checkpoint import Checkpoint
from contracts.log.edge import TileEdge
from contracts.log.note import NoteSigner
from contracts.log.proof import TlogProof
from contracts.log.tiles import TILE_WIDTH
from keyturn_client import Keyturn, LogView, verify_proof
from keyturn_client.errors import (
    LogRewritten,
    LogUntrusted,
    NotFound,
    PinUnusable,
    ProofWrong,
)
from tests.unit.client.house import playing, problem

SIGNER = NoteSigner("keyturn.test", b"k" * 32)
EVENT = f"{'a' * 32}/7"


def leaf(n: int, branch: str = "") -> bytes:
    return json.dumps({"id": f"{'a' * 32}/{n}", "branch": branch}).encode()


@dataclass
class Site:
    """A log as it is published: `leaves` at this moment, with all its full tiles."""

    leaves: list[bytes]
    signer: NoteSigner = SIGNER
    tiles: dict[str, bytes] = field(default_factory=dict)
    hidden: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def hashes(self) -> list[bytes]:
        return [merkle.leaf_hash(one) for one in self.leaves]

    def note(self) -> bytes:
        root = merkle.tree_root(self.hashes) if self.leaves else merkle.EMPTY_ROOT
        checkpoint = Checkpoint(self.signer.verifier.name, len(self.leaves), root)
        return self.signer.sign(checkpoint.text())

    def publish(self) -> None:
        _, made = TileEdge().append(self.hashes)
        self.tiles = {f"/{tile.id.path}": tile.octets for tile in made}

    def proof(self, index: int) -> bytes:
        hashes = merkle.inclusion_proof(self.hashes, index)
        return TlogProof(index, tuple(hashes), self.note()).encode()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path == "/checkpoint":
            self.publish()
            return httpx.Response(200, content=self.note())
        if path in self.tiles:
            return httpx.Response(200, content=self.tiles[path])
        if path == f"/v1/events/{EVENT}" and not self.hidden:
            return httpx.Response(200, json=self.answered(7))
        if path == f"/v1/events/{EVENT}/proof":
            return httpx.Response(200, content=self.proof(7))
        self.hidden -= 1
        return problem(404, "not-found")

    def answered(self, index: int) -> dict[str, object]:
        import base64

        raw = self.leaves[index]
        return {
            "index": index,
            "id": EVENT,
            "leaf_hash": "",
            "raw": base64.b64encode(raw).decode(),
            "event": json.loads(raw),
            "proof": None,
        }


def log(count: int, branch: str = "", at: int = 0) -> list[bytes]:
    return [leaf(n, branch if n >= at else "") for n in range(count)]


def advance(view: LogView, site: Site) -> Checkpoint:
    with playing(site) as (keyturn, _):
        return keyturn.log.advance(view)


@pytest.mark.parametrize(
    "sizes",
    [[0, 5], [1, 2, 3, 300], [255, 256, 257], [256, 600], [7, 7], [513, 70_000]],
    ids=str,
)
def test_a_growing_log_is_followed_over_restarts(
    tmp_path: Path, sizes: Sequence[int]
) -> None:
    whole = log(max(sizes))
    for size in sizes:
        view = LogView(SIGNER.vkey, tmp_path / "pin")
        assert advance(view, Site(whole[:size])).size == size
    assert view.seen is not None
    assert view.seen.size == sizes[-1]


@pytest.mark.parametrize("view_size", [1, 100, 256, 300])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_fork_is_never_believed(
    tmp_path: Path, view_size: int, restarted: bool
) -> None:
    view = LogView(SIGNER.vkey, tmp_path / "pin")
    first = advance(view, Site(log(view_size)))
    for size in (view_size, view_size + 1, 700):
        if restarted:
            view = LogView(SIGNER.vkey, tmp_path / "pin")
        with pytest.raises(LogRewritten):
            advance(view, Site(log(size, "other", at=view_size - 1)))
        assert view.seen == first
    assert advance(view, Site(log(701))).size == 701


def test_a_log_that_shrank_is_never_believed(tmp_path: Path) -> None:
    view = LogView(SIGNER.vkey, tmp_path / "pin")
    advance(view, Site(log(300)))
    with pytest.raises(LogRewritten, match="shrank from 300 to 299"):
        advance(view, Site(log(299)))


def test_a_log_that_does_not_show_its_tiles_is_not_believed(tmp_path: Path) -> None:
    view = LogView(SIGNER.vkey, tmp_path / "pin")
    advance(view, Site(log(300)))
    silent = Site(log(600))
    silent.publish = lambda: None  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        advance(view, silent)
    short = Site(log(600))
    short.publish = lambda: short.tiles.update(  # type: ignore[method-assign]
        {"/tile/0/001": b"", "/tile/0/000": b"x" * TILE_WIDTH * 32}
    )
    with pytest.raises((LogRewritten, NotFound)):
        advance(view, short)


def test_another_key_signs_in_vain() -> None:
    stranger = NoteSigner("keyturn.test", b"s" * 32)
    with pytest.raises(LogUntrusted):
        advance(LogView(SIGNER.vkey), Site(log(3), stranger))
    with pytest.raises(LogUntrusted):
        LogView("keyturn.test+00000000+AAAA")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"vkey": 1}'])
def test_a_damaged_file_is_not_taken_for_a_first_time(
    tmp_path: Path, text: str
) -> None:
    pin = tmp_path / "pin"
    pin.write_text(text)
    with pytest.raises(PinUnusable):
        LogView(SIGNER.vkey, pin)


def test_a_file_of_another_log_or_a_forged_one_is_refused(tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    advance(LogView(SIGNER.vkey, pin), Site(log(3)))
    with pytest.raises(PinUnusable):
        LogView(NoteSigner("keyturn.test", b"s" * 32).vkey, pin)
    kept = json.loads(pin.read_text())
    kept["checkpoint"] = kept["checkpoint"].replace("\n3\n", "\n2\n")
    pin.write_text(json.dumps(kept))
    with pytest.raises(LogUntrusted):
        LogView(SIGNER.vkey, pin)


def prove(keyturn: Keyturn, view: LogView) -> bytes:
    return keyturn.log.prove(view, EVENT, within=2.0).event.raw


def test_an_event_is_waited_for_and_proven() -> None:
    site = Site(log(20), hidden=3)
    site.publish()
    with playing(site) as (keyturn, played):
        assert prove(keyturn, LogView(SIGNER.vkey)) == leaf(7)
    assert played.slept == [0.5] * 3
    with (
        playing(Site(log(20), hidden=99)) as (keyturn, played),
        pytest.raises(NotFound),
    ):
        prove(keyturn, LogView(SIGNER.vkey))
    assert len(played.slept) == 4


def test_a_proof_in_another_history_is_refused() -> None:
    view = LogView(SIGNER.vkey)
    advance(view, Site(log(15)))
    forked = Site(log(20, "other", at=3))
    forked.publish()
    with playing(forked) as (keyturn, _), pytest.raises(LogRewritten):
        prove(keyturn, view)


def test_an_event_of_another_name_is_refused() -> None:
    site = Site([leaf(n + 1) for n in range(20)])
    with (
        playing(site) as (keyturn, _),
        pytest.raises(ProofWrong, match="another event"),
    ):
        prove(keyturn, LogView(SIGNER.vkey))


def test_a_proof_is_of_exactly_its_bytes_index_and_log() -> None:
    site = Site(log(20))
    proof = site.proof(7)
    assert verify_proof(leaf(7), proof, SIGNER.vkey).size == 20
    stranger = NoteSigner("keyturn.test", b"s" * 32).vkey
    for event, shown, vkey in (
        (leaf(8), proof, SIGNER.vkey),
        (leaf(7) + b" ", proof, SIGNER.vkey),
        (leaf(7), proof.replace(b"index 7", b"index 6"), SIGNER.vkey),
        (leaf(7), proof[:-5], SIGNER.vkey),
        (leaf(7), b"", SIGNER.vkey),
        (leaf(7), proof, stranger),
        (leaf(7), proof, "no key"),
    ):
        with pytest.raises(ProofWrong):
            verify_proof(event, shown, vkey)
