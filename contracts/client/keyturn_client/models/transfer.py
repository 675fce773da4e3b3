# SPDX-License-Identifier: Apache-2.0
# Generated from contracts/openapi/transfer.json by `make contracts`.

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

DealType: TypeAlias = Literal[
    "share_transfer", "merger", "division", "asset_sale", "customer_list", "bankruptcy"
]


class DocumentView(TypedDict):
    """
    A signed document with its envelope.
    """

    at: str
    counts: bool
    digest: str
    envelope: dict[str, Any]
    key_id: str
    kind: str
    role: str
    step: int
    subject: str
    voided_step: int | None


class Documents(TypedDict):
    """
    All signed documents of a handover.
    """

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
    """
    Seconds spent in a state.
    """

    seconds: float
    state: str


Error = TypedDict(
    "Error",
    {
        "code": str,
        "in": str,
        "msg": str,
        "pointer": str,
    },
)


class Problem(TypedDict):
    code: str
    detail: str
    errors: NotRequired[list[Error]]
    instance: NotRequired[str]
    request_id: str
    status: int
    title: str
    type: str


class ProgressView(TypedDict):
    """
    How far the batches are; folios per second and seconds left.

    `folios` were moved by their batches, `dropped` had left before. Who objects after
    the batch and before the turn is in `folios`, and not in `transferred` of the
    handover.
    """

    batches: int
    dropped: int
    eta_seconds: int | None
    executed: int
    failed: int
    folios: int
    folios_total: int
    rate: float
    verified: int


class SignatureBody(TypedDict):
    """
    One signature of an envelope.
    """

    keyid: str
    sig: str


class SignatureView(TypedDict):
    """
    Who signed what; `counts` is false once an edit voided it.
    """

    at: str
    counts: bool
    digest: str
    key_id: str
    kind: str
    role: str
    step: int
    subject: str
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
    """
    One step of the history; what it was signed with, by digest.
    """

    at: str
    document: str | None
    event: str
    from_state: str
    key_id: str | None
    note: str | None
    reason: str | None
    role: str
    step: int
    to_state: str


class ToSign(TypedDict):
    """
    A document that may be signed now: its media type, subject and fixed body.
    """

    body: dict[str, Any]
    event: str
    kind: str
    payload_type: str
    roles: list[str]
    subject: str | None


class CreateBody(TypedDict):
    """
    A new handover; `reviewer` is the party of the independent professional.
    """

    buyer: str
    deal_type: DealType
    note: NotRequired[str | None]
    path: Path
    reviewer: NotRequired[str | None]
    seller: str


class EnvelopeBody(TypedDict):
    """
    A DSSE v1 envelope with exactly one signature.
    """

    payload: str
    payloadType: str
    signatures: list[SignatureBody]


class HandoverView(TypedDict):
    """
    A handover as its people see it.

    `transferred`: folios that the turn gave to the buyer; null before the turn.
    """

    as_of: str | None
    buyer: str
    created_at: str
    deal_type: str
    decision_root: str | None
    fault: str | None
    gates_not_built: list[str]
    id: str
    note: str | None
    path: str
    plan_hash: str | None
    progress: ProgressView
    reviewer: str | None
    seller: str
    signed: list[str]
    snapshot_id: str | None
    state: str
    step: int
    to_sign: list[ToSign]
    transferred: int | None
    waiting_for: list[str]


class History(TypedDict):
    """
    All steps of a handover, dense from 1.
    """

    items: list[StepView]


class Report(TypedDict):
    """
    The report of a handover: counts, phases, signatures, what is not built.
    """

    as_of: str | None
    backup: dict[str, Any] | None
    buyer: str
    deal_type: str
    decision_root: str | None
    disclaimer: str
    frozen_counts: dict[str, dict[str, dict[str, int]]] | None
    gates_not_built: list[str]
    handover: str
    inventory: dict[str, dict[str, int]] | None
    path: str
    phases: list[Phase]
    plan_hash: str | None
    progress: ProgressView
    reviewer: str | None
    rules_not_built: list[str]
    seller: str
    signatures: list[SignatureView]
    snapshot_id: str | None
    state: str
    steps: list[StepView]
    turned_at: str | int | None
    turned_counts: dict[str, dict[str, dict[str, int]]] | None


class StepBody(TypedDict):
    """
    What a step may bring: which members, the state's table says.

    Attributes:
        note: For the other people of the handover; no personal data of customers.
        document: What the person signed for this step.
        scope: For `propose`: classes, filters, purposes, denied_purposes.
        plan: For `ready`: retention, window_closes, contract_hash, expires, ...
    """

    document: NotRequired[EnvelopeBody | None]
    note: NotRequired[str | None]
    plan: NotRequired[dict[str, Any] | None]
    scope: NotRequired[dict[str, Any] | None]


class HandoverPage(TypedDict):
    """
    A page of handovers, the newest first.
    """

    has_more: bool
    items: list[HandoverView]
    next_cursor: str | None
