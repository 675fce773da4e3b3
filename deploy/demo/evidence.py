# SPDX-License-Identifier: Apache-2.0
"""Gathers what a stranger can check: the static log, its key, heads, papers, proofs.

Written on the host that runs Keyturn, from what its services publish. Nothing here
is believed later because it lies here: `verify` and `proving` check it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts import base64text
from contracts.log import tiles
from contracts.log.checkpoint import Checkpoint, open_checkpoint
from contracts.log.note import NoteVerifier
from deploy.demo.cast import Tale
from deploy.demo.office import Office
from deploy.demo.people_of_the_deal import OFFICERS, client_file
from deploy.demo.walking import CONTRACT
from services.cli.http import Api
from services.cli.token import client_login

SOURCES: Final = ("vault", "transfer", "audit")
SETTLE_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.3


class NotSettled(Exception):  # noqa: N818 - it names what is
    """The published log did not catch up with what the services committed."""


@dataclass(frozen=True, slots=True)
class LogCopy:
    """The static log as it was copied.

    Attributes:
        heads: The items of `GET /v1/outbox/heads`, by source.
        entries: All entries, in log order.
    """

    checkpoint: Checkpoint
    heads: Mapping[str, list[dict[str, Any]]]
    entries: list[bytes]

    def ends(self) -> dict[str, int]:
        """Return the last number of each lane in the log."""
        ends: dict[str, int] = {}
        for entry in self.entries:
            event = json.loads(entry)
            ends[event["lane"]] = max(ends.get(event["lane"], 0), event["seq"])
        return ends

    def signed_ends(self) -> dict[str, int]:
        """Return the last number of each lane as its source signed it."""
        return {
            item["lane"]: item["seq"] for items in self.heads.values() for item in items
        }


def copy_log(tale: Tale) -> LogCopy:
    """Copy the static log once it holds all that was committed.

    Heads are asked for first and the log is copied after: it must end exactly there,
    or something was written in between and it is tried again.

    Raises:
        NotSettled: That did not come about in time.
    """
    folder = tale.stage.evidence
    folder.mkdir(parents=True, exist_ok=True)
    state = tale.stage.place.state
    for name in ("log.vkey", "sources.json"):
        shutil.copyfile(state / name, folder / name)
    verifier = NoteVerifier.from_vkey((folder / "log.vkey").read_text().strip())
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        heads = _heads(tale.office)
        copied = _copy(state / "audit" / "log", folder / "log", verifier, heads)
        if copied.ends() == copied.signed_ends():
            break
        if time.monotonic() > deadline:
            raise NotSettled(_difference(copied))
        time.sleep(PAUSE_SECONDS)
    items = [item for found in copied.heads.values() for item in found]
    _write(folder / "heads.json", {"items": items})
    return copied


def write_papers(tale: Tale) -> None:
    """Write plan, decision, signed documents, officers' keys and the contract."""
    stage = tale.stage
    folder = stage.evidence / "handover"
    desk = tale.office.desk("SC")
    base = f"/v1/handovers/{tale.handover}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_bytes(desk.transfer.read(f"{base}/plan"))
    (folder / "contract.txt").write_text(CONTRACT, encoding="utf-8")
    decision = desk.vault.get(f"/v1/custody/{tale.handover}/decision")
    _write(folder / "decision.json", decision)
    _write(folder / "history.json", desk.transfer.get(f"{base}/history"))
    _write(folder / "officers.json", {"officers": list(_officers(tale.office))})
    _documents(desk.transfer, base, folder / "documents")
    cancelled = f"/v1/handovers/{tale.first_handover}"
    _documents(desk.transfer, cancelled, folder / "cancelled" / "documents")


def _documents(transfer: Api, base: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for item in transfer.get(f"{base}/documents")["items"]:
        name = f"{item['step']:02d}-{item['kind']}-{item['role']}.dsse.json"
        _write(folder / name, item["envelope"])


def _officers(office: Office) -> Iterator[dict[str, str]]:
    for spec in OFFICERS:
        officer = office.desk(spec.seat).officer
        yield {
            "party": spec.party,
            "person": spec.person,
            "role": spec.role.value,
            "key_id": officer.sign.key_id,
            "public_key": base64text.encode(officer.sign.public_key),
        }


def _heads(office: Office) -> dict[str, list[dict[str, Any]]]:
    """Return each source's signed heads, as audit may ask for them."""
    place = office.place
    path = client_file(place.keys, "audit")
    login = client_login(place.vault_url, path, office.clock)
    urls = (place.vault_url, place.transfer_url, place.audit_url)
    found: dict[str, list[dict[str, Any]]] = {}
    for source, url in zip(SOURCES, urls, strict=True):
        with closing(Api(url, login)) as api:
            found[source] = api.get("/v1/outbox/heads")["items"]
    return found


def _copy(
    published: Path,
    folder: Path,
    verifier: NoteVerifier,
    heads: Mapping[str, list[dict[str, Any]]],
) -> LogCopy:
    """Copy a log by its checkpoint: what the checkpoint covers, and nothing else."""
    note = (published / "checkpoint").read_bytes()
    checkpoint = open_checkpoint(note, verifier)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    entries: list[bytes] = []
    for tile in tiles.new_tiles(0, checkpoint.size):
        _copy_file(published, folder, tile.path)
    for bundle in tiles.new_bundles(0, checkpoint.size):
        octets = _copy_file(published, folder, bundle.path)
        entries += tiles.decode_bundle(octets, bundle.width)
    (folder / "checkpoint").write_bytes(note)
    return LogCopy(checkpoint, heads, entries)


def _copy_file(published: Path, folder: Path, path: str) -> bytes:
    octets = (published / path).read_bytes()
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(octets)
    return octets


def _difference(copied: LogCopy) -> str:
    ends, signed = copied.ends(), copied.signed_ends()
    lanes = sorted(lane for lane in ends | signed if ends.get(lane) != signed.get(lane))
    parts = [f"{x}: log {ends.get(x, 0)}, source {signed.get(x, 0)}" for x in lanes]
    return "the log did not settle: " + "; ".join(parts[:8])


def _write(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
