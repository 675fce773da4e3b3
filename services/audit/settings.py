# SPDX-License-Identifier: Apache-2.0
"""Audit's configuration: an embedded file, or one PostgreSQL database."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import ClassVar

from services.chassis.settings import ServiceSettings
from services.chassis.variables import boolean, read, whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditSettings(ServiceSettings):
    """What audit needs to know beyond every service.

    Attributes:
        port: TCP port to listen on.
        public_log: Whether checkpoint and hash tiles need no token.
        outbox_keep_seconds: Audit's own receipted events stay this long.
        kafka_copies: Replication factor of topics that audit creates.
    """

    SERVICE: ClassVar[str] = "audit"
    ABOUT: ClassVar[str] = (
        "Keeps the log of every access and step, and proves what it holds."
    )

    port: int = field(
        default=8403, metadata=read(whole(0, 65_535), "a TCP port, 0-65535")
    )
    public_log: bool = field(default=True, metadata=read(boolean, "`true` or `false`"))
    outbox_keep_seconds: int = field(
        default=604_800, metadata=read(whole(0, 31_536_000), "seconds")
    )
    kafka_copies: int = field(default=1, metadata=read(whole(1, 9), "1-9"))

    @property
    def log_dir(self) -> Path:
        """Where the static log is published."""
        return self.state_dir / "audit" / "log"

    @property
    def database_path(self) -> Path:
        """The embedded database of the log."""
        return self.state_dir / "audit" / "audit.db"

    @property
    def search_path(self) -> Path:
        """The embedded database of the search projection."""
        return self.state_dir / "audit" / "search.db"
