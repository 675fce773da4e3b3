# SPDX-License-Identifier: Apache-2.0
# Generated from contracts/openapi/transfer.json by `make contracts`.

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


DealType: TypeAlias = Literal[
    "share_transfer", "merger", "division", "asset_sale", "customer_list", "bankruptcy"
]


class DocumentView(TypedDict):
    """A signed document with its envelope."""

    step: int
    kind: str
    role: str
    key_id: str
    subject: str
    digest: str
    at: str
    counts: bool
    voided_step: int | None
    envelope: dict[str, Any]


class Documents(TypedDict):
    """All signed documents of a handover."""

    items: list[DocumentView]


Path: TypeAlias = Literal[
    "separate_consent",
    "succession",
    "contract",
    "legitimate_interest",
    "no_handover",
    "no_successor",
]


class Phase(TypedDict):
    """Seconds spent in a state."""

    state: str
    seconds: float


Error = TypedDict(
    "Error",
    {
        "in": str,
        "pointer": str,
        "code": str,
        "msg": str,
    },
)


class Problem(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    instance: NotRequired[str]
    code: str
    request_id: str
    errors: NotRequired[list[Error]]


class ProgressView(TypedDict):
    """
    How far the batches are; folios per second and seconds left.

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


class SignatureBody(TypedDict):
    """One signature of an envelope."""

    keyid: str
    sig: str


class SignatureView(TypedDict):
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


State: TypeAlias = Literal[
    "draft",
    "necessity",
    "scoping",
    "planning",
    "review",
    "approval",
    "freeze",
    "backup",
    "await_release",
    "executing",
    "verify",
    "reconciled",
    "post_audit",
    "seller_restricted",
    "disputed",
    "cancelling",
    "cancelled",
    "rejected",
    "expired",
]


class StepView(TypedDict):
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


class ToSign(TypedDict):
    """A document that may be signed now: its media type, subject and fixed body."""

    event: str
    kind: str
    payload_type: str
    subject: str | None
    body: dict[str, Any]
    roles: list[str]


class CreateBody(TypedDict):
    """A new handover; `reviewer` is the party of the independent professional."""

    seller: str
    buyer: str
    reviewer: NotRequired[str | None]
    deal_type: DealType
    path: Path
    note: NotRequired[str | None]


class EnvelopeBody(TypedDict):
    """A DSSE v1 envelope with exactly one signature."""

    payload: str
    payloadType: str
    signatures: list[SignatureBody]


class HandoverView(TypedDict):
    """
    A handover as its people see it.

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


class History(TypedDict):
    """All steps of a handover, dense from 1."""

    items: list[StepView]


class Report(TypedDict):
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


class StepBody(TypedDict):
    """
    What a step may bring: which members, the state's table says.

    Attributes:
        note: For the other people of the handover; no personal data of customers.
        document: What the person signed for this step.
        scope: For `propose`: classes, filters, purposes, denied_purposes.
        plan: For `ready`: retention, window_closes, contract_hash, expires, ...
    """

    note: NotRequired[str | None]
    document: NotRequired[EnvelopeBody | None]
    scope: NotRequired[dict[str, Any] | None]
    plan: NotRequired[dict[str, Any] | None]


class HandoverPage(TypedDict):
    """A page of handovers, the newest first."""

    items: list[HandoverView]
    next_cursor: str | None
    has_more: bool
