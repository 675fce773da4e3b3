# SPDX-License-Identifier: Apache-2.0
"""Bodies of the mandate room's requests and answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from contracts import base64text
from contracts.custody.decision import Group
from contracts.custody.document import Counts
from services.chassis.body import Body, Text
from services.chassis.clock import rfc3339
from services.vault.custody.handover import Scope
from services.vault.mandate.batches import BatchResult
from services.vault.mandate.store import StoredBackup, StoredBatch
from services.vault.mandate.turning import Turned
from services.vault.mandate.verifying import Verified
from services.vault.mandate.viewing import Decided, ShownRow, Status

HandoverId = Annotated[
    str,
    Text(36, pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]
Digest = Annotated[str, Text(71, pattern=r"^sha256:[0-9a-f]{64}$")]
Base64 = Annotated[str, Text(400_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class SignatureIn(Body):
    """The signature of an envelope."""

    keyid: Annotated[str, Text(64, pattern=r"^[0-9a-f]{64}$")]
    sig: Annotated[str, Text(128, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class EnvelopeIn(Body):
    """A DSSE envelope: what one person signed. DSSE 1.0.2."""

    payload: Base64
    payloadType: Annotated[str, Text(128)]  # noqa: N815 - DSSE's own spelling
    signatures: Annotated[list[SignatureIn], Field(min_length=1, max_length=1)]

    def value(self) -> dict[str, Any]:
        """Return the envelope as JSON values."""
        return self.model_dump(mode="json")


_ENVELOPE: Final[dict[str, Any]] = {
    "payload": "eyJwZXJzb24iOiJhZGEifQ==",
    "payloadType": "application/vnd.keyturn.approval.v1+json",
    "signatures": [{"keyid": "0" * 64, "sig": "A" * 86 + "=="}],
}
Envelopes = Annotated[list[EnvelopeIn], Field(min_length=1, max_length=8)]


class SnapshotIn(Body):
    """The approvals under which a scope is frozen."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"approvals": [_ENVELOPE]}]}
    )

    approvals: Envelopes


class MandateIn(Body):
    """The approvals of the plan and the releases of the decision."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"approvals": [_ENVELOPE], "releases": [_ENVELOPE]}]
        }
    )

    approvals: Envelopes
    releases: Envelopes


class BatchIn(Body):
    """The digest of the batch that is meant."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"digest": "sha256:" + "0" * 64}]}
    )

    digest: Digest


class PlanOut(BaseModel):
    """A lodged plan."""

    plan_hash: str


class SnapshotOut(BaseModel):
    """A frozen scope; it is decided behind."""

    snapshot_id: str
    state: str


class StateOut(BaseModel):
    """The state a handover is in now."""

    handover: str
    state: str


class BatchTotalsOut(BaseModel):
    """How far the batches are."""

    total: int
    executed: int
    verified: int


class BackupOut(BaseModel):
    """Where the backup stands: none, running, passed or failed, as its drill went."""

    state: str
    digest: str | None
    folios: int
    drill: str | None

    @classmethod
    def of(cls, stored: StoredBackup | None) -> Self:
        """Return the body of a backup; state `none` where there is none."""
        if stored is None:
            return cls(state="none", digest=None, folios=0, drill=None)
        if stored.state == "running":
            return cls(state="running", digest=None, folios=0, drill=None)
        return cls(
            state=stored.state,
            digest=stored.digest,
            folios=stored.folios,
            drill=stored.state,
        )


class SettlementOut(BaseModel):
    """How far the index entries that arrived are settled: none, running or settled.

    `collisions` were found, `open` of them wait for a person; the buyer's alone.
    """

    state: str
    records: int
    collisions: int | None
    open: int | None

    @classmethod
    def of(cls, found: Status) -> Self:
        """Return the body; state `none` before the turn."""
        waiting, number = found.collisions or (None, None)
        if found.settlement is None:
            return cls(state="none", records=0, collisions=None, open=None)
        return cls(
            state=found.settlement.state.value,
            records=found.settlement.records,
            collisions=number,
            open=waiting,
        )


