# SPDX-License-Identifier: Apache-2.0
"""Bodies of the handovers' routes, in and out."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from contracts.custody.plan import DealType, Path
from services.chassis.body import Body, Text
from services.transfer.handovers.demands import Asked
from services.transfer.handovers.operations import NewHandover
from services.transfer.handovers.states import Event

Party = Annotated[str, Text(64, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Note = Annotated[str, Text(2_000, lines=True)]
MAX_PAYLOAD = 400_000

_DEAL: Final[dict[str, Any]] = {
    "seller": "acme",
    "buyer": "birch",
    "reviewer": "counsel",
    "deal_type": "asset_sale",
    "path": "separate_consent",
}
_SCOPE: Final[dict[str, Any]] = {
    "classes": ["basic"],
    "filters": [{"class": "basic", "fact": "tag", "op": "ne", "value": "wholesale"}],
    "purposes": {"basic": ["customer_service", "order_fulfilment"]},
    "denied_purposes": {"basic": ["marketing", "sale"]},
}
_PLAN: Final[dict[str, Any]] = {
    "retention": {"basic": None},
    "window_closes": {"basic": "2026-06-30"},
    "contract_hash": "sha256:" + "0" * 64,
    "expires": "2026-12-24T12:00:00Z",
}


class CreateBody(Body):
    """A new handover; `reviewer` is the party of the independent professional."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DEAL]})

    seller: Party
    buyer: Party
    reviewer: Party | None = None
    deal_type: DealType
    path: Path
    note: Note | None = None

    def asked(self) -> NewHandover:
        """Return it as the room takes it."""
        return NewHandover(
            self.seller,
            self.buyer,
            self.reviewer or "",
            self.deal_type.value,
            self.path.value,
            self.note or "",
        )


class SignatureBody(Body):
    """One signature of an envelope."""

    keyid: Annotated[str, Text(64, pattern=r"^[0-9a-f]{64}$")]
    sig: Annotated[str, Text(128)]


class EnvelopeBody(Body):
    """A DSSE v1 envelope with exactly one signature."""

    payload: Annotated[str, Text(MAX_PAYLOAD)]
    payloadType: Annotated[str, Text(128)]  # noqa: N815 - DSSE spells it so
    signatures: Annotated[list[SignatureBody], Field(min_length=1, max_length=1)]


class StepBody(Body):
    """What a step may bring: which members, the state's table says.

    Attributes:
        note: For the other people of the handover; no personal data of customers.
        document: What the person signed for this step.
        scope: For `propose`: classes, filters, purposes, denied_purposes.
        plan: For `ready`: retention, window_closes, contract_hash, expires, ...
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"note": "Closing is in December."},
                {"scope": _SCOPE},
                {"plan": _PLAN},
            ]
        }
    )

    note: Note | None = None
    document: EnvelopeBody | None = None
    scope: dict[str, Any] | None = Field(
        default=None,
        description="For `propose`. `classes`, sorted; `filters` that narrow a class; "
        "per class `purposes` the buyer may read for and `denied_purposes` it may not.",
        examples=[_SCOPE],
    )
    plan: dict[str, Any] | None = Field(
        default=None,
        description="For `ready`. Per class `retention` (last day or null) and "
        "`window_closes` (until when a missing consent is waited for); "
        "`contract_hash`, `expires`. Deal and scope are added as they were agreed.",
        examples=[_PLAN],
    )

    def asked(self, event: Event) -> Asked:
        """Return it as the room takes it."""
        return Asked(
            event,
            self.note or "",
            None if self.document is None else self.document.model_dump(),
            self.scope,
            self.plan,
        )


class ProgressView(BaseModel):
    """How far the batches are; folios per second and seconds left.

    `folios` were moved by their batches, `dropped` had left before. Who objects after
    the batch and before the turn is in `folios`, and not in `transferred` of the
    handover.
    """

    batches: int
    executed: int
    verified: int
    failed: int
    folios: int
    folios_total: int
    dropped: int
    rate: float
    eta_seconds: int | None


class ToSign(BaseModel):
    """A document that may be signed now: its media type, subject and fixed body."""

    event: str
    kind: str
    payload_type: str
    subject: str | None
    body: dict[str, Any]
    roles: list[str]


class HandoverView(BaseModel):
    """A handover as its people see it.

    `transferred`: folios that the turn gave to the buyer; null before the turn.
    """

    id: str
    state: str
    step: int
    seller: str
    buyer: str
    reviewer: str | None
    deal_type: str
    path: str
    note: str | None
    created_at: str
    plan_hash: str | None
    snapshot_id: str | None
    as_of: str | None
    decision_root: str | None
    waiting_for: list[str]
    signed: list[str]
    to_sign: list[ToSign]
    fault: str | None
    progress: ProgressView
    transferred: int | None
    gates_not_built: list[str]


class HandoverPage(BaseModel):
    """A page of handovers, the newest first."""

    items: list[HandoverView]
    next_cursor: str | None
    has_more: bool


class StepView(BaseModel):
    """One step of the history; what it was signed with, by digest."""

    step: int
    event: str
    role: str
    key_id: str | None
    from_state: str
    to_state: str
    document: str | None
    reason: str | None
    note: str | None
    at: str


class History(BaseModel):
    """All steps of a handover, dense from 1."""

    items: list[StepView]


class SignatureView(BaseModel):
    """Who signed what; `counts` is false once an edit voided it."""

    step: int
    kind: str
    role: str
    key_id: str
    subject: str
    digest: str
    at: str
    counts: bool
    voided_step: int | None


class DocumentView(SignatureView):
    """A signed document with its envelope."""

    envelope: dict[str, Any]


class Documents(BaseModel):
    """All signed documents of a handover."""

    items: list[DocumentView]


class Phase(BaseModel):
    """Seconds spent in a state."""

    state: str
    seconds: float


class Report(BaseModel):
    """The report of a handover: counts, phases, signatures, what is not built."""

    handover: str
    state: str
    seller: str
    buyer: str
    reviewer: str | None
    deal_type: str
    path: str
    plan_hash: str | None
    snapshot_id: str | None
    as_of: str | None
    decision_root: str | None
    frozen_counts: dict[str, dict[str, dict[str, int]]] | None
    turned_counts: dict[str, dict[str, dict[str, int]]] | None
    turned_at: str | int | None
    inventory: dict[str, dict[str, int]] | None
    backup: dict[str, Any] | None
    progress: ProgressView
    phases: list[Phase]
    steps: list[StepView]
    signatures: list[SignatureView]
    gates_not_built: list[str]
    rules_not_built: list[str]
    disclaimer: str
