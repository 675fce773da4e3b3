# SPDX-License-Identifier: Apache-2.0
"""Where an installation of the embedded default lives: directories and ports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where an installation lives.

    Attributes:
        state: Databases, log, locks; backed up apart from `keys`.
        keys: Root key and seeds.
        vault_port, transfer_port, audit_port: TCP ports on loopback.
        environ: Settings beyond these, `KEYTURN_...`.
    """

    state: Path
    keys: Path
    vault_port: int = 8401
    transfer_port: int = 8402
    audit_port: int = 8403
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def vault_url(self) -> str:
        """Base URL of the vault."""
        return f"http://127.0.0.1:{self.vault_port}"

    @property
    def transfer_url(self) -> str:
        """Base URL of transfer."""
        return f"http://127.0.0.1:{self.transfer_port}"

    @property
    def audit_url(self) -> str:
        """Base URL of audit."""
        return f"http://127.0.0.1:{self.audit_port}"

    def ports(self) -> dict[str, int]:
        """The TCP ports by service."""
        return {
            "vault": self.vault_port,
            "transfer": self.transfer_port,
            "audit": self.audit_port,
        }

    def settings(self) -> dict[str, str]:
        """The environment of every process of this installation."""
        return {
            **os.environ,
            "KEYTURN_STATE_DIR": str(self.state),
            "KEYTURN_KEYS_DIR": str(self.keys),
            "KEYTURN_VAULT_PORT": str(self.vault_port),
            "KEYTURN_TRANSFER_PORT": str(self.transfer_port),
            "KEYTURN_AUDIT_PORT": str(self.audit_port),
            "KEYTURN_VAULT_URL": self.vault_url,
            "KEYTURN_TRANSFER_URL": self.transfer_url,
            "KEYTURN_AUDIT_URL": self.audit_url,
            **self.environ,
        }
