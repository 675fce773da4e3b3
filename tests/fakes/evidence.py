# SPDX-License-Identifier: Apache-2.0
"""Small real logs for tests: lanes as a source writes them, files as audit does."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from nacl.signing import SigningKey

from contracts import dsse
from contracts.events import envelope
from contracts.events.head import Head
from contracts.events.lane import LaneClosed, LaneOpened
from contracts.events.payload import EventDraft
from contracts.log import merkle, tiles
from contracts.log.checkpoint import Checkpoint, NoteSigner
from contracts.log.edge import TileEdge

ORIGIN = "keyturn.demo/2026"
SIGNER = NoteSigner(ORIGIN, bytes(range(32)))
SOURCE_KEYS = {
    "vault": SigningKey(bytes([1] * 32)),
    "transfer": SigningKey(bytes([2] * 32)),
}
OFFICER = bytes([7] * 32)
OFFICER_KEY = bytes(SigningKey(OFFICER).verify_key)
APPROVAL = "application/vnd.keyturn.approval.v1+json"


class Lane:
    """Writes a lane's events as a source does."""

    def __init__(
        self, digit: str, slot: str = "w1/records", service: str = "vault"
    ) -> None:
        self.id = digit * 32
        self.slot = slot
        self.source = envelope.source_urn("demo", service)
        self.seq = 0
        self.leaf = b""
        self.pseqs: dict[str, int] = {}

    def write(self, draft: EventDraft) -> bytes:
        for party in draft.parties:
            self.pseqs[party] = self.pseqs.get(party, 0) + 1
        self.seq += 1
        raw = envelope.encode(
            source=self.source,
            type_=draft.type,
            time="2026-11-24T10:00:00.000Z",
            classification=draft.classification,
            lane=self.id,
            seq=self.seq,
            prev=self.leaf,
            parties=[envelope.PartySeq(p, self.pseqs[p]) for p in draft.parties],
            data=draft.data,
        )
        self.leaf = merkle.leaf_hash(raw)
        return raw

    def open(self, before: "Lane | None" = None) -> bytes:
        leaf = base64.b64encode(before.leaf).decode() if before else ""
        opened = LaneOpened(
            slot=self.slot,
            previous=before.id if before else "",
            previous_seq=before.seq if before else 0,
            previous_leaf=leaf,
        )
        return self.write(opened.draft())

    def read(self, *parties: str) -> bytes:
        return self.write(
            EventDraft("org.keyturn.record.read.v1", "confidential", parties, {})
        )

    def close(self) -> bytes:
        return self.write(LaneClosed(slot=self.slot).draft())


def honest_entries(count: int = 600, custody: Sequence[bytes] = ()) -> list[bytes]:
    """Three lanes: one that ends, its successor, and one beside them.

    `custody` are entries of other lanes, which stand near the beginning.
    """
    first, other = Lane("a"), Lane("b", "w1/handovers", "transfer")
    entries = [first.open(), other.open(), *custody]
    while len(entries) < count // 2:
        entries.append(first.read("seller"))
        entries.append(other.read("seller", "buyer"))
    entries.append(first.close())
    second = Lane("c")
    entries.append(second.open(first))
    while len(entries) < count:
        entries.append(second.read("seller"))
    return entries


def write_log(directory: Path, entries: Sequence[bytes], *, old: int = 0) -> None:
    """Publish a static log; with `old`, also the partial tiles of that size."""
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    edge = TileEdge()
    for size in sorted({old, len(entries)}):
        bundles = tiles.new_bundles(edge.size, size)
        edge, new = edge.append(leaves[edge.size : size])
        files = {tile.id.path: tile.octets for tile in new}
        for bundle in bundles:
            start = bundle.n * 256
            part = entries[start : start + bundle.width]
            files[bundle.path] = tiles.encode_bundle(part)
        for path, octets in files.items():
            target = directory / "log" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(octets)
    text = Checkpoint(ORIGIN, edge.size, edge.root()).text()
    (directory / "log").mkdir(exist_ok=True)
    (directory / "log" / "checkpoint").write_bytes(SIGNER.sign(text))
    (directory / "log.vkey").write_text(SIGNER.vkey + "\n")
    sources = [
        {
            "service": service,
            "public_key": base64.b64encode(bytes(key.verify_key)).decode(),
        }
        for service, key in SOURCE_KEYS.items()
    ]
    (directory / "sources.json").write_text(
        json.dumps({"installation": "demo", "sources": sources})
    )
    write_heads(directory, entries)


def write_heads(directory: Path, entries: Sequence[bytes]) -> None:
    """Sign the end of each lane, as its source does."""
    ends: dict[str, envelope.Event] = {}
    for entry in entries:
        try:
            event = envelope.parse(entry)
        except envelope.EventMalformed:
            continue
        ends[event.lane] = event
    items = []
    for event in ends.values():
        head = Head("demo", event.lane, event.seq, merkle.leaf_hash(event.raw))
        signature = head.sign(SOURCE_KEYS[event.service])
        items.append(
            {
                "lane": event.lane,
                "seq": event.seq,
                "leaf_hash": f"sha256:{head.leaf.hex()}",
                "head": base64.b64encode(signature).decode(),
            }
        )
    (directory / "heads.json").write_text(json.dumps({"items": items}))


def write_handover(directory: Path) -> None:
    folder = directory / "handover"
    folder.mkdir()
    signed = dsse.sign_envelope(b'{"plan_hash":"x"}', APPROVAL, OFFICER)
    (folder / "approval-1.dsse.json").write_bytes(signed)
    key = base64.b64encode(OFFICER_KEY).decode()
    officers = {"officers": [{"public_key": key, "role": "owner"}]}
    (folder / "officers.json").write_text(json.dumps(officers))
