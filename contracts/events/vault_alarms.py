# SPDX-License-Identifier: Apache-2.0
"""Payloads of the vault's alarms: what nobody may cause through its API."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from contracts.events.payload import Acted, Alias, Code


class RecordSealBroken(Acted):
    """Something stored of a record did not open: it was altered, moved or put back.

    Attributes:
        action: What the record was wanted for.
        record: Its alias; absent where the row names no record of the party.
        class_: The class it stands in; `identity` for the record's numbers.
        fault: `commitment` for the wrong place or key, `ciphertext` for altered bytes.
    """

    TYPE: ClassVar[str] = "org.keyturn.record.seal_broken.v1"
    CLASSIFICATION: ClassVar[str] = "restricted"
    action: Code
    record: Alias | None = None
    class_: Code | None = Field(default=None, alias="class")
    fault: Code