class StatusOut(BaseModel):
    """Where a handover stands.

    `dropped` and `after_snapshot` are class → (reason →) folios.
    """

    handover: str
    state: str
    plan_hash: str
    snapshot_id: str | None
    as_of: str | None
    folios: int
    decided: int
    decision_root: str | None
    dropped: dict[str, dict[str, int]]
    batches: BatchTotalsOut
    backup: BackupOut
    after_snapshot: dict[str, int]
    settlement: SettlementOut
    expires: str | None

    @classmethod
    def of(cls, found: Status) -> Self:
        """Return the body of a status."""
        scope = found.at.scope
        return cls(
            handover=found.at.stored.handover,
            state=found.at.state,
            plan_hash=found.at.stored.plan_hash,
            snapshot_id=None if scope is None else scope.snapshot,
            as_of=None if scope is None else scope.as_of,
            folios=found.decided,
            decided=found.decided,
            decision_root=None if scope is None else scope.decision_root or None,
            dropped={name: dict(reasons) for name, reasons in found.dropped.items()},
            batches=BatchTotalsOut(**found.batches._asdict()),
            backup=BackupOut.of(found.backup),
            after_snapshot=dict(found.after_snapshot),
            settlement=SettlementOut.of(found),
            expires=None if scope is None else _moment(scope.expires_at),
        )


class DecisionOut(BaseModel):
    """A decision: counts bound by the root, class → outcome → reason."""

    installation: str
    handover: str
    plan_hash: str
    snapshot_id: str
    as_of: str
    decision_root: str
    counts: dict[str, dict[str, dict[str, Group]]]
    folios: int

    @classmethod
    def of(cls, installation: str, found: Decided) -> Self:
        """Return the body of a decision."""
        scope: Scope = found.scope
        return cls(
            installation=installation,
            handover=scope.handover,
            plan_hash=scope.plan_hash,
            snapshot_id=scope.snapshot,
            as_of=scope.as_of,
            decision_root=scope.decision_root,
            counts=found.summary.groups,
            folios=scope.folios,
        )


class RowOut(BaseModel):
    """A row of a decision; of one that dropped out the buyer gets its leaf only."""

    position: int
    class_: str = Field(serialization_alias="class")
    outcome: str
    reason: str
    leaf: str
    salt: str | None = None
    record: str | None = None
    new_record: str | None = None
    volume: str | None = None
    version: str | None = None
    rule: str | None = None
    dropped: str | None = None

    @classmethod
    def of(cls, shown: ShownRow) -> Self:
        """Return the body of a row."""
        row = shown.row
        group = {
            "position": row.position,
            "class_": row.class_,
            "outcome": row.outcome,
            "reason": row.reason,
            "leaf": shown.leaf.hex(),
        }
        if shown.salt is None:
            return cls.model_validate(group)
        return cls.model_validate(
            {
                **group,
                "salt": base64text.encode(shown.salt),
                "record": row.record,
                "new_record": row.new_record,
                "volume": row.volume,
                "version": row.version,
                "rule": row.rule,
                "dropped": shown.dropped or None,
            }
        )


class RowsOut(BaseModel):
    """A page of rows."""

    items: list[RowOut]
    next_cursor: str | None
    has_more: bool


class BatchOut(BaseModel):
    """A batch; `executed` and `verified` say how far it is."""

    n: int
    folios: int
    digest: str
    executed: bool
    verified: bool

    @classmethod
    def of(cls, stored: StoredBatch) -> Self:
        """Return the body of a batch."""
        return cls(
            n=stored.n,
            folios=stored.folios,
            digest=stored.digest,
            executed=stored.executed_at is not None,
            verified=stored.verified_at is not None,
        )


class BatchesOut(BaseModel):
    """A page of batches."""

    items: list[BatchOut]
    next_cursor: str | None
    has_more: bool


class BatchResultOut(BaseModel):
    """What a batch did."""

    n: int
    digest: str
    folios: int
    dropped: int
    unindexed: int

    @classmethod
    def of(cls, done: BatchResult) -> Self:
        """Return the body of a result."""
        return cls(
            n=done.n,
            digest=done.digest,
            folios=done.folios,
            dropped=done.dropped,
            unindexed=done.unindexed,
        )


class VerifiedOut(BaseModel):
    """A verified batch."""

    n: int
    folios: int

    @classmethod
    def of(cls, done: Verified) -> Self:
        """Return the body of a verification."""
        return cls(n=done.n, folios=done.folios)


class TurnedOut(BaseModel):
    """A handover that turned; counts after drops, class → outcome → reason."""

    handover: str
    turned_at: str
    counts: Counts

    @classmethod
    def of(cls, done: Turned) -> Self:
        """Return the body of a turn."""
        return cls(
            handover=done.handover,
            turned_at=_moment(done.turned_at),
            counts=done.counts,
        )


def _moment(at: int) -> str:
    return rfc3339(datetime.fromtimestamp(at / 1000, tz=UTC))
