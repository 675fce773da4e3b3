# SPDX-License-Identifier: Apache-2.0
"""An independent look at a published log: who signs it, what lies in it."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

from nacl.signing import SigningKey

from contracts.log.note import NoteSigner
from services.audit.log import store
from services.chassis.lanes import EventRef
from services.cli.verify import verify_directory
from services.cli.verify_report import Level, Report

INSTALLATION = "0011223344556677"
VAULT_KEY = SigningKey(b"\x01" * 32)
TRANSFER_KEY = SigningKey(b"\x02" * 32)
AUDIT_KEY = SigningKey(b"\x03" * 32)
SIGNER = NoteSigner(f"keyturn.{INSTALLATION}/2026", b"\x04" * 32)
PUBLIC = {
    "vault": VAULT_KEY.verify_key,
    "transfer": TRANSFER_KEY.verify_key,
    "audit": AUDIT_KEY.verify_key,
}


def published_entries(folder: Path) -> list[bytes]:
    """Scan the bundles with nothing of Keyturn's: length, bytes, length, bytes."""
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    entries: list[bytes] = []
    for n in range(-(-size // 256)):
        group = [f"{n % 1000:03d}"]
        high = n // 1000
        while high:
            group.append(f"x{high % 1000:03d}")
            high //= 1000
        path = folder / "tile" / "entries" / "/".join(reversed(group))
        width = min(256, size - n * 256)
        partial = Path(f"{path}.p") / str(width)
        octets = (path if width == 256 or path.exists() else partial).read_bytes()
        at = 0
        for _ in range(width):
            length = int.from_bytes(octets[at : at + 2], "big")
            entries.append(octets[at + 2 : at + 2 + length])
            at += 2 + length
    return entries


def check_log(
    folder: Path,
    log_dir: Path,
    positions: list[store.PositionRow],
    written: list[EventRef],
    expected: tuple[str, ...] = (),
) -> list[bytes]:
    """Check tiles, bundles, checkpoint, lanes and heads; every written event once."""
    entries = published_entries(log_dir)
    places = [
        (document["lane"], document["seq"]) for document in map(json.loads, entries)
    ]
    assert len(places) == len(set(places)), "a leaf twice"
    missing = {(ref.lane, ref.seq) for ref in written} - set(places)
    assert not missing, f"{len(missing)} committed events are no leaves"
    report = _verify(folder, log_dir, positions)
    failed = [f for f in report.findings if f.level is Level.FAILURE]
    rules = {finding.rule for finding in failed}
    assert rules == set(expected), failed
    return entries


def _verify(folder: Path, log_dir: Path, positions: list[store.PositionRow]) -> Report:
    evidence = folder / f"evidence-{secrets.token_hex(4)}"
    evidence.mkdir()
    (evidence / "log").symlink_to(log_dir)
    (evidence / "log.vkey").write_text(SIGNER.vkey + "\n")
    items = [
        {
            "lane": row.lane,
            "seq": row.seq,
            "leaf_hash": f"sha256:{row.leaf_hash.hex()}",
            "head": base64.b64encode(row.head).decode(),
        }
        for row in positions
    ]
    (evidence / "heads.json").write_text(json.dumps({"items": items}))
    (evidence / "sources.json").write_text(sources_text())
    return verify_directory(evidence, vkey=SIGNER.vkey)


def sources_text() -> str:
    sources = [
        {
            "service": name,
            "public_key": base64.b64encode(bytes(key)).decode(),
        }
        for name, key in PUBLIC.items()
    ]
    return json.dumps({"installation": INSTALLATION, "sources": sources})
