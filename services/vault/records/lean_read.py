# SPDX-License-Identifier: Apache-2.0
"""The lean way of reading a record: the busiest request of the vault (ADR 0017)."""

from __future__ import annotations

import re
from typing import Final

from contracts.scopes import Scope
from services.chassis.auth import Principal, need
from services.chassis.lean import LeanRoute, RawHeaders
from services.vault.records.answers import disclosed_bytes
from services.vault.records.reads import Reads
from services.vault.records.schemas import RECORD_ID

PATH: Final = "/v1/records/{id}"
_PURPOSE: Final = re.compile(r"[a-z_]{1,64}")


def lean_read(reads: Reads) -> LeanRoute:
    """Return how a read of a whole record in full is served."""

    async def serve(
        caller: Principal, id_: str, purpose: str | None
    ) -> tuple[bytes, RawHeaders]:
        # The guard lets those in, too, who may have the pseudonym view alone.
        need(caller, Scope.RECORDS_READ)
        return disclosed_bytes(await reads.read(caller, purpose, id_))

    return LeanRoute(PATH, RECORD_ID, b"keyturn-purpose", _PURPOSE, serve)
