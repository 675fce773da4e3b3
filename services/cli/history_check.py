# SPDX-License-Identifier: Apache-2.0
"""Whether a written history tells the steps of its handover as the log does.

Pure. Notes and reasons are in no event: a history may say of them what it likes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from services.cli.custody_ledger import HandoverEntries


def history_differences(
    items: Sequence[Any], entries: HandoverEntries
) -> Iterator[str]:
    """Yield a sentence for each difference between a history and the log.

    Args:
        items: The items of `GET /v1/handovers/{id}/history`.
        entries: What the log says of that handover.
    """
    due = _by_step(_logged(entries))
    told = _by_step(items)
    if len(told) != len(items) or [*told] != sorted(told):
        yield "a step is told twice, out of order, or has no number"
    for step in sorted(due.keys() - told.keys()):
        yield f"step {step} of the log is not told"
    for step in sorted(told.keys() - due.keys()):
        yield f"the log holds no step {step}"
    for step in sorted(due.keys() & told.keys()):
        wrong = [n for n, value in due[step].items() if told[step].get(n) != value]
        if wrong:
            yield f"step {step} is told with another {', '.join(wrong)}"


def _by_step(items: Sequence[Any]) -> dict[int, dict[str, Any]]:
    return {
        item["step"]: item
        for item in items
        if isinstance(item, dict) and type(item.get("step")) is int
    }


def _logged(entries: HandoverEntries) -> Sequence[dict[str, Any]]:
    keys = {filed.document.digest: filed.document.key_id for filed in entries.filed}
    return [
        {
            "step": step.step,
            "event": step.event,
            "role": step.role,
            "key_id": keys.get(step.document or ""),
            "from_state": step.from_state,
            "to_state": step.to_state,
            "document": step.document,
            "at": time,
        }
        for time, step in entries.steps
    ]
