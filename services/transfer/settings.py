# SPDX-License-Identifier: Apache-2.0
"""Transfer's configuration: an embedded file, or a PostgreSQL database."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import field
from typing import ClassVar

from services.chassis.settings import ServiceSettings
from services.chassis.variables import read, whole

_WORKER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def _worker(text: str) -> str:
    if _WORKER.fullmatch(text) is None:
        raise ValueError
    return text


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferSettings(ServiceSettings):
    """What transfer needs to know beyond every service.

    Attributes:
        port: TCP port to listen on.
        server: Name of a serving process; its slot is `<server>/handover`.
        worker: Name of a worker process; its slot is `<worker>/handover` and its
            leases carry it. Two running processes never share one.
        lease_seconds: A batch whose worker died is taken over after this long.
        parallel: Batches that one worker has in flight at the vault.
        outbox_keep_seconds: Receipted events stay in the outbox this long.
    """

    SERVICE: ClassVar[str] = "transfer"
    ABOUT: ClassVar[str] = (
        "Leads a handover of customers from draft to close, on signed documents."
    )

    port: int = field(
        default=8402, metadata=read(whole(0, 65_535), "a TCP port, 0-65535")
    )
    server: str = field(
        default="transfer-1",
        metadata=read(_worker, "lower-case letters, digits and `-`"),
    )
    worker: str = field(
        default="worker-1", metadata=read(_worker, "lower-case letters, digits and `-`")
    )
    lease_seconds: int = field(
        default=60, metadata=read(whole(1, 3_600), "1-3600 seconds")
    )
    parallel: int = field(default=4, metadata=read(whole(1, 64), "1-64 batches"))
    outbox_keep_seconds: int = field(
        default=86_400, metadata=read(whole(0, 31_536_000), "seconds")
    )
