# SPDX-License-Identifier: Apache-2.0
"""What takes several calls, written once: it says what to send and is told the answer.

Whoever holds a conversation sends each `Call` and gives its `Answer` back, raises the
refusal inside instead, or waits for a `Pause`; blocking or awaited makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from keyturn_client import vault
from keyturn_client.calls import Answer, Call
from keyturn_client.errors import Stale
from keyturn_client.models.vault import PatchIn, WrittenOut

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before going on."""

    seconds: float


Conversation: TypeAlias = Generator[Call[Any] | Pause, Any, T]


def ask(call: Call[T]) -> Conversation[Answer[T]]:
    """Have one call sent; keeps the type of its answer."""
    return cast("Answer[T]", (yield call))


def edited(
    record: str,
    change: Callable[[dict[str, Any]], PatchIn | None],
    *,
    purpose: str | None = None,
    attempts: int = 5,
) -> Conversation[Answer[WrittenOut] | None]:
    """Read a record, have a patch made of it, and patch; again if somebody was faster.

    Args:
        record: Its id.
        change: Makes the patch from the record as read; None leaves it as it is.
        purpose: Of the read and of the patch.
        attempts: How often to read anew before Stale is raised.

    Raises:
        Stale: Somebody was faster each time.
    """
    for left in reversed(range(attempts)):
        found = yield from ask(vault.read_record(record, purpose=purpose))
        patch = change(found.body)
        if patch is None:
            return None
        call = vault.patch_record(record, patch, etag=found.etag or "", purpose=purpose)
        try:
            return (yield from ask(call))
        except Stale:
            if not left:
                raise
    raise ValueError("an edit has one attempt at least")
