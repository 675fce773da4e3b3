# SPDX-License-Identifier: Apache-2.0
"""Reading an evidence directory: bounded, strict, and nothing is believed yet.

Owns where each file lies and what it looks like. `verify` decides what must hold.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts import base64text
from contracts.log import tiles
from contracts.log.lane_check import SignedHead
from contracts.log.merkle import HASH_SIZE
from services.cli.papers_check import ListedOfficer

CHECKPOINT: Final = "log/checkpoint"
LOG_VKEY: Final = "log.vkey"
SOURCES: Final = "sources.json"
HEADS: Final = "heads.json"
HANDOVER: Final = "handover"
OFFICERS: Final = "handover/officers.json"
PLAN: Final = "handover/plan.json"
DECISION: Final = "handover/decision.json"
HISTORY: Final = "handover/history.json"
CONTRACT: Final = "handover/contract.txt"
PROOFS: Final = "proofs"
MAX_BUNDLE_BYTES: Final = tiles.TILE_WIDTH * (tiles.MAX_ENTRY_BYTES + 2)

MAX_CONTRACT_BYTES: Final = 16 * 1024 * 1024

_MAX_JSON_BYTES: Final = 16 * 1024 * 1024
SERVICES: Final = frozenset({"vault", "transfer", "audit"})
KEY_SIZE: Final = 32
_DIGEST: Final = "sha256:"


class FileUnreadable(Exception):  # noqa: N818 - says what the file is
    """A file is missing, is not a plain file, or is too large."""


class FileMalformed(Exception):  # noqa: N818 - says what the file is
    """A file is not what its name promises."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Whose events belong into the log.

    Attributes:
        installation: The installation that every event names.
        keys: Raw Ed25519 public key, 32 bytes, of each service.
    """

    installation: str
    keys: dict[str, bytes]


class Evidence:
    """The files of one evidence directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def has(self, file: str) -> bool:
        """Whether there is such a file."""
        return (self.directory / file).exists()

    def files(self, folder: str, pattern: str) -> list[str]:
        """Return the files under a folder, sorted, as paths inside the evidence."""
        base = self.directory / folder
        found = sorted(base.rglob(pattern)) if base.is_dir() else []
        return [
            path.relative_to(self.directory).as_posix()
            for path in found
            if not path.is_dir()
        ]

    def read(self, file: str, limit: int) -> bytes:
        """Return a file's bytes.

        Raises:
            FileUnreadable: Missing, no plain file, or over `limit` bytes.
        """
        path = self.directory / file
        try:
            if not path.is_file() or path.stat().st_size > limit:
                raise FileUnreadable
            return path.read_bytes()
        except OSError as exc:
            raise FileUnreadable from exc

    def bundle(self, bundle: tiles.BundleId) -> list[bytes]:
        """Return entries; where the partial bundle is gone, the full one begins so.

        Raises:
            FileUnreadable: Neither is there.
            TileMalformed: It is no bundle of that width.
        """
        try:
            octets = self.read(f"log/{bundle.path}", MAX_BUNDLE_BYTES)
        except FileUnreadable:
            full = tiles.entries_path(bundle.n)
            octets = self.read(f"log/{full}", MAX_BUNDLE_BYTES)
            return tiles.decode_bundle(octets, tiles.TILE_WIDTH)[: bundle.width]
        return tiles.decode_bundle(octets, bundle.width)

    def tile(self, tile: tiles.TileId) -> bytes:
        """Return a hash tile; where the partial is gone, the full one begins so.

        Raises:
            FileUnreadable: Neither is there.
        """
        limit = tiles.TILE_WIDTH * HASH_SIZE
        try:
            return self.read(f"log/{tile.path}", limit)
        except FileUnreadable:
            full = self.read(f"log/{tiles.tile_path(tile.level, tile.n)}", limit)
            return full[: tile.width * HASH_SIZE]

    def sources(self) -> Sources:
        """Read `sources.json`.

        Raises:
            FileUnreadable: Missing or too large.
            FileMalformed: Not JSON, a member is missing, a bad key or service.
        """
        document = self._json(SOURCES)
        try:
            keys = {
                source["service"]: base64text.decode(source["public_key"])
                for source in document["sources"]
            }
            sources = Sources(str(document["installation"]), keys)
        except (KeyError, TypeError, ValueError) as exc:
            raise FileMalformed from exc
        if len(keys) != len(document["sources"]) or not keys.keys() <= SERVICES:
            raise FileMalformed
        if any(len(key) != KEY_SIZE for key in keys.values()):
            raise FileMalformed
        return sources

    def heads(self) -> list[SignedHead]:
        """Read `heads.json`: the items of `GET /v1/outbox/heads`, of all sources.

        Raises:
            FileUnreadable: Missing or too large.
            FileMalformed: Not JSON, or an item has not the members of a head.
        """
        document = self._json(HEADS)
        try:
            return [_head(item) for item in document["items"]]
        except (KeyError, TypeError, ValueError) as exc:
            raise FileMalformed from exc

    def officers(self) -> list[ListedOfficer]:
        """Read the officers in `handover/officers.json`.

        Raises:
            FileUnreadable: Missing or too large.
            FileMalformed: Not JSON, or an officer without a key.
        """
        document = self._json(OFFICERS)
        try:
            officers = [
                ListedOfficer(
                    base64text.decode(item["public_key"]),
                    item.get("key_id"),
                    item.get("role"),
                    item.get("party"),
                )
                for item in document["officers"]
            ]
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise FileMalformed from exc
        if any(len(officer.public_key) != KEY_SIZE for officer in officers):
            raise FileMalformed
        return officers

    def decision(self) -> Any:
        """Read `handover/decision.json` as JSON of any form.

        Raises:
            FileUnreadable: Missing or too large.
            FileMalformed: Not JSON.
        """
        return self._json(DECISION)

    def history(self) -> list[Any]:
        """Read the items of `handover/history.json`.

        Raises:
            FileUnreadable: Missing or too large.
            FileMalformed: Not JSON, or no list of items.
        """
        try:
            items = self._json(HISTORY)["items"]
        except (KeyError, TypeError) as exc:
            raise FileMalformed from exc
        if not isinstance(items, list):
            raise FileMalformed
        return items

    def _json(self, file: str) -> Any:
        octets = self.read(file, _MAX_JSON_BYTES)
        try:
            return json.loads(octets)
        except (ValueError, RecursionError) as exc:
            raise FileMalformed from exc


def _head(item: Any) -> SignedHead:
    lane, seq, digest = item["lane"], item["seq"], item["leaf_hash"]
    if not isinstance(lane, str) or type(seq) is not int:
        raise FileMalformed
    if not digest.startswith(_DIGEST):
        raise FileMalformed
    leaf = bytes.fromhex(digest.removeprefix(_DIGEST))
    return SignedHead(lane, seq, leaf, base64text.decode(item["head"]))
