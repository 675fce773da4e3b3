# SPDX-License-Identifier: Apache-2.0
"""Payloads of audit's own events: alerts about the log and its sources."""

from __future__ import annotations

from typing import ClassVar

from contracts.events.payload import Acted, Code, Digest, Payload


class AlertRaised(Payload):
    """Something that a person must look at.

    Attributes:
        alert: Code: `fork`, `restore`, `gap`, `source-silent`, `unreadable`,
            `broker-lost-data`, `unheaded`.
        lane: The lane concerned, if one is.
        seq: The sequence number concerned, if one is.
        evidence: Digest of the kept evidence, if any.
    """

    TYPE: ClassVar[str] = "org.keyturn.alert.raised.v1"
    CLASSIFICATION: ClassVar[str] = "internal"
    alert: Code
    lane: str | None = None
    seq: int | None = None
    evidence: Digest | None = None


class LogExported(Acted):
    """A copy of the log, or of a party's view of it, was exported."""

    TYPE: ClassVar[str] = "org.keyturn.log.exported.v1"
    size: int
    handover: str | None = None


class LogSearched(Acted):
    """The log was searched; names the filters used, never their values."""

    TYPE: ClassVar[str] = "org.keyturn.log.searched.v1"
    filters: list[Code]
    hits: int


AUDIT_EVENTS: tuple[type[Payload], ...] = (AlertRaised, LogExported, LogSearched)
