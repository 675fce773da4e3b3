# SPDX-License-Identifier: Apache-2.0
"""Whether everything adds up: promise 5, per class. Pure.

inventory = transferred + archive_only + held + excluded(reason), before and after
the turn; what was dropped in between stands in its own reason and is still counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.custody.decision import DecisionSummary, decision_root, parse_summary
from contracts.custody.document import Counts, DocumentMalformed
from contracts.events.envelope import canonical_json
from services.transfer.errors import VaultMismatch
from services.transfer.vault_client import Custody, Decision

TRANSFER = "transfer"


def checked_summary(decision: Decision, custody: Custody, plan: str) -> DecisionSummary:
    """Return a decision's groups if its root is theirs and its plan the signed one.

    Raises:
        VaultMismatch: It is not, or the vault's two answers are of two freezes.
    """
    try:
        summary = parse_summary(canonical_json(decision.counts))
    except (DocumentMalformed, ValueError) as exc:
        raise VaultMismatch("decision-malformed") from exc
    if decision.plan_hash != plan:
        raise VaultMismatch("decision-of-another-plan")
    if decision_root(summary) != decision.decision_root:
        raise VaultMismatch("decision-root")
    if custody.snapshot_id not in (None, decision.snapshot_id):
        raise VaultMismatch("snapshot")
    return summary


def adds_up(frozen: Counts, turned: Counts) -> bool:
    """Whether each class has as many folios after the turn as were frozen.

    A drop moves a folio to another reason, never out of the count, and never into
    what is transferred.
    """
    if set(frozen) != set(turned):
        return False
    for name, before in frozen.items():
        after = turned[name]
        if _sum(before) != _sum(after):
            return False
        if _of(after, TRANSFER) > _of(before, TRANSFER):
            return False
    return True


def _sum(outcomes: Mapping[str, Mapping[str, int]]) -> int:
    return sum(_of(outcomes, outcome) for outcome in outcomes)


def _of(outcomes: Mapping[str, Mapping[str, int]], outcome: str) -> int:
    return sum(outcomes.get(outcome, {}).values())
