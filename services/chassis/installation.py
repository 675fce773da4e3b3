# SPDX-License-Identifier: Apache-2.0
"""The installation's public files: its id, its sources' public keys, its log's key.

`installation.json` is made by the vault's `init`; each service's `init` adds its own
public key to `sources.json`. Nothing in them is secret.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any, Final

from contracts import base64text
from contracts.log.errors import LogError
from contracts.log.note import NoteVerifier
from services.chassis.key_files import replace_private
from services.chassis.settings import SettingsError

INSTALLATION: Final = "installation.json"
SOURCES: Final = "sources.json"
LOG_VKEY: Final = "log.vkey"


def created_at(state_dir: Path) -> str:
    """Return when the installation was made, RFC 3339.

    Raises:
        SettingsError: The vault's `init` has not run.
    """
    try:
        document = json.loads((state_dir / INSTALLATION).read_text(encoding="utf-8"))
        return str(document["created_at"])
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingsError(
            "KEYTURN_STATE_DIR",
            "holds no installation.json; run `python -m services.vault init` first",
        ) from None


def name_source(
    state_dir: Path, installation: str, service: str, public_key: bytes
) -> None:
    """Add a source's public key to `sources.json`, once.

    Two `init` at a time wait for each other; a crash leaves the old or the new file.
    """
    item = {"service": service, "public_key": base64text.encode(public_key)}
    path = state_dir / SOURCES
    with (state_dir / "locks" / "sources.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document: dict[str, Any] = {"installation": installation, "sources": []}
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
        if item not in document["sources"]:
            document["sources"].append(item)
            replace_private(path, (json.dumps(document, indent=2) + "\n").encode())


def log_verifier(state_dir: Path) -> NoteVerifier | None:
    """Return the log's public key; None until audit's `init` has written it."""
    try:
        text = (state_dir / LOG_VKEY).read_text(encoding="utf-8")
        return NoteVerifier.from_vkey(text.strip())
    except (OSError, LogError):
        return None
