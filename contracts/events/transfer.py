# SPDX-License-Identifier: Apache-2.0
"""Payloads of transfer's events: the steps of handovers."""

from __future__ import annotations

from typing import ClassVar

from contracts.events.payload import Acted, Code, Digest, PartyId, Payload


class HandoverCreated(Acted):
    """A handover was opened as a draft."""

    TYPE: ClassVar[str] = "org.keyturn.handover.created.v1"
    handover: str
    seller: PartyId
    buyer: PartyId
    deal_type: Code


class HandoverAdvanced(Acted):
    """A handover moved from one state to another.

    Attributes:
        event: The transition's event, spelled as in its route.
        step: Dense sequence of the handover's transitions, from 1.
        document: Digest of the signed document that came with it.
    """

    TYPE: ClassVar[str] = "org.keyturn.handover.advanced.v1"
    handover: str
    event: Code
    from_state: Code
    to_state: Code
    step: int
    role: str
    document: Digest | None = None


class DocumentFiled(Acted):
    """A signed document was filed in a handover."""

    TYPE: ClassVar[str] = "org.keyturn.document.filed.v1"
    handover: str
    kind: Code
    digest: Digest
    role: str
    key_id: str


class BatchReconciled(Acted):
    """A worker brought one batch to its end."""

    TYPE: ClassVar[str] = "org.keyturn.batch.reconciled.v1"
    handover: str
    n: int
    digest: Digest
    folios: int
    dropped: int


TRANSFER_EVENTS: tuple[type[Payload], ...] = (
    HandoverCreated,
    HandoverAdvanced,
    DocumentFiled,
    BatchReconciled,
)
